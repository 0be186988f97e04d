//! The compile process by itself, for tests and tools that load components without the `jackfield` binary.

fn main() -> std::process::ExitCode {
    jackfield_wasm::compile_child_main()
}

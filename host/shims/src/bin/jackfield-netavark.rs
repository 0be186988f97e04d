//! What netavark starts for Podman, under the name of a driver.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    jackfield_shims::netavark::shim::main()
}

//! What a CNI runtime starts, under its own name or under that of a driver.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    jackfield_shims::cni::shim::main()
}

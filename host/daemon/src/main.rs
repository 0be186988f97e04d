//! `jackfield`: the host process and its command line in one binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    jackfield::cli::main()
}

//! The binary is its own compiler of components: the host starts it again with a subcommand that nobody sees.
#![allow(missing_docs)] // A test has no reader of its documentation.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn compile(component: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    let piped = command
        .arg("compile-component")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(component).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_component_becomes_code() {
    // The smallest there is: magic, version 13, layer 1.
    let compiled = compile(b"\0asm\x0d\0\x01\0");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    assert!(compiled.stdout.starts_with(b"\x7fELF"));
}

#[test]
fn what_is_no_component_is_an_error_with_words() {
    let compiled = compile(b"garbage!");
    assert!(!compiled.status.success());
    assert!(compiled.stdout.is_empty() && !compiled.stderr.is_empty());
}

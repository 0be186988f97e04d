//! The binary is its own compiler of components: the host starts it again with a subcommand that nobody sees.
#![allow(missing_docs)] // A test has no reader of its documentation.

use std::{
    io::{self, Write},
    process::{Command, Output, Stdio},
};

fn compile(component: &[u8]) -> io::Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jackfield"))
        .arg("compile-component")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Taken, so that it is closed before the output is waited for.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(component)?;
    }
    child.wait_with_output()
}

#[test]
fn a_component_becomes_code() {
    // The smallest there is: magic, version 13, layer 1.
    let compiled = compile(b"\0asm\x0d\0\x01\0").unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    assert!(compiled.stdout.starts_with(b"\x7fELF"));
}

#[test]
fn what_is_no_component_is_an_error_with_words() {
    let compiled = compile(b"garbage!").unwrap();
    assert!(!compiled.status.success());
    assert!(compiled.stdout.is_empty() && !compiled.stderr.is_empty());
}

//! What has to be there before anything is built. What this program may install without asking, it does: the target of the drivers.

use std::process::Command;

use crate::failure::Failure;

/// The target that drivers are compiled for.
const TARGET: &str = "wasm32-wasip2";

/// Checks the machine, and adds the drivers' target where it is missing.
pub fn check() -> Result<(), Failure> {
    linker()?;
    target()
}

/// Some dependencies are linked with the C compiler's driver.
fn linker() -> Result<(), Failure> {
    let found = Command::new("cc")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success());
    if found {
        Ok(())
    } else {
        Err(Failure::Told(
            "there is no C compiler to link with: apt-get install gcc libc6-dev".into(),
        ))
    }
}

fn target() -> Result<(), Failure> {
    if installed() {
        return Ok(());
    }
    eprintln!("xtask: adding the target {TARGET}");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if added.is_ok_and(|s| s.success()) && installed() {
        return Ok(());
    }
    Err(Failure::Told(format!(
        "the Rust target {TARGET} is missing and cannot be added: rustup target add {TARGET}"
    )))
}

/// Looks into the toolchain itself, so that toolchains which rustup did not install count as well.
fn installed() -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    output.is_ok_and(|o| o.status.success() && std::path::Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir())
}

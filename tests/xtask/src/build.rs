//! What is built, by cargo, outside of the private namespaces: fetching crates needs the network.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::failure::Failure;

/// The drivers of drivers/, as their packages are called.
pub const DRIVERS: [&str; 3] = ["ptp", "macvlan", "bridge"];

/// How the host is built.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    /// For the demo and the tests: dependencies optimised, our own code not.
    Dev,
    /// For the benchmarks.
    Release,
}

/// The top of the checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo as it runs us, in the top folder.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs it, with its output shown, to a good end.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|w| w.to_string_lossy())
        .collect();
    let shown = words.join(" ");
    let status = command.status().map_err(|cause| Failure::Start {
        command: shown.clone(),
        cause,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Command { command: shown, status })
    }
}

/// The `jackfield` program, and those that runtimes start.
pub fn host(profile: Profile) -> Result<(), Failure> {
    let mut command = cargo();
    // Chosen out of the workspace, not as a package: then its dependencies have the features that the tests' have, and are built once.
    command.args([
        "build",
        "--workspace",
        "--bin",
        "jackfield",
        "--bin",
        "jackfield-cni",
        "--bin",
        "jackfield-netavark",
    ]);
    if matches!(profile, Profile::Release) {
        command.arg("--release");
    }
    run(&mut command)
}

/// The small programs as they are shipped, linked statically: to load the C library would take half as long as all that they do until they
/// ask the host. Their folder.
pub fn shims() -> Result<PathBuf, Failure> {
    let target = host_target()?;
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    let mut command = cargo();
    command.args([
        "build",
        "--profile",
        "shim",
        "--package",
        "jackfield-shims",
        "--target",
        &target,
    ]);
    run(command.env(flags, "-C target-feature=+crt-static"))?;
    Ok(target_folder().join(target).join("shim"))
}

/// The target that programs for this machine are compiled for.
fn host_target() -> Result<String, Failure> {
    let asked = Command::new("rustc").args(["--print", "host-tuple"]).output();
    let output = asked.map_err(|cause| Failure::Start {
        command: "rustc --print host-tuple".into(),
        cause,
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where cargo puts what it builds for the workspace.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The drivers, as a vendor builds them: in their own workspace, for the component target.
pub fn drivers() -> Result<(), Failure> {
    run(cargo()
        .args(["build", "--release", "--target", "wasm32-wasip2"])
        .current_dir(root().join("drivers")))
}

/// Where a driver's component is.
pub fn component(driver: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("drivers/target"), PathBuf::from);
    target
        .join("wasm32-wasip2/release")
        .join(format!("jackfield_driver_{driver}.wasm"))
}

/// Every test, and the host with its fault points for the scenarios that kill it.
pub fn tests() -> Result<(), Failure> {
    run(cargo().args([
        "test",
        "--workspace",
        "--features",
        "jackfield/fault-points",
        "--no-run",
    ]))
}

/// The benchmarks.
pub fn bench() -> Result<(), Failure> {
    run(cargo().args(["build", "--release", "--workspace", "--bin", "jackfield-bench"]))
}

//! Running things inside private namespaces: this program enters them and becomes the command, so that nothing outside has to be undone.

use std::{ffi::OsString, io, os::unix::process::CommandExt, path::Path, process::Command};

use jackfield_lab::private;

use crate::{
    build::{cargo, component, root, run},
    failure::Failure,
};

/// Enters private namespaces, unless we are in some, and becomes the command. Returns only when it cannot.
pub fn become_command(command: &[OsString]) -> Result<(), Failure> {
    if !private::entered() {
        private::enter()?;
    }
    let [program, arguments @ ..] = command else {
        return Err(Failure::Told("there is no command to run".into()));
    };
    let (key, value) = private::mark();
    let cause = Command::new(program).args(arguments).env(key, value).exec();
    Err(Failure::Start {
        command: program.to_string_lossy().into_owned(),
        cause,
    })
}

/// This program again, inside.
pub fn xtask(arguments: &[&str]) -> Result<(), Failure> {
    let own = own()?;
    run(Command::new(&own).args(["inside", "--"]).arg(&own).args(arguments))
}

/// Tests, inside: every one, or those of the binaries that cargo's arguments choose. Built before, since there is no network in there.
/// `netavark` is one that knows plugins, for the scenarios that need it.
pub fn cargo_test(choice: &[String], filter: Option<&str>, netavark: Option<&Path>) -> Result<(), Failure> {
    let cargo = cargo();
    let mut command = Command::new(own()?);
    command
        .current_dir(root())
        .args(["inside", "--"])
        .arg(cargo.get_program());
    command.args([
        "test",
        "--offline",
        "--workspace",
        "--features",
        "jackfield/fault-points",
    ]);
    command.args(choice).args(filter);
    if !choice.is_empty() {
        // So that one sees what was skipped, and why.
        command.args(["--", "--show-output"]);
    }
    command.env("JACKFIELD_DRIVERS", component("ptp").parent().unwrap_or(&root()));
    command.envs(netavark.map(|program| ("JACKFIELD_NETAVARK", program)));
    run(&mut command)
}

/// The benchmarks, inside, with the small programs of that folder.
pub fn bench(shims: &Path, arguments: &[String]) -> Result<(), Failure> {
    let release = own()?.ancestors().nth(2).map(|t| t.join("release")).unwrap_or_default();
    let mut command = Command::new(own()?);
    command
        .args(["inside", "--"])
        .arg(release.join("jackfield-bench"))
        .args(arguments);
    command.env("JACKFIELD_BIN", release.join("jackfield"));
    command.env("JACKFIELD_SHIMS", shims);
    command.env("JACKFIELD_DRIVERS", component("ptp").parent().unwrap_or(&root()));
    run(&mut command)
}

fn own() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe().map_err(|cause: io::Error| Failure::Start {
        command: "xtask".into(),
        cause,
    })
}

//! Scenarios with real container runtimes: what they need of the machine, and which ones they are.
//!
//! Docker, containerd and Podman with CNI come from Debian's packages. Debian's netavark knows no plugins, and a newer one is built, which takes
//! minutes: that is the long form.

use std::{path::PathBuf, process::Command};

use jackfield_lab::machine::is_here;

use crate::{
    build::{self, cargo, root, run},
    failure::Failure,
    inside,
};

/// Programs, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 12] = [
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("podman", "podman"),
    ("conmon", "conmon"),
    ("busybox", "busybox-static"),
    ("tini", "tini"),
    ("newuidmap", "uidmap"),
    ("slirp4netns", "slirp4netns"),
    ("protoc", "protobuf-compiler"),
];
/// What no program of these tells: CNI's own plugins, of which containerd wants one.
const PLUGINS: (&str, &str) = ("/usr/lib/cni/loopback", "containernetworking-plugins");
/// Only netavark's build wants it.
const FOR_THE_LONG_FORM: &str = "protobuf-compiler";

/// Binaries of scenarios that these runtimes take part in.
const SCENARIOS: [&str; 4] = ["runtime_docker", "runtime_podman", "runtime_containerd", "cni"];

/// The version whose plugins' protocol ours speaks.
const NETAVARK: &str = "2.1.0";

/// Installs what is missing, and runs the scenarios.
pub fn test(filter: Option<&str>, long: bool) -> Result<(), Failure> {
    install(&missing(long))?;
    let netavark = if long { Some(netavark()?) } else { None };
    build::drivers()?;
    build::tests()?;
    let tests = SCENARIOS.map(|name| ["--test".to_owned(), name.to_owned()]).concat();
    inside::cargo_test(&tests, filter, netavark.as_deref())
}

fn missing(long: bool) -> Vec<&'static str> {
    let wanted = |package: &str| long || package != FOR_THE_LONG_FORM;
    let programs = PROGRAMS.into_iter().filter(|(_, package)| wanted(package));
    let mut packages: Vec<_> = programs
        .filter(|(program, _)| !is_here(program))
        .map(|(_, package)| package)
        .collect();
    let (plugin, package) = PLUGINS;
    if !PathBuf::from(plugin).exists() {
        packages.push(package);
    }
    packages
}

/// Says what is missing where it may not or cannot install it; the scenarios then skip what they cannot do.
fn install(packages: &[&str]) -> Result<(), Failure> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !nix::unistd::Uid::effective().is_root() || !is_here("apt-get") {
        eprintln!("xtask: scenarios without these are skipped: apt-get install --no-install-recommends {list}");
        return Ok(());
    }
    let apt = || {
        run(Command::new("apt-get").arg("update"))?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages);
        run(install.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A mirror that is being renewed fails once.
    apt().or_else(|_| apt())
}

/// netavark's program, built where it has not been.
fn netavark() -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os("JACKFIELD_NETAVARK") {
        return Ok(given.into());
    }
    let folder = root().join("target/netavark");
    let program = folder.join("bin/netavark");
    if !program.exists() {
        let mut install = cargo();
        install.args(["install", "netavark", "--version", NETAVARK, "--locked", "--root"]);
        run(install.arg(&folder))?;
    }
    Ok(program)
}

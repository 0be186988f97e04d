//! A folder of which Docker makes a managed plugin: its configuration, and a root with the host and the libraries that it needs.
//!
//! Docker's swarms take no plugin that has a socket only. A managed one has one name and so one driver; it is a host of its own, with
//! state of its own in its root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    build::{self, Profile, root},
    failure::Failure,
};

/// What the host uses, as its unit says.
const CAPABILITIES: [&str; 10] = [
    "CAP_NET_ADMIN",
    "CAP_SYS_ADMIN",
    "CAP_SYS_PTRACE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_CHOWN",
    "CAP_FOWNER",
    "CAP_KILL",
];
/// Folders that have to be there.
const FOLDERS: [&str; 7] = [
    "etc/jackfield",
    "run/docker/plugins",
    "run/jackfield",
    "var/lib/jackfield",
    "proc",
    "sys",
    "tmp",
];
/// Where the program is.
const PROGRAM: &str = "usr/bin/jackfield";
const COMPONENT: &str = "usr/lib/jackfield/driver.wasm";
const GRANTS: &str = "etc/jackfield/grants.toml";

/// What the plugin is made of.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to
    folder: PathBuf,
    /// What Docker calls the driver that the plugin is, as it does on a machine that has the host
    #[arg(long, default_value = "jackfield-bridge")]
    name: String,
    /// The component that it is, for one that is not built in
    #[arg(long, requires = "name", value_name = "FILE")]
    component: Option<PathBuf>,
    /// What the component may do, a TOML file
    #[arg(long, requires = "component", value_name = "FILE")]
    grants: Option<PathBuf>,
    /// A jackfield that was built already
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Makes the folder.
pub fn make(arguments: Arguments) -> Result<(), Failure> {
    let folder = arguments.folder.as_path();
    let program = arguments.program.map_or_else(release, Ok)?;
    let rootfs = folder.join("rootfs");
    if folder.join("config.json").exists() || rootfs.exists() {
        let message = format!(
            "{} is such a folder already: name another, or remove it",
            folder.display()
        );
        return Err(Failure::Told(message));
    }
    for part in FOLDERS {
        fs::create_dir_all(rootfs.join(part)).map_err(|cause| failed(&rootfs, &cause))?;
    }
    copy(&program, &rootfs.join(PROGRAM))?;
    for library in libraries(&program)? {
        let inside = library.strip_prefix("/").unwrap_or(&library);
        copy(&library, &rootfs.join(inside))?;
    }
    for (given, inside) in [(&arguments.component, COMPONENT), (&arguments.grants, GRANTS)] {
        given.iter().try_for_each(|file| copy(file, &rootfs.join(inside)))?;
    }
    let resolv = rootfs.join("etc/resolv.conf");
    fs::write(&resolv, "").map_err(|cause| failed(&resolv, &cause))?;
    let path = folder.join("config.json");
    fs::write(
        &path,
        format!("{:#}\n", config(&arguments.name, arguments.component.is_some())),
    )
    .map_err(|cause| failed(&path, &cause))?;
    println!("docker plugin create NAME {}", folder.display());
    Ok(())
}

fn release() -> Result<PathBuf, Failure> {
    build::host(Profile::Release)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release/jackfield"))
}

/// As `docs/extend/config.md` of the moby project describes it.
fn config(name: &str, loads: bool) -> Value {
    let program = format!("/{PROGRAM}");
    let mut entrypoint = vec![
        program.as_str(),
        "serve",
        "--managed-plugin",
        "--docker-plugins",
        "/run/docker/plugins",
    ];
    let component = format!("/{COMPONENT}");
    entrypoint.extend(["--load", &component].into_iter().filter(|_| loads));
    json!({
        "description": "Networks for containers, by drivers that you can trust",
        "documentation": env!("CARGO_PKG_REPOSITORY"),
        "entrypoint": entrypoint,
        "workdir": "/",
        "interface": {
            "types": ["docker.networkdriver/1.0", "docker.ipamdriver/1.0"],
            "socket": format!("{name}.sock"),
        },
        "network": { "type": "host" },
        "linux": { "capabilities": CAPABILITIES, "allowAllDevices": false, "devices": [] },
        "mounts": [],
        "propagatedmount": "",
        "env": [
            {
                "name": "JACKFIELD_DOCKER_SCOPE",
                "description": "local for networks of one host, global for those of a swarm",
                "settable": ["value"],
                "value": "global",
            },
            {
                "name": "JACKFIELD_LOG",
                "description": "What is logged",
                "settable": ["value"],
                "value": "info",
            },
        ],
        "args": { "name": "", "description": "", "settable": null, "value": null },
    })
}

/// The shared libraries of a program, its loader among them: what `ldd` prints as absolute paths.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, Failure> {
    let output = Command::new("ldd").arg(program).output();
    let output = output.map_err(|cause| Failure::Start {
        command: "ldd".to_owned(),
        cause,
    })?;
    Ok(paths(&String::from_utf8_lossy(&output.stdout)))
}

fn paths(printed: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        line.split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from)
    };
    printed.lines().filter_map(path).collect()
}

/// What a link leads to, under the link's name.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = to
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::copy(from, to));
    copied.map(drop).map_err(|cause| failed(from, &cause))
}

fn failed(path: &Path, cause: &std::io::Error) -> Failure {
    Failure::Told(format!("{}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let printed = "\tlinux-vdso.so.1 (0x00007f0ec8b38000)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0ec5515000)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f0ec8b3a000)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(paths(printed), expected);
    }

    #[test]
    fn the_plugin_is_the_socket_of_one_driver() {
        assert_eq!(config("ptp", true)["interface"]["socket"], "ptp.sock");
        assert!(
            FOLDERS.contains(&"run/docker/plugins"),
            "dockerd mounts the folder of sockets there"
        );
    }
}

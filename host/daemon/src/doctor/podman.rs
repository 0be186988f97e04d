//! Podman finds plugins of netavark, or of CNI, by files in folders; its configuration says which.

use std::path::{Path, PathBuf};

use super::{CNI_PROGRAM, Finding, Machine, NETAVARK_PROGRAM, OwnHost, PROGRAMS};

/// Later ones overrule earlier ones (containers.conf(5)).
const CONFIGURATION: [&str; 2] = [
    "/usr/share/containers/containers.conf",
    "/etc/containers/containers.conf",
];
/// The defaults of containers.conf(5), with those of Debian.
const NETAVARK_FOLDERS: [&str; 4] = [
    "/usr/local/libexec/netavark",
    "/usr/libexec/netavark",
    "/usr/local/lib/netavark",
    "/usr/lib/netavark",
];
const CNI_FOLDERS: [&str; 4] = [
    "/usr/local/libexec/cni",
    "/usr/libexec/cni",
    "/usr/lib/cni",
    "/opt/cni/bin",
];
const NETAVARK_ITSELF: [&str; 3] = [
    "/usr/lib/podman/netavark",
    "/usr/libexec/podman/netavark",
    "/usr/local/lib/podman/netavark",
];

pub(super) fn examine(machine: &Machine, host: &OwnHost) -> Vec<Finding> {
    if machine.program("podman").is_none() {
        return Vec::new();
    }
    let network = configuration(machine);
    let word = |key: &str| {
        network
            .get(key)
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let backend = word("network_backend");
    let netavark = NETAVARK_ITSELF.iter().any(|path| machine.is_program(Path::new(path)));
    let finding = if backend == "cni" || backend.is_empty() && !netavark {
        by_cni(machine, &folders(&network, "cni_plugin_dirs", &CNI_FOLDERS))
    } else {
        by_netavark(
            machine,
            host,
            &folders(&network, "netavark_plugin_dirs", &NETAVARK_FOLDERS),
        )
    };
    vec![finding]
}

/// The table `network`, file by file.
fn configuration(machine: &Machine) -> toml::Table {
    let mut all = toml::Table::new();
    for text in CONFIGURATION.iter().filter_map(|path| machine.text(Path::new(path))) {
        let file: toml::Table = text.parse().unwrap_or_default();
        if let Some(toml::Value::Table(network)) = file.get("network") {
            all.extend(network.clone());
        }
    }
    all
}

fn folders(network: &toml::Table, key: &str, otherwise: &[&str]) -> Vec<PathBuf> {
    let named = network.get(key).and_then(toml::Value::as_array);
    let named: Vec<PathBuf> = named
        .into_iter()
        .flatten()
        .filter_map(|folder| folder.as_str().map(PathBuf::from))
        .collect();
    if named.is_empty() {
        otherwise.iter().map(PathBuf::from).collect()
    } else {
        named
    }
}

fn by_cni(machine: &Machine, folders: &[PathBuf]) -> Finding {
    if folders
        .iter()
        .any(|folder| machine.is_program(&folder.join(CNI_PROGRAM)))
    {
        let says =
            format!("finds {CNI_PROGRAM}: give it a conflist, as jackfield network inspect --cni NAME prints it");
        return Finding::well("podman", says);
    }
    let (says, fix) = missing(CNI_PROGRAM, CNI_PROGRAM, folders);
    Finding::broken("podman", says, fix)
}

/// The plugin's file has the driver's name; Podman knows a network's driver by it.
fn by_netavark(machine: &Machine, host: &OwnHost, folders: &[PathBuf]) -> Finding {
    let known = |name: &String| name.starts_with("jackfield") || host.drivers.contains(name);
    let found: Vec<String> = folders
        .iter()
        .flat_map(|folder| {
            let names = machine.names(folder).into_iter();
            names
                .filter(|name| machine.is_program(&folder.join(name)))
                .collect::<Vec<_>>()
        })
        .filter(known)
        .collect();
    match found.first() {
        Some(first) => Finding::well(
            "podman",
            format!(
                "finds {}: podman network create --driver {first} NAME; from netavark 1.6 on",
                found.join(", ")
            ),
        ),
        None => {
            let (says, fix) = missing(NETAVARK_PROGRAM, "jackfield", folders);
            Finding::broken("podman", says, fix)
        }
    }
}

fn missing(program: &str, name: &str, folders: &[PathBuf]) -> (String, String) {
    let shown: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let first = folders
        .last()
        .map(|folder| folder.display().to_string())
        .unwrap_or_default();
    (
        format!("finds no plugin of the host's in {}", shown.join(", ")),
        format!("mkdir -p {first} && ln -s {PROGRAMS}/{program} {first}/{name}"),
    )
}

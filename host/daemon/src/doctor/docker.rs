//! Docker finds drivers by their sockets.

use std::path::Path;

use super::{Finding, Machine, OwnHost};

const FOLDER: &str = "/run/docker/plugins";

pub(super) fn examine(machine: &Machine, host: &OwnHost) -> Vec<Finding> {
    if machine.program("dockerd").is_none() {
        return Vec::new();
    }
    let (living, dead): (Vec<String>, Vec<String>) = sockets(machine, host)
        .into_iter()
        .partition(|name| machine.answers(&Path::new(FOLDER).join(format!("{name}.sock"))) == Some(true));
    let mut findings: Vec<Finding> = dead.iter().map(|name| stale(name)).collect();
    findings.push(match living.first() {
        Some(first) => Finding::well(
            "docker",
            format!(
                "finds {}: docker network create --driver {first} NAME",
                living.join(", ")
            ),
        ),
        None if host.answers.is_none() => Finding::broken(
            "docker",
            format!("finds no driver in {FOLDER}, since the host does not serve"),
            "start the host: see above",
        ),
        None => Finding::broken(
            "docker",
            format!("finds no driver of the host's in {FOLDER}"),
            format!("jackfield serve --docker-plugins {FOLDER}"),
        ),
    });
    findings
}

/// The drivers' names that Docker sees: the built-in ones' begin with the host's own.
fn sockets(machine: &Machine, host: &OwnHost) -> Vec<String> {
    let names = machine.names(Path::new(FOLDER));
    let ours = |name: &String| name.starts_with("jackfield-") || host.drivers.contains(name);
    names
        .iter()
        .filter_map(|name| name.strip_suffix(".sock"))
        .map(str::to_owned)
        .filter(ours)
        .collect()
}

/// A dead socket makes dockerd wait for 15 seconds wherever it asks every plugin.
fn stale(name: &str) -> Finding {
    Finding::broken(
        "docker",
        format!("nobody answers on {FOLDER}/{name}.sock: dockerd waits 15 seconds for it again and again"),
        format!("rm {FOLDER}/{name}.sock"),
    )
}

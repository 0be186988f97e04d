//! What the kernel has.

use std::path::Path;

use super::{Finding, Machine};

/// The oldest kernel that the host works on: some of the messages that it sends are newer than others.
const OLDEST: (u32, u32) = (5, 18);

pub(super) fn examine(machine: &Machine, missing: &[&str]) -> Vec<Finding> {
    let mut findings = vec![version(machine)];
    findings.extend(missing.iter().map(|kind| {
        Finding::note(
            "kernel",
            format!("the kernel has no links of kind {kind}: drivers that make them say so when they are asked to"),
            format!("modprobe {}", module(kind)),
        )
    }));
    findings
}

fn version(machine: &Machine) -> Finding {
    let release = machine
        .text(Path::new("/proc/sys/kernel/osrelease"))
        .unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Finding::well("kernel", format!("Linux {release}")),
        (Some(_), Some(_)) => Finding::broken(
            "kernel",
            format!(
                "Linux {release} is too old: the host needs {}.{} or newer",
                OLDEST.0, OLDEST.1
            ),
            "boot a newer kernel",
        ),
        _ => Finding::note(
            "kernel",
            "the kernel does not say its version",
            "mount -t proc proc /proc",
        ),
    }
}

/// As modprobe knows it.
fn module(kind: &str) -> &str {
    match kind {
        "vlan" => "8021q",
        "tap" => "tun",
        other => other,
    }
}

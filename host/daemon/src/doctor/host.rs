//! The host itself.

use super::{Finding, Machine, OwnHost};

const UNIT: [&str; 3] = [
    "/etc/systemd/system/jackfield.service",
    "/lib/systemd/system/jackfield.service",
    "/usr/lib/systemd/system/jackfield.service",
];
const GRANTS: &str = "/etc/jackfield/grants.toml";
/// Where the package has an example; without the package there is the source.
const EXAMPLE: &str = "/usr/share/doc/jackfield/grants.example.toml";

pub(super) fn examine(machine: &Machine, host: &OwnHost) -> Vec<Finding> {
    let mut findings = vec![serving(machine, host)];
    if !machine.exists(GRANTS) {
        let packaged = machine.exists(EXAMPLE);
        let example = if packaged {
            EXAMPLE
        } else {
            "drivers/grants.example.toml"
        };
        findings.push(Finding::note(
            "host",
            format!("there is no {GRANTS}: drivers that are loaded may do nothing"),
            format!("install -D {example} {GRANTS}"),
        ));
    }
    findings.extend(
        host.answers
            .as_ref()
            .and_then(|(_, forwarding)| unforwarded(machine, forwarding)),
    );
    findings
}

fn serving(machine: &Machine, host: &OwnHost) -> Finding {
    let socket = host.socket.display();
    match &host.answers {
        Some((version, _)) => Finding::well("host", format!("version {version} serves on {socket}")),
        None => {
            let has_unit = UNIT.iter().any(|unit| machine.exists(unit));
            let fix = if has_unit {
                "systemctl enable --now jackfield"
            } else {
                "jackfield serve"
            };
            Finding::broken("host", format!("nobody answers on {socket}"), fix)
        }
    }
}

/// Sandboxes reach others, and others reach published ports, by links that forward.
fn unforwarded(machine: &Machine, forwarding: &str) -> Option<Finding> {
    let switch = machine.text(std::path::Path::new("/proc/sys/net/ipv4/ip_forward"))?;
    (forwarding == "off" && switch.trim() == "0").then(|| {
        Finding::note(
            "host",
            "this machine forwards nothing, and the host may not change that: sandboxes reach this machine and each other only",
            "jackfield serve --forwarding uplinks",
        )
    })
}

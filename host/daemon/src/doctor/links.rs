//! Programs that configure every link that they see, and have to leave ours alone.

use std::path::Path;

use super::{Finding, Machine};

/// What every link's name of ours begins with, unless its network asks for another.
const PATTERN: &str = "jf*";

pub(super) fn examine(machine: &Machine) -> Vec<Finding> {
    let manager = machine.exists("/run/NetworkManager").then(|| {
        examined(
            machine,
            "NetworkManager",
            &["/etc/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"],
            "printf '[keyfile]\\nunmanaged-devices+=interface-name:jf*\\n' > /etc/NetworkManager/conf.d/jackfield.conf && systemctl reload NetworkManager",
        )
    });
    let networkd = machine.exists("/run/systemd/netif").then(|| {
        examined(
            machine,
            "systemd-networkd",
            &["/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network"],
            "printf '[Match]\\nName=jf*\\n[Link]\\nUnmanaged=yes\\n' > /etc/systemd/network/05-jackfield.network && networkctl reload",
        )
    });
    manager.into_iter().chain(networkd).collect()
}

fn examined(machine: &Machine, subject: &str, folders: &[&str], fix: &str) -> Finding {
    let files = folders.iter().map(Path::new).flat_map(|folder| {
        let names = machine.names(folder);
        names.into_iter().map(|name| folder.join(name))
    });
    let mentions = |text: String| {
        text.lines()
            .any(|line| !line.starts_with('#') && line.contains(PATTERN))
    };
    if files.filter_map(|file| machine.text(&file)).any(mentions) {
        Finding::well(subject, format!("leaves links named {PATTERN} alone"))
    } else {
        Finding::broken(subject, format!("may take links named {PATTERN} for its own"), fix)
    }
}

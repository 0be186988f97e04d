//! Other firewalls that may drop what the host lets pass, and cannot be told not to.

use super::{asked::Asked, layout::MARK};
use crate::KernelError;

/// One of them. What it drops stays dropped, whatever the host's own table accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which, as its own tools name it.
    pub by: String,
    /// Why the host cannot pass it.
    pub reason: String,
    /// What its operator can do.
    pub fix: String,
}

impl Blocked {
    /// iptables-legacy has a filter table: `iptables-legacy`, or `ip6tables-legacy`.
    pub fn by_legacy(program: &str) -> Self {
        Self {
            by: format!("filter table of {program}"),
            reason: format!("{program} keeps its tables beside nf_tables, where the host cannot put a rule"),
            fix: format!(
                "move its rules to iptables-nft and flush it, or accept packets with mark {MARK:#x}/{MARK:#x} in its FORWARD chain"
            ),
        }
    }

    /// A chain of another firewall takes no rule.
    pub(super) fn by_chain(asked: Asked, error: &KernelError) -> Self {
        let by = asked.to_string();
        let accept = format!("accept packets with mark {MARK:#x}/{MARK:#x} in it");
        if error.errno() != Some(nix::errno::Errno::EPERM) {
            let reason = format!("it takes no rule of the host's: {error}");
            return Self {
                by,
                reason,
                fix: accept,
            };
        }
        let give_up = match asked.table {
            // firewalld.conf(5), since 2.1.
            "firewalld" => "set NftablesTableOwner=no in firewalld.conf and restart firewalld",
            _ => "have its program make it without the flag owner",
        };
        Self {
            by,
            reason: "its program owns the table, so that the kernel lets nobody else put a rule into it".to_owned(),
            fix: format!("{give_up}, or {accept}"),
        }
    }
}

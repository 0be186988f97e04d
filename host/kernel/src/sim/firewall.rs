//! The host's own nftables table: a set of rules, changed by transactions.

use nix::errno::Errno;

use super::{Answer, space::Space};
use crate::{FirewallChange, plan::FirewallRule};

impl Space {
    /// All of the changes, or none.
    pub(super) fn change_firewall(&mut self, changes: &[FirewallChange]) -> Answer {
        let mut table = self.firewall.clone();
        changes.iter().try_for_each(|change| apply(&mut table, change))?;
        self.firewall = table;
        Ok(())
    }
}

fn apply(table: &mut Option<Vec<FirewallRule>>, change: &FirewallChange) -> Answer {
    match change {
        FirewallChange::EnsureTable => {
            table.get_or_insert_default();
            Ok(())
        }
        FirewallChange::DropTable => {
            *table = None;
            Ok(())
        }
        FirewallChange::Add(rule) => add(table.as_mut().ok_or(Errno::ENOENT)?, rule),
        FirewallChange::Remove(rule) => remove(table.as_mut().ok_or(Errno::ENOENT)?, rule),
    }
}

fn add(rules: &mut Vec<FirewallRule>, rule: &FirewallRule) -> Answer {
    if rules.iter().any(|there| collide(there, rule)) {
        return Err(Errno::EEXIST);
    }
    rules.push(rule.clone());
    Ok(())
}

fn remove(rules: &mut Vec<FirewallRule>, rule: &FirewallRule) -> Answer {
    let at = rules.iter().position(|there| there == rule).ok_or(Errno::ENOENT)?;
    rules.remove(at);
    Ok(())
}

/// Whether both want one element: a published port is the key of a map, whatever its target.
fn collide(a: &FirewallRule, b: &FirewallRule) -> bool {
    match (a, b) {
        (FirewallRule::Publish { mapping: a, .. }, FirewallRule::Publish { mapping: b, .. }) => {
            let ends = |start: u16, count: u16| u32::from(start) + u32::from(count);
            a.transport == b.transport
                && a.host_address == b.host_address
                && u32::from(a.host_port) < ends(b.host_port, b.count)
                && u32::from(b.host_port) < ends(a.host_port, a.count)
        }
        _ => a == b,
    }
}

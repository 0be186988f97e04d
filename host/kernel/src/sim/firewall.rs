//! The host's own nftables table: a set of rules, changed by transactions.

use nix::errno::Errno;

use super::{Answer, space::Space};
use crate::{FirewallChange, nft, plan::FirewallRule};

impl Space {
    /// A table of this name that is there is somebody else's.
    pub(super) fn add_resolver(&mut self, port: u16) -> Answer {
        if self.resolver.is_some() {
            return Err(Errno::EEXIST);
        }
        self.resolver = Some(port);
        Ok(())
    }

    pub(super) fn delete_resolver(&mut self) -> Answer {
        self.resolver.take().map(drop).ok_or(Errno::ENOENT)
    }

    /// All of the changes, or none.
    pub(super) fn change_firewall(&mut self, changes: &[FirewallChange]) -> Answer {
        changes.iter().try_for_each(expressible)?;
        let mut table = self.firewall.clone();
        changes.iter().try_for_each(|change| apply(&mut table, change))?;
        self.firewall = table;
        Ok(())
    }
}

/// What cannot be written is refused before anything is sent.
fn expressible(change: &FirewallChange) -> Answer {
    match change {
        FirewallChange::Add(rule) | FirewallChange::Remove(rule) => match nft::lines(std::slice::from_ref(rule)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::EINVAL),
        },
        FirewallChange::EnsureTable | FirewallChange::DropTable => Ok(()),
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
    if rules.iter().any(|there| nft::collide(there, rule)) {
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

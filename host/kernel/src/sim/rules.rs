//! Rules of routing policy (net/core/fib_rules.c).

use jackfield_model::{Family, IpNetwork};
use nix::errno::Errno;

use super::{
    Answer,
    routes::{FROM_KERNEL, masked},
    space::Space,
};
use crate::{RuleInfo, plan::Rule};

/// What every namespace begins with: tables local, main and, for IPv4, default.
pub(super) fn initial() -> Vec<RuleInfo> {
    let rule = |family, priority, table| RuleInfo {
        rule: Rule {
            family,
            priority,
            table,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
        },
        protocol: FROM_KERNEL,
    };
    vec![
        rule(Family::Ipv4, 0, 255),
        rule(Family::Ipv4, 32_766, 254),
        rule(Family::Ipv4, 32_767, 253),
        rule(Family::Ipv6, 0, 255),
        rule(Family::Ipv6, 32_766, 254),
    ]
}

impl Space {
    pub(super) fn add_rule(&mut self, rule: &Rule, protocol: u8) -> Answer {
        let rule = kept(rule);
        if self.rules.iter().any(|there| exists(&there.rule, &rule)) {
            return Err(Errno::EEXIST);
        }
        // Behind those of its priority.
        let at = self
            .rules
            .iter()
            .position(|r| (r.rule.family, r.rule.priority) > (rule.family, rule.priority));
        self.rules
            .insert(at.unwrap_or(self.rules.len()), RuleInfo { rule, protocol });
        Ok(())
    }

    pub(super) fn delete_rule(&mut self, rule: &Rule, protocol: u8) -> Answer {
        let rule = kept(rule);
        let meant = |there: &RuleInfo| there.protocol == protocol && is_meant(&there.rule, &rule);
        let at = self.rules.iter().position(meant).ok_or(Errno::ENOENT)?;
        self.rules.remove(at);
        Ok(())
    }
}

/// A selector of length zero selects everything, and the kernel does not keep it; host bits are not sent.
fn kept(rule: &Rule) -> Rule {
    let selector = |network: Option<IpNetwork>| network.filter(|n| n.prefix() > 0).map(masked);
    Rule {
        from: selector(rule.from),
        to: selector(rule.to),
        fwmark: rule.fwmark.filter(|m| *m != 0),
        ..rule.clone()
    }
}

/// The kernel's test for a rule that is there already: a selector that the new one leaves out fits any (`fib4_rule_compare`).
fn exists(there: &Rule, new: &Rule) -> bool {
    let same = |r: &Rule| (r.family, r.priority, r.table, r.iif.clone(), r.oif.clone(), r.fwmark);
    same(there) == same(new) && selectors_fit(there, new)
}

fn selectors_fit(there: &Rule, wanted: &Rule) -> bool {
    wanted.from.is_none_or(|from| there.from == Some(from)) && wanted.to.is_none_or(|to| there.to == Some(to))
}

/// A deletion fits any rule in what it leaves out.
fn is_meant(there: &Rule, wanted: &Rule) -> bool {
    let open = |given: bool, same: bool| !given || same;
    there.family == wanted.family
        && open(wanted.priority != 0, there.priority == wanted.priority)
        && open(wanted.table != 0, there.table == wanted.table)
        && open(wanted.iif.is_some(), there.iif == wanted.iif)
        && open(wanted.oif.is_some(), there.oif == wanted.oif)
        && open(wanted.fwmark.is_some(), there.fwmark == wanted.fwmark)
        && selectors_fit(there, wanted)
}

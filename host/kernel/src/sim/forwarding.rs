//! Forwarding databases (`rtnl_fdb_add` of net/core/rtnetlink.c, net/bridge/br_fdb.c, drivers/net/vxlan).
//!
//! An entry with a destination is sent to the link itself, one without to the bridge that the link is a port of.

use nix::errno::Errno;

use super::{
    Answer,
    link::{Link, Nature},
    space::Space,
};
use crate::{Ifindex, plan::ForwardingEntry};

impl Space {
    /// Adds an entry, or replaces the one for the same MAC; only where a VXLAN floods are there several.
    pub(super) fn add_forwarding(&mut self, link: Ifindex, entry: &ForwardingEntry) -> Answer {
        let entry = accepted(self.link(link)?, entry)?;
        if entry.destination.is_none() && entry.mac.is_none() {
            return Err(Errno::EINVAL);
        }
        let database = self.database(link, &entry);
        self.forwarding
            .retain(|(of, there)| !(database.contains(of) && replaces(&entry, there)));
        self.forwarding.push((link, entry));
        Ok(())
    }

    pub(super) fn delete_forwarding(&mut self, link: Ifindex, entry: &ForwardingEntry) -> Answer {
        let entry = accepted(self.link(link)?, entry)?;
        let tunnel = self.is_vxlan(link);
        let meant = |there: &ForwardingEntry| {
            there.mac == entry.mac && (!tunnel || *there == entry) && same_table(there, &entry)
        };
        let at = self
            .forwarding
            .iter()
            .position(|(of, there)| *of == link && meant(there))
            .ok_or(Errno::ENOENT)?;
        self.forwarding.remove(at);
        Ok(())
    }

    /// The links that share the database of the entry: the ports of one bridge, or the link alone.
    fn database(&self, link: Ifindex, entry: &ForwardingEntry) -> Vec<Ifindex> {
        let bridge = self
            .links
            .get(&link)
            .and_then(|l| l.controller)
            .filter(|_| entry.destination.is_none());
        let ports = |bridge| {
            self.links
                .iter()
                .filter(move |(_, l)| l.controller == Some(bridge))
                .map(|(index, _)| *index)
        };
        bridge.map_or_else(|| vec![link], |bridge| ports(bridge).collect())
    }

    /// What is sent to a link that has no database goes to the addresses that it listens to, which no dump shows.
    pub(super) fn shows(&self, link: Ifindex, entry: &ForwardingEntry) -> bool {
        entry.destination.is_none() || self.is_vxlan(link)
    }

    /// A link that leaves its bridge takes its entries there along.
    pub(super) fn forget_static(&mut self, link: Ifindex) {
        self.forwarding
            .retain(|(of, entry)| *of != link || entry.destination.is_some());
    }

    fn is_vxlan(&self, link: Ifindex) -> bool {
        self.links
            .get(&link)
            .is_some_and(|l| matches!(l.nature, Nature::Vxlan { .. }))
    }
}

/// The entry as the database keeps it, where it takes it.
fn accepted(link: &Link, entry: &ForwardingEntry) -> Answer<ForwardingEntry> {
    if entry.vlan.is_some_and(|vlan| !(1..4095).contains(&vlan)) {
        return Err(Errno::EINVAL);
    }
    match (&link.nature, entry.destination) {
        (Nature::Vxlan { vni, over_ipv6, .. }, Some(to)) => {
            let kept = ForwardingEntry {
                vni: entry.vni.filter(|v| v != vni),
                vlan: None,
                ..entry.clone()
            };
            if *over_ipv6 == to.is_ipv6() {
                Ok(kept)
            } else {
                Err(Errno::EAFNOSUPPORT)
            }
        }
        (_, None) if link.controller.is_none() => Err(Errno::EOPNOTSUPP),
        // No plan gives a bridge's port a VLAN, and an entry needs one that is there.
        (_, _) if entry.vlan.is_some() => Err(Errno::EINVAL),
        (Nature::Macvlan { .. }, Some(_)) => Err(Errno::EINVAL),
        _ => Ok(ForwardingEntry {
            vni: None,
            ..entry.clone()
        }),
    }
}

fn same_table(a: &ForwardingEntry, b: &ForwardingEntry) -> bool {
    a.destination.is_some() == b.destination.is_some()
}

fn replaces(new: &ForwardingEntry, there: &ForwardingEntry) -> bool {
    same_table(new, there) && new.mac == there.mac && (new.mac.is_some() || new == there)
}

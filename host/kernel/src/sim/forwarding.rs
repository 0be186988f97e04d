//! Forwarding databases (`rtnl_fdb_add` of net/core/rtnetlink.c, net/bridge/br_fdb.c, drivers/net/vxlan).
//!
//! An entry with a destination is sent to the link itself, one without to the bridge that the link is a port of.

use nix::errno::Errno;

use super::{
    Answer,
    link::{Link, Nature},
    space::Space,
};
use crate::{
    Ifindex,
    plan::{ForwardingEntry, MacvlanMode},
};

impl Space {
    /// Adds an entry, or replaces the one for the same MAC; only where a VXLAN floods are there several.
    pub(super) fn add_forwarding(&mut self, link: Ifindex, entry: &ForwardingEntry) -> Answer {
        let holder = self.holder(link, entry)?;
        let entry = accepted(self.link(holder)?, entry)?;
        let several = entry.mac.is_none() && self.is_vxlan(holder);
        let replaced = |there: &ForwardingEntry| there.mac == entry.mac && (!several || *there == entry);
        let gone: Vec<_> = self
            .held_by(holder)
            .filter(|(_, there)| replaced(there))
            .map(|(at, _)| at)
            .collect();
        for at in gone.into_iter().rev() {
            self.forwarding.remove(at);
        }
        self.forwarding.push((link, entry));
        Ok(())
    }

    pub(super) fn delete_forwarding(&mut self, link: Ifindex, entry: &ForwardingEntry) -> Answer {
        let holder = self.holder(link, entry)?;
        let meant = match &self.link(holder)?.nature {
            nature @ Nature::Vxlan { .. } => of_tunnel(nature, entry),
            _ => ForwardingEntry {
                vni: None,
                ..entry.clone()
            },
        };
        let tunnel = self.is_vxlan(holder);
        let fits = |there: &ForwardingEntry| {
            if tunnel {
                *there == meant
            } else {
                (there.mac, there.vlan) == (meant.mac, meant.vlan)
            }
        };
        let sent_here = |at: usize| self.forwarding.get(at).is_some_and(|(of, _)| *of == link);
        let at = self
            .held_by(holder)
            .filter(|(at, there)| sent_here(*at) && fits(there))
            .map(|(at, _)| at)
            .next();
        self.forwarding.remove(at.ok_or(Errno::ENOENT)?);
        Ok(())
    }

    /// The link whose database the entry is for: without a destination, that of the port's bridge.
    fn holder(&self, link: Ifindex, entry: &ForwardingEntry) -> Answer<Ifindex> {
        let there = self.link(link)?;
        let vlan_fits = entry.vlan.is_none_or(|vlan| (1..4095).contains(&vlan));
        match (&there.nature, entry.destination) {
            (Nature::Loopback, _) => Err(Errno::EINVAL),
            _ if !vlan_fits => Err(Errno::EINVAL),
            (_, None) => there.controller.ok_or(Errno::EOPNOTSUPP),
            (Nature::Macvlan { mode, .. }, Some(_)) if *mode != MacvlanMode::Passthru => Err(Errno::EOPNOTSUPP),
            (_, Some(_)) => Ok(link),
        }
    }

    /// The entries of one database, with their places: those sent to it, and those sent to its ports for it.
    fn held_by(&self, holder: Ifindex) -> impl Iterator<Item = (usize, &ForwardingEntry)> {
        let held = move |(of, entry): &(Ifindex, ForwardingEntry)| match entry.destination {
            Some(_) => *of == holder,
            None => self.links.get(of).is_some_and(|l| l.controller == Some(holder)),
        };
        self.forwarding
            .iter()
            .enumerate()
            .filter(move |(_, there)| held(there))
            .map(|(at, (_, entry))| (at, entry))
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
fn accepted(holder: &Link, entry: &ForwardingEntry) -> Answer<ForwardingEntry> {
    match (&holder.nature, entry.destination) {
        (nature @ Nature::Vxlan { over_ipv6, .. }, Some(to)) => {
            if *over_ipv6 == to.is_ipv6() {
                Ok(of_tunnel(nature, entry))
            } else {
                Err(Errno::EAFNOSUPPORT)
            }
        }
        (Nature::Bridge, _) if entry.mac.is_none() => Err(Errno::EINVAL),
        // No plan gives a bridge's port a VLAN, and an entry needs one that is there.
        _ if entry.vlan.is_some() => Err(Errno::EINVAL),
        _ => Ok(ForwardingEntry {
            vni: None,
            ..entry.clone()
        }),
    }
}

/// A VXLAN does not look at VLANs, and keeps a VNI only where it is another than its own.
fn of_tunnel(nature: &Nature, entry: &ForwardingEntry) -> ForwardingEntry {
    let own = if let Nature::Vxlan { vni, .. } = nature {
        Some(*vni)
    } else {
        None
    };
    ForwardingEntry {
        vni: entry.vni.filter(|vni| Some(*vni) != own),
        vlan: None,
        ..entry.clone()
    }
}

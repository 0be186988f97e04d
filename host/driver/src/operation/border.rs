//! Who may pass the border of a network: what is let in to its endpoints' own addresses, and whether they reach each other.

use std::net::IpAddr;

use jackfield_kernel::plan::{Entry, FirewallRule};
use jackfield_model::{Error, Family, IpNetwork, LinkName, Result};

use super::{Operation, running::Running};
use crate::{LinkId, grants::Want};

/// How the world outside reaches the endpoints of a network, in one family. Docker has the same under `gateway_mode_ipv4` and `_ipv6`; its
/// `isolated` is a network whose bridge has no gateway's address, which is the driver's to leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// By published ports alone. What is sent to an endpoint's own address is dropped.
    Nat,
    /// By published ports, and by any packet that finds the way to an endpoint's own address.
    NatUnprotected,
    /// At the endpoint's own address, by the ports that are published, and echo requests. Nothing is translated.
    Routed,
}

/// Who may pass a link of a network, beyond what holds for all: members of a network reach each other and the world, and not the members of
/// other networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// None leaves the family as it is without a guard: everybody but members of other networks may enter.
    pub ipv4: Option<Gateway>,
    /// The same.
    pub ipv6: Option<Gateway>,
    /// Whether endpoints on this link reach each other other than by published ports.
    pub icc: bool,
    /// Links of the host by which everything may enter. Another network's link among them lets that network in.
    pub trusted: Vec<LinkName>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            ipv4: None,
            ipv6: None,
            icc: true,
            trusted: Vec::new(),
        }
    }
}

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn guard(&mut self, link: LinkId, guard: &Guard) -> Result<()> {
        let run = self.call()?;
        let want = Want::Firewall { verb: "guard" };
        run.check_step(&want)?;
        let name = run.firewall_link(link)?;
        if run.links.get(link)?.adopted {
            return run.guard_laid(&want, &name, guard);
        }
        let is_bridge = run.links.get(link)?.kind == "bridge";
        for rule in rules(&name, guard) {
            run.firewall(&want, rule)?;
        }
        run.links.get_mut(link)?.routed = families(guard)
            .into_iter()
            .filter_map(|(family, gateway)| (gateway == Some(Gateway::Routed)).then_some(family))
            .collect();
        if is_bridge && !guard.icc {
            // What goes from port to port comes by the firewall only where bridge-nf-call-iptables is set.
            run.isolate_ports(link)?;
        }
        Ok(())
    }

    pub fn masquerade_as(&mut self, subnet: IpNetwork, link: LinkId, source: IpAddr) -> Result<()> {
        let run = self.call()?;
        let want = Want::Firewall { verb: "masquerade" };
        run.check_masquerade(&want, subnet)?;
        if Family::of(source) != Family::of(subnet.ip()) || source.is_unspecified() || source.is_multicast() {
            return Err(Error::invalid(format!(
                "{source} cannot be the source of what leaves {subnet}: expected an address of the host of the same family"
            )));
        }
        run.allow(&Want::Address {
            address: IpNetwork::from(source),
        })?;
        let link = run.firewall_link(link)?;
        run.firewall(&want, FirewallRule::MasqueradeAs { subnet, link, source })
    }
}

impl Running {
    /// Whether published ports of that family are the endpoint's own, opened.
    pub(super) fn routed(&self, family: Family) -> bool {
        self.links.iter().any(|entry| entry.routed.contains(&family))
    }

    /// The guard of a network that is laid on a bridge of somebody else's: of its own subnets there.
    fn guard_laid(&mut self, want: &Want<'_>, link: &LinkName, guard: &Guard) -> Result<()> {
        if !guard.icc || [guard.ipv4, guard.ipv6].contains(&Some(Gateway::Routed)) {
            return Err(Error::invalid(format!(
                "bridge {link} is the host's: that endpoints on it do not reach each other, or are reached without translation, can be said of a bridge of the network's own"
            )));
        }
        laid_rules(link, &self.pools, guard)
            .into_iter()
            .try_for_each(|rule| self.firewall(want, rule))
    }

    /// Verb and subnet of a masquerade.
    pub(super) fn check_masquerade(&self, want: &Want<'_>, subnet: IpNetwork) -> Result<()> {
        self.check_step(want)?;
        if subnet.ip() != subnet.network() {
            return Err(Error::invalid(format!(
                "{subnet} is an address inside a subnet, not a subnet"
            )));
        }
        self.allow(&Want::Masquerade { subnet })
    }
}

/// What a guard is made of.
fn rules(link: &LinkName, guard: &Guard) -> Vec<FirewallRule> {
    let entry = |(family, gateway): (Family, Option<Gateway>)| {
        gateway.map(|gateway| FirewallRule::Entry {
            link: link.clone(),
            family,
            entry: entry(gateway),
        })
    };
    let trusted = trusted(guard).into_iter().map(|from| FirewallRule::Trusted {
        link: link.clone(),
        from,
    });
    let closed = (!guard.icc).then(|| FirewallRule::Closed { link: link.clone() });
    families(guard)
        .into_iter()
        .filter_map(entry)
        .chain(trusted)
        .chain(closed)
        .collect()
}

/// The same on a bridge that carries others' traffic too.
fn laid_rules(link: &LinkName, pools: &[IpNetwork], guard: &Guard) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for subnet in pools.iter().copied() {
        let (_, gateway) = families(guard)[usize::from(subnet.is_ipv6())];
        rules.extend(gateway.map(|gateway| FirewallRule::LaidEntry {
            link: link.clone(),
            subnet,
            entry: entry(gateway),
        }));
        rules.extend(trusted(guard).into_iter().map(|from| FirewallRule::LaidTrusted {
            link: link.clone(),
            subnet,
            from,
        }));
    }
    rules
}

fn trusted(guard: &Guard) -> Vec<LinkName> {
    let mut trusted = guard.trusted.clone();
    trusted.sort();
    trusted.dedup();
    trusted
}

/// IPv4 first.
fn families(guard: &Guard) -> [(Family, Option<Gateway>); 2] {
    [(Family::Ipv4, guard.ipv4), (Family::Ipv6, guard.ipv6)]
}

fn entry(gateway: Gateway) -> Entry {
    match gateway {
        Gateway::Nat => Entry::Published,
        Gateway::NatUnprotected => Entry::Anything,
        Gateway::Routed => Entry::Open,
    }
}

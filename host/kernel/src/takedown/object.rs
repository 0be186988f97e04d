//! When two steps are about the same thing in the kernel: of two operations at most one can have made it, since makes are exclusive.

use std::net::IpAddr;

use jackfield_model::{IpNetwork, PortMapping};

use crate::{
    LinkAt, Make, Place, Removal,
    plan::{FirewallRule, ForwardingEntry, LinkSetting, Route, Rule, SysctlKey},
};

/// What a step makes, changes or removes, without the values that do not tell it apart from others.
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    /// A setting of a link.
    Setting(LinkAt, &'a LinkSetting),
    /// An address.
    Address(LinkAt, IpNetwork),
    /// A neighbour.
    Neighbour(LinkAt, IpAddr),
    /// A proxy neighbour.
    ProxyNeighbour(LinkAt, IpAddr),
    /// A forwarding entry.
    Forwarding(LinkAt, &'a ForwardingEntry),
    /// A route.
    Route(Place, &'a Route),
    /// A rule.
    Rule(&'a Rule),
    /// A sysctl.
    Sysctl(LinkAt, &'a SysctlKey),
    /// A link's queueing disciplines.
    Bandwidth(LinkAt),
    /// Elements of the table.
    Firewall(&'a FirewallRule),
    /// The table in the sandbox.
    Resolver,
}

impl<'a> Object<'a> {
    /// Of a make; None for a link, made or lent, which is known by its index and MAC.
    pub fn made(make: &'a Make) -> Option<Self> {
        Some(match make {
            Make::Link(_) | Make::Lend(_) => return None,
            Make::Set { link, to, .. } => Self::Setting(*link, to),
            Make::Address { link, address } => Self::Address(*link, *address),
            Make::Neighbour { link, address, .. } => Self::Neighbour(*link, *address),
            Make::ProxyNeighbour { link, address } => Self::ProxyNeighbour(*link, *address),
            Make::Forwarding { link, entry } => Self::Forwarding(*link, entry),
            Make::Route { place, route } => Self::Route(*place, route),
            Make::Rule(rule) => Self::Rule(rule),
            Make::Sysctl { link, key, .. } => Self::Sysctl(*link, key),
            Make::Bandwidth { link, .. } => Self::Bandwidth(*link),
            Make::Firewall(rule) => Self::Firewall(rule),
            Make::Resolver { .. } => Self::Resolver,
        })
    }

    /// Of a removal; None for a link and for tracked connections, which nobody makes by a plan.
    pub fn removed(removal: &'a Removal) -> Option<Self> {
        Some(match removal {
            Removal::Link { .. } | Removal::Conntrack { .. } => return None,
            Removal::Address { link, address } => Self::Address(*link, *address),
            Removal::Neighbour { link, address } => Self::Neighbour(*link, *address),
            Removal::ProxyNeighbour { link, address } => Self::ProxyNeighbour(*link, *address),
            Removal::Forwarding { link, entry } => Self::Forwarding(*link, entry),
            Removal::Route { place, route } => Self::Route(*place, route),
            Removal::Rule(rule) => Self::Rule(rule),
            Removal::Firewall(rule) => Self::Firewall(rule),
        })
    }

    /// In which of an operation's namespaces it is.
    pub fn place(&self) -> Place {
        match self {
            Self::Setting(at, _)
            | Self::Address(at, _)
            | Self::Neighbour(at, _)
            | Self::ProxyNeighbour(at, _)
            | Self::Forwarding(at, _)
            | Self::Sysctl(at, _)
            | Self::Bandwidth(at) => at.place,
            Self::Route(place, _) => *place,
            Self::Rule(_) | Self::Firewall(_) => Place::Realm,
            Self::Resolver => Place::Sandbox,
        }
    }

    /// Whether both are the same thing, where their places mean the same namespaces.
    pub fn is(&self, other: &Object<'_>) -> bool {
        match (self, other) {
            (Self::Setting(a, x), Object::Setting(b, y)) => {
                a == b && std::mem::discriminant(*x) == std::mem::discriminant(*y)
            }
            (Self::Address(a, x), Object::Address(b, y)) => a == b && x == y,
            (Self::Neighbour(a, x), Object::Neighbour(b, y)) => a == b && x == y,
            (Self::ProxyNeighbour(a, x), Object::ProxyNeighbour(b, y)) => a == b && x == y,
            (Self::Forwarding(a, x), Object::Forwarding(b, y)) => a == b && x == y,
            (Self::Route(a, x), Object::Route(b, y)) => a == b && x == y,
            (Self::Rule(a), Object::Rule(b)) => a == b,
            (Self::Sysctl(a, x), Object::Sysctl(b, y)) => a == b && x == y,
            (Self::Bandwidth(a), Object::Bandwidth(b)) => a == b,
            (Self::Firewall(a), Object::Firewall(b)) => same_elements(a, b),
            (Self::Resolver, Object::Resolver) => true,
            _ => false,
        }
    }
}

/// A published port belongs to whoever published it, whatever it leads to.
fn same_elements(a: &FirewallRule, b: &FirewallRule) -> bool {
    match (a, b) {
        (FirewallRule::Publish { mapping: a, .. }, FirewallRule::Publish { mapping: b, .. }) => overlap(a, b),
        _ => a == b,
    }
}

fn overlap(a: &PortMapping, b: &PortMapping) -> bool {
    let end = |m: &PortMapping| u32::from(m.host_port) + u32::from(m.count);
    a.transport == b.transport
        && a.host_address == b.host_address
        && u32::from(a.host_port) < end(b)
        && u32::from(b.host_port) < end(a)
}

//! Which rules the kernel does not let stand side by side.

use ipnetwork::IpNetwork;
use jackfield_model::{LinkName, PortMapping};

use super::is_range;
use crate::plan::FirewallRule;

/// See [`crate::nft::collide`].
pub(super) fn collide(there: &FirewallRule, new: &FirewallRule) -> bool {
    use FirewallRule::{Closed, Entry, Home, Internal, Member, Open, Publish, Spread, Together, Trusted, Virtual};
    match (there, new) {
        (Publish { mapping: there, .. }, Publish { mapping: new, .. }) => same_port(there, new),
        (Open { .. }, Open { .. }) => opened(there)
            .zip(opened(new))
            .is_some_and(|(there, new)| same_port(&there, &new)),
        (Internal { link: there }, Internal { link: new })
        | (Member { link: there }, Member { link: new })
        | (Closed { link: there }, Closed { link: new }) => there == new,
        (Together { a, b }, Together { a: c, b: d }) => (a, b) == (c, d) || (a, b) == (d, c),
        (
            Spread { address, side, .. },
            Spread {
                address: a, side: s, ..
            },
        ) => (address, side) == (a, s),
        (Virtual { address, subnet }, Virtual { address: a, subnet: s }) => {
            address == a && subnet.contains(s.network())
        }
        (Home { .. }, Home { .. }) | (Trusted { .. }, Trusted { .. }) => there == new,
        (Entry { link, family, .. }, Entry { link: l, family: f, .. }) => (link, family) == (l, f),
        _ => masqueraded(there, new) || within(there, new) || super::laid::collide(there, new),
    }
}

/// Of single ports any two the same, of ranges an end of the new one within that which is there. A range and single ports are in two sets.
fn same_port(there: &PortMapping, new: &PortMapping) -> bool {
    let set = |mapping: &PortMapping| (mapping.transport, mapping.host_address, is_range(mapping));
    let ports = |mapping: &PortMapping| mapping.host_port..=mapping.host_port + (mapping.count - 1);
    let ends = [*ports(new).start(), *ports(new).end()];
    let encloses = !is_range(new) && ports(new).contains(&there.host_port);
    set(there) == set(new) && (encloses || ends.iter().any(|end| ports(there).contains(end)))
}

/// An open port as one that is published at the endpoint's own address.
fn opened(rule: &FirewallRule) -> Option<PortMapping> {
    let FirewallRule::Open {
        transport,
        target,
        port,
        count,
    } = rule
    else {
        return None;
    };
    Some(PortMapping {
        transport: *transport,
        container_port: *port,
        host_address: *target,
        host_port: *port,
        count: *count,
    })
}

/// Both kinds share the set of a subnet's own links; each has a set of subnets for itself, in which none may overlap.
fn masqueraded(there: &FirewallRule, new: &FirewallRule) -> bool {
    let Some((there_kind, there_subnet, there_link)) = masquerade(there) else {
        return false;
    };
    let Some((kind, subnet, link)) = masquerade(new) else {
        return false;
    };
    let overlap = there_subnet.contains(subnet.network()) || subnet.contains(there_subnet.network());
    let an_end = there_subnet.contains(subnet.network()) || there_subnet.contains(subnet.broadcast());
    let own = there_link == link && an_end;
    kind == there_kind && overlap || own
}

fn masquerade(rule: &FirewallRule) -> Option<(bool, IpNetwork, &LinkName)> {
    match rule {
        FirewallRule::Masquerade { subnet, link } => Some((false, *subnet, link)),
        FirewallRule::MasqueradeAs { subnet, link, .. } => Some((true, *subnet, link)),
        _ => None,
    }
}

/// An end of a new pair of subnets within a pair that is there.
fn within(there: &FirewallRule, new: &FirewallRule) -> bool {
    let holds = |(from, to): &(IpNetwork, IpNetwork), (a, b): &(IpNetwork, IpNetwork)| {
        from.contains(a.network()) && to.contains(b.network())
            || from.contains(a.broadcast()) && to.contains(b.broadcast())
    };
    let there = pairs(there);
    pairs(new).iter().any(|new| there.iter().any(|there| holds(there, new)))
}

fn pairs(rule: &FirewallRule) -> Vec<(IpNetwork, IpNetwork)> {
    match rule {
        FirewallRule::Inside { subnet } => vec![(*subnet, *subnet)],
        FirewallRule::Across { a, b } => vec![(*a, *b), (*b, *a)],
        _ => vec![],
    }
}

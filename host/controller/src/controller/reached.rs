//! What a realm reaches by itself: what a new network's pools must not overlap, lest they take traffic away from where it goes today.

use jackfield_kernel::{
    Dump,
    plan::{Ifindex, RouteKind},
};
use jackfield_model::{Family, IpNetwork, Options};

use crate::ipam::Reached;

/// The kernel's own table of its addresses (RT_TABLE_LOCAL of linux/rtnetlink.h): those are read as addresses.
const LOCAL: u32 = 255;
/// Options by which a network is laid on a link that is there: that it shares the link's subnet is the point of it.
const LAID_ON: [&str; 3] = ["parent", "bridge", "com.docker.network.bridge.name"];

/// Routes of every table, since a rule can send anything to any of them, and the subnets of the realm's addresses, which may have no route
/// (`noprefixroute`). Not what covers all the world, as default routes do, nor link-local and loopback addresses, nor what belongs to the
/// link that the network is laid on.
pub fn reached(dump: &Dump, options: &Options) -> Vec<Reached> {
    let laid_on: Vec<Ifindex> = dump
        .links
        .iter()
        .filter(|link| {
            LAID_ON
                .iter()
                .any(|key| options.get(*key).is_some_and(|name| *name == link.name.as_str()))
        })
        .map(|link| link.index)
        .collect();
    let routes = dump.routes.iter().map(|r| &r.route);
    let routes = routes.filter(|r| r.kind == RouteKind::Unicast && r.table != Some(LOCAL));
    let routes = routes.map(|r| (r.destination, r.link));
    let addresses = dump.addresses.iter().map(|a| (a.address, Some(a.index)));
    let there = routes.chain(addresses).filter(|(subnet, link)| {
        !covers_the_world(*subnet) && !is_everywhere(*subnet) && !link.is_some_and(|l| laid_on.contains(&l))
    });
    there
        .map(|(subnet, link)| Reached {
            subnet: IpNetwork::new(subnet.network(), subnet.prefix()).unwrap_or(subnet),
            by: name_of(dump, link),
        })
        .collect()
}

fn name_of(dump: &Dump, link: Option<Ifindex>) -> String {
    let link = dump.links.iter().find(|l| Some(l.index) == link);
    link.map_or_else(|| "several hops".to_owned(), |l| l.name.to_string())
}

/// A default route, or a part of one: OpenVPN writes it in two halves, and IPv6's may be 2000::/3, all that is given out.
fn covers_the_world(subnet: IpNetwork) -> bool {
    let widest = if subnet.is_ipv4() { 1 } else { 3 };
    subnet.prefix() <= widest
}

/// Loopback and link-local addresses: every host has them.
fn is_everywhere(subnet: IpNetwork) -> bool {
    let everywhere: &[([u8; 2], u8)] = match Family::of(subnet.ip()) {
        Family::Ipv4 => &[([127, 0], 8), ([169, 254], 16)],
        // fe80::/10; ::1 has no other like it.
        Family::Ipv6 => &[([0xfe, 0x80], 10)],
    };
    let octets = match subnet.ip() {
        std::net::IpAddr::V4(a) => [a.octets()[0], a.octets()[1]],
        std::net::IpAddr::V6(a) => [a.octets()[0], a.octets()[1]],
    };
    let bits = u16::from_be_bytes(octets);
    let begins = |(first, length): &([u8; 2], u8)| {
        subnet.prefix() >= *length && (bits ^ u16::from_be_bytes(*first)) >> (16 - length) == 0
    };
    everywhere.iter().any(begins) || subnet.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_host_has_and_what_covers_the_world_is_in_nobodys_way() {
        for (subnet, counts) in [
            ("0.0.0.0/0", false),
            ("128.0.0.0/1", false),
            ("2000::/3", false),
            ("127.0.0.0/8", false),
            ("169.254.0.0/16", false),
            ("169.254.7.0/24", false),
            ("fe80::/64", false),
            ("::1/128", false),
            ("169.0.0.0/8", true),
            ("10.0.0.0/8", true),
            ("64.0.0.0/2", true),
            ("100.64.0.0/10", true),
            ("fc00::/7", true),
            ("fec0::/10", true),
        ] {
            let subnet: IpNetwork = subnet.parse().unwrap();
            assert_eq!(!covers_the_world(subnet) && !is_everywhere(subnet), counts, "{subnet}");
        }
    }
}

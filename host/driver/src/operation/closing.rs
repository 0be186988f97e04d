//! What the host adds to a plan by itself when the driver's call ended well, whether the driver thought of it or not.

use std::net::{IpAddr, Ipv6Addr};

use jackfield_kernel::{AddressInfo, Ifindex, LinkAt, Make, PROTOCOL, Place, plan::FirewallRule};
use jackfield_model::{IpNetwork, LinkName, MacAddr};

use super::{
    running::Running,
    table::{Entry, Origin},
};
use crate::Phase;

impl Running {
    /// Adds it. What create-endpoint recorded is looked at with the join: only then it is known which link leaves for the sandbox.
    pub(super) fn close(&mut self) {
        if !matches!(self.context.phase, Phase::CreateNetwork | Phase::Join | Phase::Program) {
            return;
        }
        self.give_link_local();
        self.give_adopted_link_local();
        self.keep_apart();
        if self.context.network.as_ref().is_some_and(|network| network.internal) {
            self.cut_off();
        }
    }

    /// A link by which the host routes IPv6 gets a link-local address: from that it asks for neighbours on behalf of others (ndisc_solicit in
    /// net/ipv6/ndisc.c sends nothing without one), and as the kernel makes none on our links, forwarded packets would find nobody.
    fn give_link_local(&mut self) {
        let routing = |entry: &&Entry| self.stays_here(entry) && self.routes_ipv6(entry.at);
        let links: Vec<(LinkAt, MacAddr)> = self
            .links
            .iter()
            .filter(routing)
            .filter_map(|e| Some((e.at, e.mac?)))
            .collect();
        for (link, mac) in links {
            self.plan
                .makes
                .extend(link_local(mac).map(|address| Make::Address { link, address }));
        }
    }

    /// The same for a bridge of somebody else's on which the network has its IPv6 gateway, where its owner gave it none. Each network on it has
    /// an address of its own: either may go first, and what it made goes with it.
    fn give_adopted_link_local(&mut self) {
        if self.context.phase != Phase::CreateNetwork || !self.pools.iter().any(IpNetwork::is_ipv6) {
            return;
        }
        let bare = |entry: &&Entry| entry.adopted && self.lacks_link_local(entry);
        let bare: Vec<LinkAt> = self.links.iter().filter(bare).map(|entry| entry.at).collect();
        for link in bare {
            self.plan
                .makes
                .extend(link_local(MacAddr::random()).map(|address| Make::Address { link, address }));
        }
    }

    /// Whether an adopted bridge is the network's gateway, and has no link-local address but such as networks have put there. Where the kernel
    /// cannot be read, its owner is taken to have seen to it.
    fn lacks_link_local(&self, entry: &Entry) -> bool {
        let Ok(dump) = self.kernel().dump(self.namespace()) else {
            return false;
        };
        let there = || dump.addresses.iter().filter(|a| a.index == entry.at.index);
        let in_pool = |address: IpAddr| self.pools.iter().any(|pool| pool.is_ipv6() && pool.contains(address));
        let planned =
            self.plan.makes.iter().any(
                |make| matches!(make, Make::Address { link, address } if *link == entry.at && in_pool(address.ip())),
            );
        let owners = |a: &AddressInfo| a.protocol != PROTOCOL && is_link_local(a.address.ip());
        (planned || there().any(|a| in_pool(a.address.ip()))) && !there().any(owners)
    }

    /// Whether IPv6 goes by that link, and no link-local address is there yet.
    fn routes_ipv6(&self, at: LinkAt) -> bool {
        let addresses = || {
            self.plan.makes.iter().filter_map(move |make| match make {
                Make::Address {
                    link,
                    address: IpNetwork::V6(v6),
                } if *link == at => Some(v6.ip()),
                _ => None,
            })
        };
        let routed = |make: &Make| matches!(make, Make::Route { route, .. } if route.link == Some(at.index) && route.destination.is_ipv6());
        let any = addresses().next().is_some() || self.plan.makes.iter().any(routed);
        any && !addresses().any(|address| address.is_unicast_link_local())
    }

    /// An internal network's links are cut off from the world.
    fn cut_off(&mut self) {
        let rules = self
            .new_members()
            .into_iter()
            .map(|link| FirewallRule::Internal { link });
        self.add_firewall(rules.collect());
    }

    /// Networks do not reach each other: their links are known as theirs, and what belongs together as such.
    fn keep_apart(&mut self) {
        let new = self.new_members();
        let mut rules: Vec<_> = new
            .iter()
            .map(|link| FirewallRule::Member { link: link.clone() })
            .collect();
        rules.extend(together(&new, &self.earlier_members()));
        match self.context.phase {
            Phase::CreateNetwork => {
                rules.extend(one_network(&self.pools));
                rules.extend(self.laid());
            }
            _ => rules.extend(new.iter().flat_map(|link| self.homes(link))),
        }
        self.add_firewall(rules);
    }

    /// The network's subnets on a bridge of somebody else's, whose other traffic is not the network's.
    fn laid(&self) -> Vec<FirewallRule> {
        let adopted = self.links.iter().filter(|entry| entry.adopted);
        let on = |entry: &Entry| {
            let link = entry.name.clone();
            self.pools.iter().map(move |subnet| FirewallRule::Laid {
                link: link.clone(),
                subnet: *subnet,
            })
        };
        adopted.flat_map(on).collect()
    }

    /// Links of this plan by which the network's traffic comes and goes: not ports, whose bridge is what counts.
    fn new_members(&self) -> Vec<LinkName> {
        let outer = |entry: &&Entry| self.stays_here(entry) && !self.is_planned_port(entry.at.index);
        self.links
            .iter()
            .filter(outer)
            .map(|entry| entry.name.clone())
            .collect()
    }

    /// The network's own links, made with it.
    fn earlier_members(&self) -> Vec<LinkName> {
        let of_network =
            |entry: &&Entry| entry.origin == Origin::Own && !entry.of_endpoint && entry.at.place == Place::Realm;
        self.links
            .iter()
            .filter(of_network)
            .map(|entry| entry.name.clone())
            .collect()
    }

    /// The endpoint's addresses are at home on its link, unless that is closed to its neighbours.
    fn homes(&self, link: &LinkName) -> Vec<FirewallRule> {
        let closed = Make::Firewall(FirewallRule::Closed { link: link.clone() });
        let addresses = self.context.endpoint.iter().flat_map(|endpoint| &endpoint.addresses);
        addresses
            .filter(|_| !self.plan.makes.contains(&closed))
            .map(|address| FirewallRule::Home {
                link: link.clone(),
                address: address.ip(),
            })
            .collect()
    }

    fn add_firewall(&mut self, rules: Vec<FirewallRule>) {
        for make in rules.into_iter().map(Make::Firewall) {
            if !self.plan.makes.contains(&make) {
                self.plan.makes.push(make);
            }
        }
    }

    /// A new link that neither is in the sandbox nor leaves for it.
    fn stays_here(&self, entry: &Entry) -> bool {
        entry.origin == Origin::New && entry.at.place == Place::Realm && self.interface != Some(entry.at.index)
    }

    fn is_planned_port(&self, index: Ifindex) -> bool {
        use jackfield_kernel::plan::LinkSetting::Controller;
        let port = |make: &Make| matches!(make, Make::Set { link, to: Controller(Some(_)), .. } if link.index == index);
        self.plan.makes.iter().any(port)
    }
}

/// Each new link with every other of the network's, where pairs are few: the links of other endpoints are not among them.
fn together(new: &[LinkName], earlier: &[LinkName]) -> Vec<FirewallRule> {
    let pair = |a: &LinkName, b: &LinkName| FirewallRule::Together {
        a: a.clone(),
        b: b.clone(),
    };
    let later = |at: usize| new.iter().skip(at + 1);
    new.iter()
        .enumerate()
        .flat_map(|(at, a)| later(at).chain(earlier).map(move |b| pair(a, b)))
        .collect()
}

/// The subnets of one network, each with itself and with every other of its family.
fn one_network(pools: &[IpNetwork]) -> Vec<FirewallRule> {
    let mut rules = Vec::new();
    for (at, a) in pools.iter().enumerate() {
        rules.push(FirewallRule::Inside { subnet: *a });
        let same_family = pools.iter().skip(at + 1).filter(|b| a.is_ipv4() == b.is_ipv4());
        rules.extend(same_family.map(|b| FirewallRule::Across { a: *a, b: *b }));
    }
    rules
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The link-local address that follows from a MAC (RFC 4291, appendix A). Unique on the link, as the MAC is.
fn link_local(mac: MacAddr) -> Option<IpNetwork> {
    let [a, b, c, d, e, f] = mac.octets();
    let octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    IpNetwork::new(IpAddr::V6(Ipv6Addr::from(octets)), 64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_local_address_follows_from_the_mac() {
        let address = link_local("02:42:ac:11:00:02".parse().unwrap()).unwrap();
        assert_eq!(address.to_string(), "fe80::42:acff:fe11:2/64");
    }
}

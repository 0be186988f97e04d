//! What the host adds to a plan by itself when the driver's call ended well, whether the driver thought of it or not.

use std::net::{IpAddr, Ipv6Addr};

use jackfield_kernel::{Ifindex, LinkAt, Make, Place, plan::FirewallRule};
use jackfield_model::{IpNetwork, MacAddr};

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

    /// An internal network's links are cut off from the world, and its members may reach each other.
    fn cut_off(&mut self) {
        let outer = |entry: &&Entry| self.stays_here(entry) && !self.is_planned_port(entry.at.index);
        let mut rules: Vec<FirewallRule> = self
            .links
            .iter()
            .filter(outer)
            .map(|entry| FirewallRule::Internal {
                link: entry.name.clone(),
            })
            .collect();
        if self.context.phase == Phase::CreateNetwork {
            rules.extend(self.pools.iter().map(|subnet| FirewallRule::Inside { subnet: *subnet }));
        }
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

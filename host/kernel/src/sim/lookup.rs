//! Which way a packet would go: for `ip route get`, and for the kernel's own question where a gateway is.

use std::net::IpAddr;

use jackfield_model::{Family, IpNetwork};
use nix::errno::Errno;

use super::{
    Answer,
    routes::{Entry, MAIN, metric},
    space::Space,
};
use crate::{
    Ifindex, RouteLookup,
    plan::{RouteKind, Rule},
};

/// RT_TABLE_LOCAL: addresses of this host; it is asked before all others.
const LOCAL: u32 = 255;

/// What a gateway's address turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Somebody on that link.
    Link(Ifindex),
    /// This host itself, by that link's address.
    Local(Ifindex),
    /// The broadcast address of a subnet.
    Broadcast,
}

impl Space {
    /// How a packet of this host would leave. None when it would not: no route, or one that refuses.
    pub(super) fn way_to(&self, destination: IpAddr) -> Option<RouteLookup> {
        if let Some(local) = self.local_way(destination) {
            return Some(local);
        }
        let entry = self.routed(destination, None, &|_| true)?;
        if entry.route.kind != RouteKind::Unicast {
            return None;
        }
        let source = entry.route.source.or_else(|| self.source_for(entry, destination));
        Some(RouteLookup {
            link: entry.link(),
            gateway: entry.route.gateway,
            source,
        })
    }

    /// To itself a host talks by the loopback.
    fn local_way(&self, destination: IpAddr) -> Option<RouteLookup> {
        let loopback = self
            .links
            .iter()
            .find(|(_, l)| l.is_loopback())
            .map(|(index, _)| *index);
        self.is_local(destination).then_some(RouteLookup {
            link: loopback,
            gateway: None,
            source: Some(destination),
        })
    }

    /// An address of the link: one of the next hop's subnet, or else its first; of any link, where it has none.
    fn source_for(&self, entry: &Entry, destination: IpAddr) -> Option<IpAddr> {
        let (link, hop) = (entry.link()?, entry.route.gateway.unwrap_or(destination));
        let of_link = || self.addresses_of(link, destination.is_ipv4()).filter(|a| !a.secondary);
        let near = of_link().find(|a| a.address.contains(hop));
        let any = || {
            self.addresses
                .iter()
                .find(|a| a.address.is_ipv4() == destination.is_ipv4() && !a.host)
        };
        near.or_else(|| of_link().next()).or_else(any).map(|a| a.address.ip())
    }

    /// The route of the first table that has one, in the order of the rules.
    fn routed(&self, to: IpAddr, link: Option<Ifindex>, fits: &dyn Fn(&Entry) -> bool) -> Option<&Entry> {
        let rules = self.rules.iter().map(|info| &info.rule);
        rules
            .filter(|rule| applies(rule, to))
            .find_map(|rule| self.routed_by(rule.table, to, link, fits))
    }

    /// The most specific route of a table, and of those the one with the lowest metric.
    fn routed_by(
        &self,
        table: u32,
        to: IpAddr,
        link: Option<Ifindex>,
        fits: &dyn Fn(&Entry) -> bool,
    ) -> Option<&Entry> {
        let leads =
            |e: &&Entry| e.table() == table && e.route.destination.contains(to) && (link.is_none() || e.link() == link);
        let better = |e: &&Entry| (std::cmp::Reverse(e.route.destination.prefix()), metric(&e.route));
        self.routes.iter().filter(leads).filter(|e| fits(e)).min_by_key(better)
    }

    /// IPv4: where a gateway is, by the route's own table and then by the rules (`fib_check_nh_gw`).
    pub(super) fn find_gateway(&self, gateway: IpAddr, link: Option<Ifindex>, table: u32) -> Answer<Found> {
        // Only a route with the scope of a link, or narrower, says that somebody is on it: one without a gateway.
        let near = |e: &Entry| e.route.gateway.is_none() && e.route.kind == RouteKind::Unicast;
        let by_table = if table == MAIN {
            None
        } else {
            self.routed_by(table, gateway, link, &near)
        };
        if let Some(found) = by_table.and_then(Entry::link) {
            return Ok(Found::Link(found));
        }
        if let Some(found) = self.own_ipv4(gateway, link) {
            return Ok(found);
        }
        self.routed(gateway, link, &near)
            .and_then(Entry::link)
            .map(Found::Link)
            .ok_or(Errno::ENETUNREACH)
    }

    /// What table local says: addresses of this host, and the broadcast addresses of the subnets whose links are up.
    fn own_ipv4(&self, ip: IpAddr, link: Option<Ifindex>) -> Option<Found> {
        let mut candidates = self.addresses.iter().filter(|a| link.is_none_or(|l| a.link == l));
        candidates.find_map(|a| match a.address {
            own if own.ip() == ip => Some(Found::Local(a.link)),
            IpNetwork::V4(v4)
                if v4.prefix() < 31 && !a.secondary && IpAddr::V4(v4.broadcast()) == ip && self.is_up(a.link) =>
            {
                Some(Found::Broadcast)
            }
            _ => None,
        })
    }

    /// IPv6: the link that a gateway is on (`ip6_route_check_nh`). The answer has to need no gateway itself.
    pub(super) fn ipv6_neighbourhood(&self, gateway: IpAddr, link: Option<Ifindex>, table: u32) -> Answer<Ifindex> {
        let near = |e: &&Entry| e.route.gateway.is_none() && e.route.kind == RouteKind::Unicast;
        let by_table = self.routed_by(table, gateway, link, &|_| true).filter(near);
        let by_rules = || self.routed(gateway, link, &|_| true).filter(near);
        by_table
            .or_else(by_rules)
            .and_then(Entry::link)
            .ok_or(Errno::EHOSTUNREACH)
    }
}

/// Whether a rule is asked about a packet of this host whose source is not known yet.
fn applies(rule: &Rule, to: IpAddr) -> bool {
    let unmarked = rule.fwmark.is_none_or(|mark| mark == 0);
    let unbound = rule.iif.is_none() && rule.oif.is_none();
    rule.family == Family::of(to)
        && rule.table != LOCAL
        && rule.from.is_none()
        && rule.to.is_none_or(|network| network.contains(to))
        && unmarked
        && unbound
}

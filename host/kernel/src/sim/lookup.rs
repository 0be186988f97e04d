//! Which way a packet would go: for `ip route get`, and for the kernel's own question where a gateway is.

use std::net::IpAddr;

use jackfield_model::{Family, IpNetwork};
use nix::errno::Errno;

use super::{
    Answer,
    addresses::{Address, one_subnet},
    link::Link,
    routes::{Entry, MAIN, metric},
    space::Space,
};
use crate::{
    Ifindex, LinkQuery, RouteLookup,
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
        if self
            .own(destination, None)
            .is_some_and(|(found, _)| matches!(found, Found::Local(_)))
        {
            return self.local_way(destination);
        }
        let entry = self.routed(destination, None, true, &|_| true)?;
        if entry.route.kind != RouteKind::Unicast {
            return None;
        }
        let source = entry.route.source.or_else(|| self.source_for(entry, destination));
        let gateway = entry.route.gateway.filter(|_| !entry.by_itself);
        Some(RouteLookup {
            link: entry.link(),
            gateway,
            source,
        })
    }

    /// To itself a host talks by the loopback.
    fn local_way(&self, destination: IpAddr) -> Option<RouteLookup> {
        let loopback = self
            .links
            .iter()
            .find(|(_, l)| l.is_loopback() && l.speaks(Family::of(destination)))?
            .0;
        match self.own(destination, None)? {
            (Found::Local(_), source) => Some(RouteLookup {
                link: Some(*loopback),
                gateway: None,
                source: Some(source),
            }),
            _ => None,
        }
    }

    /// An address of the link: one of the next hop's subnet, or else its first; of any link, where it has none.
    fn source_for(&self, entry: &Entry, destination: IpAddr) -> Option<IpAddr> {
        let (link, hop) = (entry.link()?, entry.route.gateway.unwrap_or(destination));
        let of_link = || {
            self.addresses_of(link, destination.is_ipv4())
                .filter(|a| !a.secondary && !a.host)
        };
        let near = of_link().find(|a| a.address.contains(hop));
        let made = |a: &&Address| self.links.get(&a.link).map(|l| l.number);
        let fits = |a: &&Address| a.address.is_ipv4() == destination.is_ipv4() && !a.host && !a.secondary;
        let any = || self.addresses.iter().filter(fits).min_by_key(made);
        near.or_else(|| of_link().next()).or_else(any).map(|a| a.address.ip())
    }

    /// The route of the first table that has one, in the order of the rules. What this host sends itself comes in by the loopback.
    fn routed(&self, to: IpAddr, link: Option<Ifindex>, sent: bool, fits: &dyn Fn(&Entry) -> bool) -> Option<&Entry> {
        let rules = self.rules.iter().map(|info| &info.rule);
        rules
            .filter(|r| applies(r, to) && self.comes_in(r, sent))
            .find_map(|r| self.routed_by(r.table, to, link, fits))
    }

    /// Whether a rule for one incoming link is asked; IPv6 looks for a gateway as if nothing came in at all.
    fn comes_in(&self, rule: &Rule, sent: bool) -> bool {
        let by_loopback = |name| {
            self.find(LinkQuery::Name(name))
                .is_some_and(|(_, link)| link.is_loopback())
        };
        rule.iif.as_ref().is_none_or(|name| sent && by_loopback(name))
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
        if let Some((found, _)) = self.own(gateway, link) {
            return Ok(found);
        }
        self.routed(gateway, link, true, &near)
            .and_then(Entry::link)
            .map(Found::Link)
            .ok_or(Errno::ENETUNREACH)
    }

    /// What table local says, and from which address: addresses of this host, and the broadcast addresses of the subnets whose links are
    /// up. On the loopback a subnet is this host's as a whole.
    pub(super) fn own(&self, ip: IpAddr, link: Option<Ifindex>) -> Option<(Found, IpAddr)> {
        let candidates = || self.addresses.iter().filter(|a| link.is_none_or(|l| a.link == l));
        if let Some(exact) = candidates().find(|a| a.address.ip() == ip) {
            return Some((Found::Local(exact.link), self.first_of_subnet(exact)));
        }
        if candidates().any(|a| self.broadcasts(a, ip)) {
            return Some((Found::Broadcast, ip));
        }
        let subnet = candidates().find(|a| self.is_whole(a) && a.address.contains(ip))?;
        Some((Found::Local(subnet.link), subnet.address.ip()))
    }

    /// The address that a secondary one stands behind, or else itself.
    fn first_of_subnet(&self, address: &Address) -> IpAddr {
        let first = |a: &&Address| a.link == address.link && !a.secondary && one_subnet(a.address, address.address);
        self.addresses
            .iter()
            .find(first)
            .filter(|_| address.secondary)
            .unwrap_or(address)
            .address
            .ip()
    }

    fn broadcasts(&self, of: &Address, ip: IpAddr) -> bool {
        let IpNetwork::V4(v4) = of.address else { return false };
        v4.prefix() < 31 && !of.secondary && IpAddr::V4(v4.broadcast()) == ip && self.is_up(of.link)
    }

    fn is_whole(&self, address: &Address) -> bool {
        let loopback = self.links.get(&address.link).is_some_and(|l| l.is_loopback() && l.up);
        loopback && address.address.is_ipv4() && !address.secondary
    }

    /// IPv6: the link that a gateway is on (`ip6_route_check_nh`). The answer has to need no gateway itself.
    pub(super) fn ipv6_neighbourhood(&self, gateway: IpAddr, link: Option<Ifindex>, table: u32) -> Answer<Ifindex> {
        // A route by the loopback leads nowhere, whatever its type says.
        let loops = |e: &Entry| e.link().and_then(|l| self.links.get(&l)).is_some_and(Link::is_loopback);
        let near = |e: &&Entry| e.route.gateway.is_none() && e.route.kind == RouteKind::Unicast && !loops(e);
        let by_table = self.routed_by(table, gateway, link, &|_| true).filter(near);
        let by_rules = || self.routed(gateway, link, false, &|_| true).filter(near);
        by_table
            .or_else(by_rules)
            .and_then(Entry::link)
            .ok_or(Errno::EHOSTUNREACH)
    }

    /// IPv6: whether the main table leaves it open that a gateway is on that link (`ip6_route_check_nh_onlink`).
    pub(super) fn may_be_on(&self, link: Ifindex, gateway: IpAddr) -> bool {
        let Some(found) = self.routed_by(MAIN, gateway, None, &|_| true) else {
            return true;
        };
        let beside =
            |e: &Entry| e.table() == MAIN && e.route.destination == found.route.destination && e.link() == Some(link);
        found.route.kind != RouteKind::Unicast
            || found.route.destination.prefix() == 0
            || self.routes.iter().any(beside)
    }
}

/// Whether a rule is asked about a packet of this host whose source is not known yet.
fn applies(rule: &Rule, to: IpAddr) -> bool {
    let unmarked = rule.fwmark.is_none_or(|mark| mark == 0);
    rule.family == Family::of(to)
        && rule.table != LOCAL
        && rule.from.is_none()
        && rule.to.is_none_or(|network| network.contains(to))
        && unmarked
        && rule.oif.is_none()
}

//! Routes (net/ipv4/fib_semantics.c and fib_trie.c, net/ipv6/route.c and ip6_fib.c).
//!
//! The two families agree on little: IPv4 asks for a gateway by scope where IPv6 looks at the route it is on, they report an unreachable
//! one by different errors, and where IPv4 keeps a link's addresses while it is down, IPv6 forgets them.

use std::net::IpAddr;

use jackfield_model::{Family, IpNetwork};
use nix::errno::Errno;

use super::{Answer, lookup::Found, space::Space};
use crate::{
    Ifindex, RouteInfo,
    plan::{Route, RouteKind},
};

/// RT_TABLE_MAIN of linux/rtnetlink.h.
pub(super) const MAIN: u32 = 254;
/// RTPROT_KERNEL.
pub(super) const FROM_KERNEL: u8 = 2;
/// IP6_RT_PRIO_USER of net/ip6_route.h: what zero means for IPv6.
const USER_METRIC: u32 = 1024;
/// IP6_RT_PRIO_ADDRCONF: routes to the subnets of addresses.
const ADDRESS_METRIC: u32 = 256;
/// RTAX_ADVMSS is cut to this, and RTAX_MTU to the next (`ip_metrics_convert` of net/ipv4/metrics.c).
const MOST_ADVMSS: u32 = 65_535 - 40;
const MOST_MTU: u32 = 65_535 - 15;

/// A route as it stands in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) route: Route,
    pub(super) protocol: u8,
    /// Its gateway is this host itself: an old way of saying that there is none.
    pub(super) by_itself: bool,
}

impl Entry {
    pub(super) fn link(&self) -> Option<Ifindex> {
        self.route.link
    }

    pub(super) fn table(&self) -> u32 {
        table(&self.route)
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.route.destination.is_ipv6()
    }

    /// Whether both stand in one place: a table has one route to a destination with one metric that was made exclusively.
    fn collides(&self, other: &Route) -> bool {
        self.table() == table(other)
            && self.route.destination == other.destination
            && metric(&self.route) == metric(other)
    }

    /// As a dump shows it.
    pub(super) fn info(&self) -> RouteInfo {
        let table = self.route.table.filter(|t| *t != MAIN);
        let default = if self.is_ipv6() { USER_METRIC } else { 0 };
        let metric = Some(metric(&self.route)).filter(|m| *m != default);
        RouteInfo {
            route: Route {
                table,
                metric,
                ..self.route.clone()
            },
            protocol: self.protocol,
        }
    }
}

fn table(route: &Route) -> u32 {
    route.table.filter(|t| *t != 0).unwrap_or(MAIN)
}

/// The metric that a route gets: IPv6 has no zero.
pub(super) fn metric(route: &Route) -> u32 {
    match route.metric.unwrap_or(0) {
        0 if route.destination.is_ipv6() => USER_METRIC,
        given => given,
    }
}

/// The destination without host bits.
pub(super) fn masked(subnet: IpNetwork) -> IpNetwork {
    // The prefix is the one that it has already.
    IpNetwork::new(subnet.network(), subnet.prefix()).unwrap_or(subnet)
}

impl Space {
    pub(super) fn add_route(&mut self, wanted: &Route, protocol: u8) -> Answer {
        let route = if wanted.destination.is_ipv4() {
            self.check_ipv4(wanted)?
        } else {
            self.check_ipv6(wanted)?
        };
        if self.routes.iter().any(|entry| entry.collides(&route)) {
            return Err(Errno::EEXIST);
        }
        let by_itself = route.destination.is_ipv4()
            && route
                .gateway
                .is_some_and(|gateway| self.is_own_gateway(gateway, wanted));
        self.routes.push(Entry {
            route,
            protocol,
            by_itself,
        });
        Ok(())
    }

    pub(super) fn delete_route(&mut self, wanted: &Route, protocol: u8) -> Answer {
        let wanted = Route {
            destination: masked(wanted.destination),
            ..wanted.clone()
        };
        let candidates = self
            .routes
            .iter()
            .enumerate()
            .filter(|(_, e)| e.protocol == protocol && matches(&e.route, &wanted));
        let at = candidates
            .min_by_key(|(_, e)| metric(&e.route))
            .map(|(at, _)| at)
            .ok_or(Errno::ESRCH)?;
        self.routes.remove(at);
        Ok(())
    }

    /// The route as the kernel would keep it, where it takes it.
    fn check_ipv4(&self, wanted: &Route) -> Answer<Route> {
        let mut route = kept(wanted);
        route.link = self.ipv4_hop(wanted)?;
        match wanted.source {
            Some(source) if wanted.kind == RouteKind::Unicast && !self.is_local(source) => Err(Errno::EINVAL),
            _ => Ok(route),
        }
    }

    /// The link that an IPv4 route leads to (`fib_check_nh`).
    fn ipv4_hop(&self, route: &Route) -> Answer<Option<Ifindex>> {
        if route.kind != RouteKind::Unicast {
            return if route.link.is_some() || route.gateway.is_some() {
                Err(Errno::EINVAL)
            } else {
                Ok(None)
            };
        }
        match route.gateway {
            Some(gateway) if gateway.is_ipv6() => self
                .ipv6_gateway(route, gateway)
                .and_then(|link| self.open_link(link))
                .map(Some),
            Some(gateway) if route.onlink => {
                let link = self.open_link(route.link.ok_or(Errno::ENODEV)?)?;
                if self.own(gateway, None).is_some() {
                    Err(Errno::EINVAL)
                } else {
                    Ok(Some(link))
                }
            }
            Some(gateway) => self.ipv4_gateway(route, gateway).map(Some),
            None if route.onlink => Err(Errno::EINVAL),
            None => self.open_link(route.link.ok_or(Errno::ENODEV)?).map(Some),
        }
    }

    /// A gateway has to be on a link by a route that needs none itself: an address's subnet, or a route of our own to the link.
    fn ipv4_gateway(&self, route: &Route, gateway: IpAddr) -> Answer<Ifindex> {
        match self.find_gateway(gateway, route.link, table(route))? {
            Found::Link(link) => self.open_link(link),
            Found::Local(link) => self.open_link(link),
            Found::Broadcast => Err(Errno::EINVAL),
        }
    }

    fn is_own_gateway(&self, gateway: IpAddr, route: &Route) -> bool {
        matches!(
            self.find_gateway(gateway, route.link, table(route)),
            Ok(Found::Local(_))
        ) && !route.onlink
    }

    fn open_link(&self, link: Ifindex) -> Answer<Ifindex> {
        if self.link(link)?.up {
            Ok(link)
        } else {
            Err(Errno::ENETDOWN)
        }
    }

    fn check_ipv6(&self, wanted: &Route) -> Answer<Route> {
        let mut route = kept(wanted);
        route.metric = Some(metric(wanted));
        route.link = self.ipv6_hop(wanted)?;
        if wanted.kind != RouteKind::Unicast {
            route.gateway = None;
        }
        match wanted.source {
            Some(source) if !self.is_local(source) => Err(Errno::EINVAL),
            _ => Ok(route),
        }
    }

    /// The link that an IPv6 route leads to (`fib6_nh_init`).
    fn ipv6_hop(&self, route: &Route) -> Answer<Option<Ifindex>> {
        if let Some(link) = route.link {
            let down = !self.link(link)?.up;
            if !self.speaks(link, Family::Ipv6) {
                return Err(Errno::ENODEV);
            }
            if route.onlink && down {
                return Err(Errno::ENETDOWN);
            }
        }
        if route.onlink && route.link.is_none() {
            return Err(Errno::ENODEV);
        }
        if route.kind != RouteKind::Unicast {
            // The kernel hangs them on the loopback; where they lead does not matter to them.
            return Ok(None);
        }
        let link = match route.gateway {
            Some(gateway) if gateway.is_ipv4() => return Err(Errno::EINVAL),
            Some(gateway) => self.ipv6_gateway(route, gateway)?,
            None => route.link.ok_or(Errno::ENODEV)?,
        };
        if super::sysctls::ipv6_disabled(self, link) {
            return Err(Errno::EACCES);
        }
        self.open_link(link).map(Some)
    }

    /// `ip6_validate_gw`: not one of our own, and on a link by a route that has no gateway. A link-local one only needs to say which link.
    fn ipv6_gateway(&self, route: &Route, gateway: IpAddr) -> Answer<Ifindex> {
        let IpAddr::V6(v6) = gateway else {
            return Err(Errno::EINVAL);
        };
        let own = !v6.is_unicast_link_local() && self.is_local(gateway);
        if own || v6.is_multicast() || v6.is_unspecified() || v6.is_loopback() {
            return Err(Errno::EINVAL);
        }
        let link = if v6.is_unicast_link_local() {
            route.link.ok_or(Errno::EINVAL)?
        } else if route.onlink {
            route
                .link
                .filter(|link| self.may_be_on(*link, gateway))
                .ok_or(Errno::EINVAL)?
        } else {
            self.ipv6_neighbourhood(gateway, route.link, table(route))?
        };
        if self.link(link)?.is_loopback() {
            Err(Errno::EINVAL)
        } else {
            Ok(link)
        }
    }

    /// The route to a subnet that an address makes; the kernel keeps one for each link.
    pub(super) fn add_connected(&mut self, link: Ifindex, subnet: IpNetwork) {
        let source = Some(subnet.ip()).filter(IpAddr::is_ipv4);
        let metric = Some(ADDRESS_METRIC).filter(|_| subnet.is_ipv6());
        let entry = Entry {
            route: Route {
                source,
                metric,
                ..Route::connected(masked(subnet), link)
            },
            protocol: FROM_KERNEL,
            by_itself: false,
        };
        let alike = |e: &Entry| {
            e.route.destination == entry.route.destination && e.link() == Some(link) && e.route.gateway.is_none()
        };
        let there = match subnet {
            IpNetwork::V4(_) => self.routes.contains(&entry),
            IpNetwork::V6(_) => self
                .routes
                .iter()
                .any(|e| e.table() == MAIN && alike(e) && metric == e.route.metric),
        };
        if !there {
            self.routes.push(entry);
        }
    }

    /// IPv4 takes its own away. IPv6 takes the first that goes to that subnet over that link, whosever it is.
    pub(super) fn delete_connected(&mut self, link: Ifindex, subnet: IpNetwork) {
        let destination = masked(subnet);
        let there = |e: &Entry| {
            e.table() == MAIN
                && e.link() == Some(link)
                && e.route.destination == destination
                && e.route.gateway.is_none()
        };
        let own = |e: &Entry| subnet.is_ipv6() || (e.protocol == FROM_KERNEL && e.route.source == Some(subnet.ip()));
        let candidates = self.routes.iter().enumerate().filter(|(_, e)| there(e) && own(e));
        if let Some((at, _)) = candidates.min_by_key(|(_, e)| metric(&e.route)) {
            self.routes.remove(at);
        }
    }
}

/// What a table keeps of a route.
fn kept(wanted: &Route) -> Route {
    let mtu = wanted.mtu.map(|m| m.min(MOST_MTU)).filter(|m| *m != 0);
    let advmss = wanted.advmss.map(|m| m.min(MOST_ADVMSS)).filter(|m| *m != 0);
    Route {
        destination: masked(wanted.destination),
        table: Some(table(wanted)),
        mtu,
        advmss,
        ..wanted.clone()
    }
}

/// Whether a deletion means that route: what it leaves open fits anything.
fn matches(route: &Route, wanted: &Route) -> bool {
    let open = |given: bool, same: bool| !given || same;
    route.destination == wanted.destination
        && table(route) == table(wanted)
        && open(wanted.metric.is_some_and(|m| m != 0), route.metric == wanted.metric)
        && open(wanted.link.is_some(), route.link == wanted.link)
        && open(wanted.gateway.is_some(), route.gateway == wanted.gateway)
        && (wanted.destination.is_ipv6() || ipv4_matches(route, wanted))
}

/// IPv4 also looks at type, scope (which tells whether there is a gateway), source and metrics.
fn ipv4_matches(route: &Route, wanted: &Route) -> bool {
    route.kind == wanted.kind
        && route.gateway.is_some() == wanted.gateway.is_some()
        && wanted.source.is_none_or(|source| route.source == Some(source))
        && wanted.mtu.is_none_or(|mtu| route.mtu == Some(mtu))
        && wanted.advmss.is_none_or(|advmss| route.advmss == Some(advmss))
}

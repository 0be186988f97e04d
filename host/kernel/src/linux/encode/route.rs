//! Routes as RTM_NEWROUTE, RTM_DELROUTE and RTM_GETROUTE.

use std::net::IpAddr;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope, RouteType},
};

use super::{CREATE_EXCLUSIVE, family_of, serialised};
use crate::{
    PROTOCOL,
    linux::socket::Message,
    plan::{Route, RouteKind},
};

/// A new route, marked as ours.
pub(super) fn add(route: &Route) -> Message {
    serialised(CREATE_EXCLUSIVE, &RouteNetlinkMessage::NewRoute(message(route)))
}

/// A route of ours taken away.
pub(super) fn delete(route: &Route) -> Message {
    serialised(0, &RouteNetlinkMessage::DelRoute(message(route)))
}

/// Asks for all routes of a family, to be sent as a dump.
pub(in crate::linux) fn routes(family: AddressFamily) -> Message {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    serialised(0, &RouteNetlinkMessage::GetRoute(message))
}

/// Asks how an address is reached.
pub(in crate::linux) fn lookup(destination: IpAddr) -> Message {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(destination);
    message.header.destination_prefix_length = if destination.is_ipv4() { 32 } else { 128 };
    message.attributes = vec![RouteAttribute::Destination(destination.into())];
    serialised(0, &RouteNetlinkMessage::GetRoute(message))
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(route.destination.ip());
    message.header.destination_prefix_length = route.destination.prefix();
    message.header.table = RouteHeader::RT_TABLE_UNSPEC;
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.header.scope = scope(route);
    message.header.kind = kind(route.kind);
    message.header.flags = if route.onlink {
        RouteFlags::Onlink
    } else {
        RouteFlags::empty()
    };
    message.attributes = attributes(route);
    message
}

fn attributes(route: &Route) -> Vec<RouteAttribute> {
    let default = route.destination.prefix() == 0;
    [
        (!default).then(|| RouteAttribute::Destination(route.destination.network().into())),
        Some(RouteAttribute::Table(
            route.table.unwrap_or(RouteHeader::RT_TABLE_MAIN.into()),
        )),
        route.link.map(|l| RouteAttribute::Oif(l.get())),
        route.gateway.map(|gateway| via(route, gateway)),
        route.source.map(|s| RouteAttribute::PrefSource(s.into())),
        route.metric.map(RouteAttribute::Priority),
        metrics(route),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// RTA_GATEWAY, or RTA_VIA for an IPv4 route by an IPv6 gateway (RFC 5549).
fn via(route: &Route, gateway: IpAddr) -> RouteAttribute {
    match gateway {
        IpAddr::V6(v6) if route.destination.is_ipv4() => {
            RouteAttribute::Via(netlink_packet_route::route::RouteVia::Inet6(v6))
        }
        same => RouteAttribute::Gateway(same.into()),
    }
}

/// RTA_METRICS, which is not the metric that `ip route` speaks of.
fn metrics(route: &Route) -> Option<RouteAttribute> {
    let metrics: Vec<_> = [route.mtu.map(RouteMetric::Mtu), route.advmss.map(RouteMetric::Advmss)]
        .into_iter()
        .flatten()
        .collect();
    (!metrics.is_empty()).then_some(RouteAttribute::Metrics(metrics))
}

/// How far the destination is: on the link without a gateway. IPv6 has no such notion and wants zero; so do types that lead nowhere.
fn scope(route: &Route) -> RouteScope {
    if route.destination.is_ipv4() && route.gateway.is_none() && route.kind == RouteKind::Unicast {
        RouteScope::Link
    } else {
        RouteScope::Universe
    }
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    }
}

//! RTM_NEWROUTE.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_model::IpNetwork;

use super::{header_u32, network};
use crate::{
    RouteInfo, RouteLookup,
    linux::attributes::{Attributes, ip_of},
    plan::{Ifindex, Route, RouteKind},
};

/// struct rtmsg of include/uapi/linux/rtnetlink.h: family, destination and source lengths, tos, table, protocol, scope, type, flags.
const HEADER: usize = 12;
const DESTINATION_LENGTH: usize = 1;
const TABLE: usize = 4;
const PROTOCOL: usize = 5;
const TYPE: usize = 7;
const FLAGS: usize = 8;

const TABLE_MAIN: u32 = libc::RT_TABLE_MAIN as u32;
/// RTNH_F_ONLINK.
const ONLINK: u32 = 4;
/// RTM_F_CLONED: an entry of a cache.
const CLONED: u32 = 0x200;
/// RTAX_MTU and RTAX_ADVMSS.
const METRIC_MTU: u16 = 2;
const METRIC_ADVMSS: u16 = 8;
/// IP6_RT_PRIO_USER: what the kernel takes for an IPv6 route without a metric.
const DEFAULT_METRIC_IPV6: u32 = 1024;

/// A route, or one for each of its hops. None for the types that follow from addresses (local, broadcast, anycast, multicast).
pub(in crate::linux) fn routes(message: &[u8]) -> Vec<RouteInfo> {
    let attributes = Attributes::after(message, HEADER);
    let Some(whole) = route(message, attributes) else {
        return Vec::new();
    };
    match attributes.get(libc::RTA_MULTIPATH) {
        Some(hops) => hops_of(hops, &whole),
        None => vec![whole],
    }
}

fn route(message: &[u8], attributes: Attributes<'_>) -> Option<RouteInfo> {
    let kind = kind(*message.get(TYPE)?)?;
    let flags = header_u32(message, FLAGS)?;
    let ipv6 = i32::from(*message.first()?) == libc::AF_INET6;
    if flags & CLONED != 0 {
        return None;
    }
    let metrics = attributes
        .get_nested(libc::RTA_METRICS)
        .unwrap_or(Attributes::nested(&[]));
    let table = attributes
        .get_u32(libc::RTA_TABLE)
        .unwrap_or(u32::from(*message.get(TABLE)?));
    let route = Route {
        destination: destination(attributes, ipv6, *message.get(DESTINATION_LENGTH)?)?,
        // IPv6 hangs routes that lead nowhere on the loopback.
        link: attributes
            .get_u32(libc::RTA_OIF)
            .and_then(Ifindex::new)
            .filter(|_| kind == RouteKind::Unicast),
        gateway: gateway(attributes),
        source: attributes.get_ip(libc::RTA_PREFSRC),
        metric: attributes
            .get_u32(libc::RTA_PRIORITY)
            .filter(|m| !ipv6 || *m != DEFAULT_METRIC_IPV6),
        table: (table != TABLE_MAIN).then_some(table),
        kind,
        onlink: flags & ONLINK != 0,
        mtu: metrics.get_u32(METRIC_MTU),
        advmss: metrics.get_u32(METRIC_ADVMSS),
    };
    Some(RouteInfo {
        route,
        protocol: *message.get(PROTOCOL)?,
    })
}

fn kind(kind: u8) -> Option<RouteKind> {
    match kind {
        libc::RTN_UNICAST => Some(RouteKind::Unicast),
        libc::RTN_BLACKHOLE => Some(RouteKind::Blackhole),
        libc::RTN_UNREACHABLE => Some(RouteKind::Unreachable),
        libc::RTN_PROHIBIT => Some(RouteKind::Prohibit),
        _ => None,
    }
}

/// The default route has no RTA_DST.
fn destination(attributes: Attributes<'_>, ipv6: bool, length: u8) -> Option<IpNetwork> {
    let any: IpAddr = if ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    network(attributes.get_ip(libc::RTA_DST).unwrap_or(any), length)
}

/// RTA_GATEWAY, or RTA_VIA (a family of two bytes, and an address) where the gateway is of the other family.
fn gateway(attributes: Attributes<'_>) -> Option<IpAddr> {
    attributes
        .get_ip(libc::RTA_GATEWAY)
        .or_else(|| attributes.get(libc::RTA_VIA)?.get(2..).and_then(ip_of))
}

/// struct rtnexthop (length, flags, hops, index) and attributes, one behind the other.
fn hops_of(mut bytes: &[u8], whole: &RouteInfo) -> Vec<RouteInfo> {
    const HOP_HEADER: usize = 8;
    let mut hops = Vec::new();
    while let Some(length) = bytes
        .get(..2)
        .and_then(|b| b.try_into().ok())
        .map(|b| usize::from(u16::from_ne_bytes(b)))
    {
        let Some(hop) = bytes.get(..length).filter(|h| h.len() >= HOP_HEADER) else {
            break;
        };
        let link = header_u32(hop, 4).and_then(Ifindex::new);
        let onlink = hop.get(2).is_some_and(|flags| u32::from(*flags) & ONLINK != 0);
        let gateway = gateway(Attributes::after(hop, HOP_HEADER));
        hops.push(RouteInfo {
            route: Route {
                link,
                gateway,
                onlink,
                ..whole.route.clone()
            },
            protocol: whole.protocol,
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

/// Whether the answer to a look-up is that the address is one of the namespace's own.
pub(in crate::linux) fn is_local(message: &[u8]) -> bool {
    message.get(TYPE) == Some(&libc::RTN_LOCAL)
}

/// The answer to a look-up; None when the route found leads nowhere.
pub(in crate::linux) fn looked_up(message: &[u8]) -> Option<RouteLookup> {
    let attributes = Attributes::after(message, HEADER);
    let nowhere = matches!(
        *message.get(TYPE)?,
        libc::RTN_BLACKHOLE | libc::RTN_UNREACHABLE | libc::RTN_PROHIBIT
    );
    (!nowhere).then(|| RouteLookup {
        link: attributes.get_u32(libc::RTA_OIF).and_then(Ifindex::new),
        gateway: gateway(attributes),
        source: attributes.get_ip(libc::RTA_PREFSRC),
    })
}

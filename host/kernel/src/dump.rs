//! What a namespace contains, for reads and for comparing before with after.
//!
//! Only what stays the same while nobody changes it: no statistics, no ages, no neighbours that the kernel learned by itself. Every list
//! is sorted, so that two dumps of the same state are equal.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jackfield_model::{IpNetwork, LinkName, MacAddr};
use serde::{Deserialize, Serialize};

use crate::plan::{BridgePortAttributes, ForwardingEntry, Ifindex, Route, RouteKind, Rule};

/// A link as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// Its index.
    pub index: Ifindex,
    /// Its name.
    pub name: LinkName,
    /// As iproute2 names it; empty for hardware and the loopback.
    pub kind: String,
    /// Its MAC, if it has one.
    pub mac: Option<MacAddr>,
    /// Largest payload, in bytes.
    pub mtu: u32,
    /// IFF_UP: somebody set it up.
    pub up: bool,
    /// The bridge that it is a port of.
    pub controller: Option<Ifindex>,
    /// IFLA_LINK: its parent, or its peer; in another namespace the number means nothing here.
    pub parent: Option<Ifindex>,
    /// IFLA_GROUP.
    pub group: u32,
    /// IFLA_IFALIAS.
    pub alias: Option<String>,
    /// Settings as a port of a bridge.
    pub bridge_port: Option<BridgePortAttributes>,
    /// The kernel makes IPv6 link-local addresses.
    pub address_generation: bool,
}

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressInfo {
    /// On which link.
    pub index: Ifindex,
    /// Which.
    pub address: IpNetwork,
    /// IFA_PROTO; ours is [`crate::PROTOCOL`].
    pub protocol: u8,
}

/// A permanent or proxy neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourInfo {
    /// On which link.
    pub index: Ifindex,
    /// Whose address.
    pub address: IpAddr,
    /// None for a proxy entry.
    pub mac: Option<MacAddr>,
    /// NDA_PROTOCOL.
    pub protocol: u8,
}

/// A route, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteInfo {
    /// The route. The main table and IPv6's metric of 1024 are what a route gets that names none, and are read as none; one with several
    /// hops is one of these for each.
    pub route: Route,
    /// RTPROT; ours is [`crate::PROTOCOL`].
    pub protocol: u8,
}

/// A rule, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// The rule.
    pub rule: Rule,
    /// FRA_PROTOCOL.
    pub protocol: u8,
}

/// A forwarding entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingInfo {
    /// Whose database.
    pub index: Ifindex,
    /// The entry.
    pub entry: ForwardingEntry,
}

/// Everything of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// By index.
    pub links: Vec<LinkInfo>,
    /// By link, then address.
    pub addresses: Vec<AddressInfo>,
    /// By table, destination, metric.
    pub routes: Vec<RouteInfo>,
    /// By family, priority.
    pub rules: Vec<RuleInfo>,
    /// By link, then address.
    pub neighbours: Vec<NeighbourInfo>,
    /// By link, then MAC.
    pub forwarding: Vec<ForwardingInfo>,
    /// Every nftables object of the namespace, one a line, with the table's name first; handles and counters left out.
    pub firewall: Vec<String>,
    /// Per-link sysctls that a plan can change, as `ipv4/conf/eth0/proxy_arp`, to their value.
    pub sysctls: BTreeMap<String, String>,
}

impl Dump {
    /// The links of the main table's default routes, in either family.
    pub fn default_route_links(&self) -> BTreeSet<Ifindex> {
        let is_default = |route: &&Route| {
            let main = route.table.is_none_or(|table| table == u32::from(libc::RT_TABLE_MAIN));
            main && route.destination.prefix() == 0 && route.kind == RouteKind::Unicast
        };
        let routes = self.routes.iter().map(|info| &info.route).filter(is_default);
        routes.filter_map(|route| route.link).collect()
    }
}

/// Counters of a link since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatistics {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Received packets dropped.
    pub rx_dropped: u64,
    /// Sent packets dropped.
    pub tx_dropped: u64,
}

/// What `ip route get` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteLookup {
    /// By which link.
    pub link: Option<Ifindex>,
    /// By which gateway.
    pub gateway: Option<IpAddr>,
    /// From which address.
    pub source: Option<IpAddr>,
}

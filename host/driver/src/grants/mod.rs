//! Grants: what an operator lets a driver do. Every decision is taken in [`decide()`].

mod decide;
mod file;
mod line;

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnetwork::{Ipv4Network, Ipv6Network};
use jackfield_model::IpNetwork;
use serde::{Deserialize, Serialize};

pub use decide::{Denial, Want, decide};
pub use file::GrantsFile;
pub(crate) use file::read_grants;
pub(crate) use line::{covers, covers_network, line};

/// The link kinds that can be granted, by their iproute2 names.
pub const LINK_KINDS: [&str; 8] = ["bridge", "dummy", "ipvlan", "macvlan", "tap", "veth", "vlan", "vxlan"];
/// The firewall verbs that can be granted.
pub const FIREWALL_VERBS: [&str; 5] = ["guard", "internal", "isolate", "masquerade", "publish"];

/// What a driver may do. The default is nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grants {
    /// Kinds of links that it may make, by their iproute2 names.
    pub links: Vec<String>,
    /// Links of the host that it may use as parents and set addresses, routes and neighbours on; `*` at the end stands for any rest.
    pub parents: Vec<String>,
    /// Link names that it may ask for; `*` at the end stands for any rest.
    pub names: Vec<String>,
    /// Addresses that it may put on its links, besides those of the network's own pools.
    pub addresses: Vec<IpNetwork>,
    /// Destinations of its routes, besides those of the network's own pools.
    pub routes: Vec<IpNetwork>,
    /// Routing policy rules.
    pub rules: bool,
    /// Neighbours, proxy neighbours and forwarding entries.
    pub neighbours: bool,
    /// `masquerade`, `publish`, `internal`, `isolate`, `guard`.
    pub firewall: Vec<String>,
    /// Per-link sysctls, as `ipv4/conf/proxy_arp`; `*` at the end stands for any rest.
    pub sysctls: Vec<String>,
    /// Bridges of the host that its user names. The contract has no call for it, so that no file can grant it.
    #[serde(skip)]
    pub adopts: bool,
    /// Links of the host that go to a sandbox and come back. The contract has no call for it either.
    #[serde(skip)]
    pub lends: bool,
    /// Limits of receive and send rate.
    pub bandwidth: bool,
    /// Hosts and ports that it may call, as `controller.example:443`.
    pub outbound: Vec<String>,
    /// Limits.
    pub limits: Limits,
}

impl Grants {
    /// All there is, within the usual limits: what the built-in drivers have.
    pub fn everything() -> Self {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        Self {
            links: words(&LINK_KINDS),
            parents: words(&["*"]),
            names: words(&["*"]),
            addresses: ANY.to_vec(),
            routes: ANY.to_vec(),
            rules: true,
            neighbours: true,
            firewall: words(&FIREWALL_VERBS),
            sysctls: words(&["*"]),
            adopts: true,
            lends: true,
            bandwidth: true,
            outbound: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// All of IPv4, and all of IPv6.
const ANY: [IpNetwork; 2] = match (
    Ipv4Network::new_checked(Ipv4Addr::UNSPECIFIED, 0),
    Ipv6Network::new_checked(Ipv6Addr::UNSPECIFIED, 0),
) {
    (Some(v4), Some(v6)) => [IpNetwork::V4(v4), IpNetwork::V6(v6)],
    _ => panic!("zero is a prefix length"),
};

/// How much of everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// Wall time of one call, in milliseconds.
    pub deadline_ms: u64,
    /// Keys and values together, in bytes.
    pub state_bytes: u64,
    /// Links of one operation.
    pub links_per_operation: u32,
    /// Steps of one operation.
    pub steps_per_operation: u32,
    /// Calls into the host in one operation.
    pub host_calls_per_operation: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            deadline_ms: 5_000,
            state_bytes: 1 << 20,
            links_per_operation: 16,
            steps_per_operation: 1_024,
            host_calls_per_operation: 100_000,
        }
    }
}

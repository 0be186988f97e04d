//! Grants: what an operator lets a driver do. Every decision is taken here.

use jackfield_model::IpNetwork;
use serde::{Deserialize, Serialize};

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
    /// `masquerade`, `publish`, `internal`, `isolate`.
    pub firewall: Vec<String>,
    /// Per-link sysctls, as `ipv4/conf/proxy_arp`.
    pub sysctls: Vec<String>,
    /// Limits of receive and send rate.
    pub bandwidth: bool,
    /// Hosts and ports that it may call, as `controller.example:443`.
    pub outbound: Vec<String>,
    /// Limits.
    pub limits: Limits,
}

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

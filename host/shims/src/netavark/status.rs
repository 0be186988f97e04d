//! What a setup came to, as Podman keeps it.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use jackfield_model::MacAddr;
use serde_json::{Map, Value, json};

/// One interface, and DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The interface.
    pub interface: String,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Its addresses, each with the gateway of its family.
    pub addresses: Vec<(IpNetwork, Option<IpAddr>)>,
    /// Servers for the container's resolv.conf.
    pub dns_servers: Vec<IpAddr>,
}

impl Status {
    /// As it is printed.
    pub fn json(&self) -> Value {
        let subnet = |(ipnet, gateway): &(IpNetwork, Option<IpAddr>)| match gateway {
            Some(gateway) => json!({ "gateway": gateway, "ipnet": ipnet }),
            None => json!({ "ipnet": ipnet }),
        };
        let subnets: Vec<Value> = self.addresses.iter().map(subnet).collect();
        let mac = self.mac.map(|mac| mac.to_string()).unwrap_or_default();
        let interface = json!({ "mac_address": mac, "subnets": subnets });
        let interfaces = Map::from_iter([(self.interface.clone(), interface)]);
        json!({ "dns_search_domains": [], "dns_server_ips": self.dns_servers, "interfaces": interfaces })
    }
}

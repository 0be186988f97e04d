//! The messages, with the field names of libnetwork's `drivers/remote/api`. Go reads them without regard to case, and so do we where a plugin
//! writes.

use std::collections::BTreeMap;

use jackfield_model::{
    EndpointSpec, Error, Family, JoinSpec, NetworkSpec, NextHop, Options, Pool, Result, Scope, StaticRoute,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// An empty message.
#[derive(Serialize)]
pub struct Nothing {}

/// `CreateNetwork`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateNetwork {
    #[serde(rename = "NetworkID")]
    network_id: String,
    options: Value,
    #[serde(rename = "IPv4Data")]
    ipv4_data: Vec<PoolData>,
    #[serde(rename = "IPv6Data")]
    ipv6_data: Vec<PoolData>,
}

/// A pool.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PoolData {
    address_space: &'static str,
    pool: String,
    gateway: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    aux_addresses: BTreeMap<String, String>,
}

/// `CreateEndpoint`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateEndpoint {
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    interface: Interface,
    options: Value,
}

/// What an endpoint has; empty for what it has not.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Interface {
    pub address: String,
    #[serde(rename = "AddressIPv6")]
    pub address_ipv6: String,
    pub mac_address: String,
}

/// `DeleteNetwork`, and with an endpoint `DeleteEndpoint` and `Leave`.
#[derive(Serialize)]
pub struct Named {
    #[serde(rename = "NetworkID")]
    pub network: String,
    #[serde(rename = "EndpointID", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// `Join`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Join {
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    sandbox_key: String,
    options: Value,
}

/// The answer to `Plugin.Activate`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Activated {
    #[serde(rename = "implements", deserialize_with = "or_default")]
    pub implements: Vec<String>,
}

/// The answer to `GetCapabilities`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    pub scope: String,
    #[serde(rename = "connectivityscope")]
    pub connectivity_scope: String,
}

/// The answer to `CreateEndpoint`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointCreated {
    pub interface: Option<Filled>,
}

/// What the plugin filled in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filled {
    pub address: String,
    #[serde(rename = "addressipv6")]
    pub address_ipv6: String,
    #[serde(rename = "macaddress")]
    pub mac_address: String,
}

/// The answer to `Join`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Joined {
    #[serde(rename = "interfacename")]
    pub interface_name: Option<InterfaceName>,
    pub gateway: String,
    #[serde(rename = "gatewayipv6")]
    pub gateway_ipv6: String,
    #[serde(rename = "staticroutes", deserialize_with = "or_default")]
    pub static_routes: Vec<Route>,
}

/// The link that the plugin made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InterfaceName {
    #[serde(rename = "srcname")]
    pub source: String,
    #[serde(rename = "dstprefix")]
    pub prefix: String,
}

/// A route; type 0 by a next hop, 1 on the link itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Route {
    pub destination: String,
    #[serde(rename = "routetype")]
    pub kind: u8,
    #[serde(rename = "nexthop")]
    pub next_hop: String,
}

impl CreateNetwork {
    pub fn of(spec: &NetworkSpec) -> Self {
        let of_family = |family| {
            let pools = spec
                .pools
                .iter()
                .filter(move |pool| Family::of(pool.subnet.ip()) == family);
            pools.map(PoolData::of).collect::<Vec<_>>()
        };
        let (ipv4_data, ipv6_data) = (of_family(Family::Ipv4), of_family(Family::Ipv6));
        let mut options = json!({
            "com.docker.network.enable_ipv6": !ipv6_data.is_empty(),
            "com.docker.network.generic": spec.options,
        });
        if spec.internal {
            options["com.docker.network.internal"] = Value::Bool(true);
        }
        Self {
            network_id: spec.id.to_string(),
            options,
            ipv4_data,
            ipv6_data,
        }
    }
}

impl PoolData {
    fn of(pool: &Pool) -> Self {
        let within = |address: &std::net::IpAddr| format!("{address}/{}", pool.subnet.prefix());
        Self {
            address_space: "LocalDefault",
            pool: pool.subnet.to_string(),
            gateway: pool.gateway.as_ref().map(within).unwrap_or_default(),
            aux_addresses: pool
                .auxiliary
                .iter()
                .map(|(name, a)| (name.clone(), within(a)))
                .collect(),
        }
    }
}

impl CreateEndpoint {
    pub fn of(spec: &EndpointSpec) -> Self {
        let address = |family| {
            let mut of_family = spec.addresses.iter().filter(|a| Family::of(a.ip()) == family);
            of_family.next().map(ToString::to_string).unwrap_or_default()
        };
        Self {
            network_id: spec.network.to_string(),
            endpoint_id: spec.id.to_string(),
            interface: Interface {
                address: address(Family::Ipv4),
                address_ipv6: address(Family::Ipv6),
                mac_address: spec.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            },
            options: endpoint_options(&spec.options),
        }
    }
}

impl Join {
    pub fn of(spec: &JoinSpec) -> Self {
        Self {
            network_id: spec.network.id.to_string(),
            endpoint_id: spec.endpoint.id.to_string(),
            // A name for it and no path: a plugin has no business in a sandbox.
            sandbox_key: spec.sandbox.to_string(),
            options: endpoint_options(&spec.options),
        }
    }
}

/// With no ports in them: the host publishes those itself, and a plugin that did so too would be in its way.
fn endpoint_options(options: &Options) -> Value {
    let mut all: Map<String, Value> = options
        .iter()
        .map(|(k, v)| (k.clone(), Value::String(v.clone())))
        .collect();
    for key in ["com.docker.network.endpoint.exposedports", "com.docker.network.portmap"] {
        all.insert(key.to_owned(), Value::Array(Vec::new()));
    }
    Value::Object(all)
}

impl Route {
    /// # Errors
    /// invalid-argument for what is no route.
    pub fn to_static(&self) -> Result<StaticRoute> {
        let wrong = || {
            Error::invalid(format!(
                "the plugin answered a route to \"{}\" by \"{}\" of type {}: expected a subnet, and a gateway's address for type 0 or type 1",
                self.destination.escape_default(),
                self.next_hop.escape_default(),
                self.kind
            ))
        };
        let next_hop = match (self.kind, self.next_hop.parse()) {
            (0, Ok(gateway)) => NextHop::Gateway(gateway),
            (1, _) => NextHop::Connected,
            _ => return Err(wrong()),
        };
        Ok(StaticRoute {
            destination: self.destination.parse().map_err(|_| wrong())?,
            next_hop,
            attributes: Options::new(),
        })
    }
}

/// How Docker spells a scope.
pub fn scope(text: &str) -> Scope {
    if text.eq_ignore_ascii_case("global") {
        Scope::Global
    } else {
        Scope::Local
    }
}

/// Reads an answer, whatever the case of its field names.
///
/// # Errors
/// What is wrong with it.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_value(lower(serde_json::from_slice(body)?))
}

/// Keys in small letters. Of two that differ in case alone the later counts, as in Go.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(k, v)| (k.to_ascii_lowercase(), lower(v)))
            .collect(),
        Value::Array(list) => list.into_iter().map(lower).collect(),
        other => other,
    }
}

/// Go writes null for an empty list.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

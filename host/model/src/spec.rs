//! What drivers are told and what they answer, in the terms of the WIT package's `specs` interface.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{EndpointId, IpNetwork, MacAddr, Name, NetworkId, Options, SandboxId};

/// How far a network reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One host.
    #[default]
    Local,
    /// Many hosts: its state is replicated and its peers are announced.
    Global,
}

/// What a driver says of itself when it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Where the network's state lives.
    pub scope: Scope,
    /// How far its endpoints reach each other.
    pub connectivity_scope: Scope,
}

/// A pool of addresses that IPAM gave a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet; no host bits.
    pub subnet: IpNetwork,
    /// The gateway's address, inside the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Addresses set aside, by the name the user gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<(String, IpAddr)>,
}

/// A network as its driver sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its id.
    pub id: NetworkId,
    /// Its name, unique in its realm.
    pub name: Name,
    /// Driver options, untouched.
    #[serde(default)]
    pub options: Options,
    /// Labels, untouched.
    #[serde(default)]
    pub labels: Options,
    /// At most one pool a subnet, both families mixed.
    #[serde(default)]
    pub pools: Vec<Pool>,
    /// No way in or out. The host sees to it; a driver may leave out what it would do in vain.
    #[serde(default)]
    pub internal: bool,
}

/// An endpoint as its driver sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The network's id.
    pub network: NetworkId,
    /// Its own id.
    pub id: EndpointId,
    /// Given by the caller; None lets the driver choose, or else the host.
    pub mac: Option<MacAddr>,
    /// What IPAM gave it: addresses with their subnet's prefix.
    pub addresses: Vec<IpNetwork>,
    /// Driver options, untouched.
    pub options: Options,
}

/// What a driver fills in: only what the specification left open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReply {
    /// The endpoint's MAC address.
    pub mac: Option<MacAddr>,
    /// Its addresses.
    pub addresses: Vec<IpNetwork>,
}

/// A join as the driver sees it: network and endpoint as they were created, with what the driver's own reply filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinSpec {
    /// The network.
    pub network: NetworkSpec,
    /// The endpoint.
    pub endpoint: EndpointSpec,
    /// The sandbox that it joins.
    pub sandbox: SandboxId,
    /// Whether the sandbox's default route is to go by this endpoint.
    pub default_route: bool,
    /// Options of the join, untouched.
    pub options: Options,
}

/// Where a static route goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHop {
    /// By that gateway.
    Gateway(IpAddr),
    /// On the interface itself.
    Connected,
}

/// A route that the sandbox gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticRoute {
    /// Where to.
    pub destination: IpNetwork,
    /// By what.
    pub next_hop: NextHop,
    /// As `ip route` spells them: metric, src, mtu.
    #[serde(default)]
    pub attributes: Options,
}

/// What a join gives the sandbox, but for the link itself, which is a handle of the operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply<Link> {
    /// The link that becomes the sandbox's interface, and the prefix of its name there (`eth` becomes `eth0`).
    pub interface: Option<(Link, String)>,
    /// The default gateway, for IPv4.
    pub gateway_ipv4: Option<IpAddr>,
    /// The default gateway, for IPv6.
    pub gateway_ipv6: Option<IpAddr>,
    /// Metric of the default routes; None for the kernel's default.
    pub metric: Option<u32>,
    /// Connected routes are added first, then the gateways, then the rest.
    pub routes: Vec<StaticRoute>,
}

// Not derived: that would ask for a default link, and there is none.
impl<Link> Default for JoinReply<Link> {
    fn default() -> Self {
        Self {
            interface: None,
            gateway_ipv4: None,
            gateway_ipv6: None,
            metric: None,
            routes: Vec::new(),
        }
    }
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A published port, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// The protocol.
    pub transport: Transport,
    /// First port inside the sandbox.
    pub container_port: u16,
    /// The host's address; the unspecified one means all of that family.
    pub host_address: IpAddr,
    /// First port on the host; zero asks the host to choose.
    pub host_port: u16,
    /// Length of the range, 1 for a single port.
    pub count: u16,
}

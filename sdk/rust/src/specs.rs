//! What a driver is told, and what it answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Cidr, Link, Mac, Pairs};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    /// Bits of an address.
    pub fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }

    /// The address that means none, or all.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

/// How far a network reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// One host.
    #[default]
    Local,
    /// Many hosts: state is replicated, peers are announced.
    Global,
}

/// What a driver says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Where the network's state lives.
    pub scope: Scope,
    /// How far its endpoints reach each other.
    pub connectivity_scope: Scope,
}

/// A pool of addresses that the network was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The subnet.
    pub subnet: Cidr,
    /// The gateway's address, inside the subnet.
    pub gateway: Option<IpAddr>,
    /// Addresses set aside, by the name the user gave them.
    pub auxiliary: Vec<(String, IpAddr)>,
}

impl Pool {
    /// The gateway's address with the subnet's prefix, as a link carries it.
    pub fn gateway_cidr(&self) -> Option<Cidr> {
        Cidr::new(self.gateway?, self.subnet.prefix())
    }
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Driver options: read them with [`crate::Options::read`].
    pub options: Pairs,
    /// Labels.
    pub labels: Pairs,
    /// Its pools, of both families.
    pub pools: Vec<Pool>,
    /// No way in or out. The host sees to it; a driver may leave out what it would do in vain.
    pub internal: bool,
}

/// An endpoint: one attachment of a sandbox to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Its network's id.
    pub network: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// None lets the driver choose, or else the host.
    pub mac: Option<Mac>,
    /// Addresses with their subnet's prefix.
    pub addresses: Vec<Cidr>,
    /// Driver options.
    pub options: Pairs,
}

/// What the driver fills in: only what the specification left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointReply {
    /// The endpoint's MAC.
    pub mac: Option<Mac>,
    /// Its addresses.
    pub addresses: Vec<Cidr>,
}

/// A join: network and endpoint as they were created, with what the driver's reply filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinSpec {
    /// The network.
    pub network: NetworkSpec,
    /// The endpoint.
    pub endpoint: EndpointSpec,
    /// The sandbox's id.
    pub sandbox: String,
    /// Whether the sandbox's default route is to go by this endpoint.
    pub default_route: bool,
    /// Options of the join.
    pub options: Pairs,
}

/// Where a static route goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// By that gateway.
    Gateway(IpAddr),
    /// On the interface itself.
    Connected,
}

/// A route that the sandbox gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// Where to.
    pub destination: Cidr,
    /// By what.
    pub next_hop: NextHop,
    /// As `ip route` spells them: metric, src, mtu.
    pub attributes: Pairs,
}

impl StaticRoute {
    /// A route on the interface itself.
    pub fn connected(destination: Cidr) -> Self {
        Self {
            destination,
            next_hop: NextHop::Connected,
            attributes: Pairs::new(),
        }
    }
}

/// What a join gives the sandbox. The host gives the interface the endpoint's MAC and addresses and sets it up; connected routes are added
/// first, then the gateways, then the rest.
#[derive(Debug, Default)]
pub struct JoinReply {
    /// The link that becomes the sandbox's interface, and the prefix of its name there.
    pub interface: Option<(Link, String)>,
    /// Default gateways, at most one of each family.
    pub gateways: Vec<IpAddr>,
    /// Routes.
    pub routes: Vec<StaticRoute>,
}

impl JoinReply {
    /// A link for the sandbox; the prefix "eth" makes it eth0.
    pub fn interface(link: Link, prefix: impl Into<String>) -> Self {
        Self {
            interface: Some((link, prefix.into())),
            ..Self::default()
        }
    }

    /// A default gateway. It takes the place of an earlier one of its family.
    #[must_use]
    pub fn gateway(mut self, gateway: IpAddr) -> Self {
        self.gateways.retain(|g| Family::of(*g) != Family::of(gateway));
        self.gateways.push(gateway);
        self
    }

    /// A route.
    #[must_use]
    pub fn route(mut self, route: StaticRoute) -> Self {
        self.routes.push(route);
        self
    }

    /// The default gateway of a family.
    pub fn gateway_of(&self, family: Family) -> Option<IpAddr> {
        self.gateways
            .iter()
            .copied()
            .find(|gateway| Family::of(*gateway) == family)
    }
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A published port, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// An entry of a bridge's or VXLAN's forwarding database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingEntry {
    /// Whose; None is where VXLAN floods.
    pub mac: Option<Mac>,
    /// The remote tunnel endpoint, for VXLAN.
    pub destination: Option<IpAddr>,
    /// None: the VXLAN's own.
    pub vni: Option<u32>,
    /// None: untagged.
    pub vlan: Option<u16>,
}

//! Generated types and the SDK's, one into the other.

use std::net::IpAddr;

use super::bindings::jackfield::driver::{firewall as f, netlink as n, specs as s, types as t};
use crate::{
    Capabilities, Cidr, EndpointSpec, Error, ErrorCode, Family, ForwardingEntry, IpvlanMode, JoinSpec, LinkState, Mac,
    MacvlanMode, NetworkSpec, NextHop, Pool, PortMapping, Rate, Route, Scope, StaticRoute, Statistics, SysctlTable,
    Transport,
    firewall::{Border, Gateway},
    log,
};

/// From a generated type.
pub(super) trait FromWit<W>: Sized {
    fn from_wit(wit: W) -> Self;
}

/// Into a generated type.
pub(super) trait ToWit<W> {
    fn to_wit(self) -> W;
}

/// Enums whose cases have the same names on both sides.
macro_rules! same_cases {
    ($($sdk:ident = $wit:path { $($case:ident),* };)*) => {
        $(
            impl ToWit<$wit> for $sdk {
                fn to_wit(self) -> $wit {
                    match self { $( Self::$case => <$wit>::$case ),* }
                }
            }
            impl FromWit<$wit> for $sdk {
                fn from_wit(wit: $wit) -> Self {
                    match wit { $( <$wit>::$case => Self::$case ),* }
                }
            }
        )*
    };
}

same_cases! {
    Family = t::AddressFamily { Ipv4, Ipv6 };
    Scope = s::Scope { Local, Global };
    Transport = t::Transport { Tcp, Udp, Sctp };
    LinkState = n::LinkState { Planned, Down, Up };
    MacvlanMode = n::MacvlanMode { Bridge, Private, Vepa, Passthru };
    IpvlanMode = n::IpvlanMode { L2, L3, L3s };
    SysctlTable = n::SysctlTable { Conf, Neigh };
    Gateway = f::Gateway { Nat, NatUnprotected, Routed };
    ErrorCode = t::ErrorCode {
        InvalidArgument, NotFound, AlreadyExists, InUse, InvalidState, Exhausted, Denied, Unsupported, Unavailable, Internal
    };
}

impl ToWit<super::bindings::jackfield::driver::log::Level> for log::Level {
    fn to_wit(self) -> super::bindings::jackfield::driver::log::Level {
        use super::bindings::jackfield::driver::log::Level;
        match self {
            Self::Trace => Level::Trace,
            Self::Debug => Level::Debug,
            Self::Info => Level::Info,
            Self::Warn => Level::Warn,
            Self::Error => Level::Error,
        }
    }
}

impl ToWit<f::Border> for &Border {
    fn to_wit(self) -> f::Border {
        f::Border {
            ipv4: self.ipv4.map(ToWit::to_wit),
            ipv6: self.ipv6.map(ToWit::to_wit),
            icc: self.icc,
            trusted: self.trusted.clone(),
        }
    }
}

impl FromWit<t::Error> for Error {
    fn from_wit(wit: t::Error) -> Self {
        Self {
            code: FromWit::from_wit(wit.code),
            message: wit.message,
            retryable: wit.retryable,
        }
    }
}

impl ToWit<t::Error> for Error {
    fn to_wit(self) -> t::Error {
        t::Error {
            code: self.code.to_wit(),
            message: self.message,
            retryable: self.retryable,
        }
    }
}

impl FromWit<t::IpAddress> for IpAddr {
    fn from_wit(wit: t::IpAddress) -> Self {
        match wit {
            t::IpAddress::Ipv4((a, b, c, d)) => Self::from([a, b, c, d]),
            t::IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Self::from([a, b, c, d, e, f, g, h]),
        }
    }
}

impl ToWit<t::IpAddress> for IpAddr {
    fn to_wit(self) -> t::IpAddress {
        match self {
            Self::V4(v4) => t::IpAddress::Ipv4(v4.octets().into()),
            Self::V6(v6) => t::IpAddress::Ipv6(v6.segments().into()),
        }
    }
}

impl FromWit<t::MacAddress> for Mac {
    fn from_wit((a, b, c, d, e, f): t::MacAddress) -> Self {
        Self([a, b, c, d, e, f])
    }
}

impl ToWit<t::MacAddress> for Mac {
    fn to_wit(self) -> t::MacAddress {
        self.0.into()
    }
}

impl FromWit<t::IpNetwork> for Cidr {
    /// The host checks prefixes before it sends them; were one too long, it would be that of the address alone.
    fn from_wit(wit: t::IpNetwork) -> Self {
        let address = IpAddr::from_wit(wit.address);
        Self::new(address, wit.prefix_length).unwrap_or(Self::host(address))
    }
}

impl ToWit<t::IpNetwork> for Cidr {
    fn to_wit(self) -> t::IpNetwork {
        t::IpNetwork {
            address: self.address().to_wit(),
            prefix_length: self.prefix(),
        }
    }
}

/// Attributes as they cross the border.
pub(super) fn pairs(attributes: &[(&str, &str)]) -> t::Options {
    attributes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Lists, one by one.
pub(super) fn list<W, S: FromWit<W>>(wit: Vec<W>) -> Vec<S> {
    wit.into_iter().map(S::from_wit).collect()
}

impl FromWit<s::Pool> for Pool {
    fn from_wit(wit: s::Pool) -> Self {
        Self {
            subnet: Cidr::from_wit(wit.subnet),
            gateway: wit.gateway.map(IpAddr::from_wit),
            auxiliary: wit
                .auxiliary
                .into_iter()
                .map(|(name, address)| (name, IpAddr::from_wit(address)))
                .collect(),
        }
    }
}

impl FromWit<s::NetworkSpec> for NetworkSpec {
    fn from_wit(wit: s::NetworkSpec) -> Self {
        let s::NetworkSpec {
            id,
            name,
            options,
            labels,
            pools,
            internal,
        } = wit;
        Self {
            id,
            name,
            options,
            labels,
            pools: list(pools),
            internal,
        }
    }
}

impl FromWit<s::EndpointSpec> for EndpointSpec {
    fn from_wit(wit: s::EndpointSpec) -> Self {
        let s::EndpointSpec {
            network,
            id,
            mac,
            addresses,
            options,
        } = wit;
        Self {
            network,
            id,
            mac: mac.map(Mac::from_wit),
            addresses: list(addresses),
            options,
        }
    }
}

impl FromWit<s::JoinSpec> for JoinSpec {
    fn from_wit(wit: s::JoinSpec) -> Self {
        Self {
            network: NetworkSpec::from_wit(wit.network),
            endpoint: EndpointSpec::from_wit(wit.endpoint),
            sandbox: wit.sandbox,
            default_route: wit.default_route,
            options: wit.options,
        }
    }
}

impl FromWit<t::PortMapping> for PortMapping {
    fn from_wit(wit: t::PortMapping) -> Self {
        Self {
            transport: FromWit::from_wit(wit.transport),
            container_port: wit.container_port,
            host_address: IpAddr::from_wit(wit.host_address),
            host_port: wit.host_port,
            count: wit.count,
        }
    }
}

impl ToWit<t::PortMapping> for &PortMapping {
    fn to_wit(self) -> t::PortMapping {
        t::PortMapping {
            transport: self.transport.to_wit(),
            container_port: self.container_port,
            host_address: self.host_address.to_wit(),
            host_port: self.host_port,
            count: self.count,
        }
    }
}

impl ToWit<s::Capabilities> for Capabilities {
    fn to_wit(self) -> s::Capabilities {
        s::Capabilities {
            scope: self.scope.to_wit(),
            connectivity_scope: self.connectivity_scope.to_wit(),
        }
    }
}

impl ToWit<s::StaticRoute> for StaticRoute {
    fn to_wit(self) -> s::StaticRoute {
        let next_hop = match self.next_hop {
            NextHop::Gateway(gateway) => s::NextHop::Gateway(gateway.to_wit()),
            NextHop::Connected => s::NextHop::Connected,
        };
        s::StaticRoute {
            destination: self.destination.to_wit(),
            next_hop,
            attributes: self.attributes,
        }
    }
}

impl ToWit<n::Route> for &Route {
    fn to_wit(self) -> n::Route {
        n::Route {
            destination: self.destination.to_wit(),
            gateway: self.gateway.map(ToWit::to_wit),
            attributes: self.attributes.clone(),
        }
    }
}

impl ToWit<n::ForwardingEntry> for ForwardingEntry {
    fn to_wit(self) -> n::ForwardingEntry {
        n::ForwardingEntry {
            mac: self.mac.unwrap_or(Mac([0; 6])).to_wit(),
            destination: self.destination.map(ToWit::to_wit),
            vni: self.vni,
            vlan: self.vlan,
        }
    }
}

impl ToWit<n::Rate> for Rate {
    fn to_wit(self) -> n::Rate {
        n::Rate {
            bytes_per_second: self.bytes_per_second,
            burst_bytes: self.burst_bytes,
        }
    }
}

impl FromWit<n::LinkStatistics> for Statistics {
    fn from_wit(wit: n::LinkStatistics) -> Self {
        let n::LinkStatistics {
            rx_packets,
            tx_packets,
            rx_bytes,
            tx_bytes,
            rx_dropped,
            tx_dropped,
        } = wit;
        Self {
            rx_packets,
            tx_packets,
            rx_bytes,
            tx_bytes,
            rx_dropped,
            tx_dropped,
        }
    }
}

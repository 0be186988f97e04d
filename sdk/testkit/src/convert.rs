//! The SDK's types and the host's, one into the other. What the SDK cannot express is refused, as it is at a component's border.

use std::net::IpAddr;

use jackfield_driver as d;
use jackfield_kernel::{LinkStatistics, plan};
use jackfield_model as m;
use jackfield_sdk as s;

/// Refusals of the host's in the words of the SDK.
pub(crate) fn error(error: m::Error) -> s::Error {
    use m::ErrorCode as M;
    use s::ErrorCode as S;
    let code = match error.code {
        M::InvalidArgument => S::InvalidArgument,
        M::NotFound => S::NotFound,
        M::AlreadyExists => S::AlreadyExists,
        M::InUse => S::InUse,
        M::InvalidState => S::InvalidState,
        M::Exhausted => S::Exhausted,
        M::Denied => S::Denied,
        M::Unsupported => S::Unsupported,
        M::Unavailable => S::Unavailable,
        M::Internal => S::Internal,
    };
    s::Error {
        retryable: error.retryable,
        ..s::Error::new(code, error.message)
    }
}

/// A refusal by the simulated kernel.
pub(crate) fn kernel_error(refusal: jackfield_kernel::KernelError) -> s::Error {
    error(refusal.into())
}

pub(crate) fn guard(border: &s::firewall::Border) -> s::Result<d::Guard> {
    let gateway = |gateway| match gateway {
        s::firewall::Gateway::Nat => d::Gateway::Nat,
        s::firewall::Gateway::NatUnprotected => d::Gateway::NatUnprotected,
        s::firewall::Gateway::Routed => d::Gateway::Routed,
    };
    let trusted = border.trusted.iter().map(|name| name.parse().map_err(error));
    Ok(d::Guard {
        ipv4: border.ipv4.map(gateway),
        ipv6: border.ipv6.map(gateway),
        icc: border.icc,
        trusted: trusted.collect::<s::Result<_>>()?,
    })
}

/// No key comes twice.
pub(crate) fn options<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> s::Result<m::Options> {
    let mut options = m::Options::new();
    for (key, value) in pairs {
        if options.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(s::Error::invalid(format!("the attribute {key} comes twice")));
        }
    }
    Ok(options)
}

pub(crate) fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

pub(crate) fn pairs(options: &m::Options) -> s::Pairs {
    options
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

pub(crate) fn network(cidr: s::Cidr) -> s::Result<m::IpNetwork> {
    m::IpNetwork::new(cidr.address(), cidr.prefix())
        .map_err(|_| s::Error::invalid(format!("{cidr} has no such prefix")))
}

/// Both sides check the prefix, so that neither can have one that the other has not.
pub(crate) fn cidr(network: m::IpNetwork) -> s::Cidr {
    s::Cidr::new(network.ip(), network.prefix()).unwrap_or(s::Cidr::host(network.ip()))
}

pub(crate) fn mac(mac: s::Mac) -> s::Result<m::MacAddr> {
    m::MacAddr::new(mac.0).map_err(error)
}

pub(crate) fn sdk_mac(mac: m::MacAddr) -> s::Mac {
    s::Mac(mac.octets())
}

pub(crate) fn family(family: s::Family) -> m::Family {
    match family {
        s::Family::Ipv4 => m::Family::Ipv4,
        s::Family::Ipv6 => m::Family::Ipv6,
    }
}

pub(crate) fn table(table: s::SysctlTable) -> plan::SysctlTable {
    match table {
        s::SysctlTable::Conf => plan::SysctlTable::Conf,
        s::SysctlTable::Neigh => plan::SysctlTable::Neigh,
    }
}

pub(crate) fn macvlan_mode(mode: s::MacvlanMode) -> plan::MacvlanMode {
    match mode {
        s::MacvlanMode::Bridge => plan::MacvlanMode::Bridge,
        s::MacvlanMode::Private => plan::MacvlanMode::Private,
        s::MacvlanMode::Vepa => plan::MacvlanMode::Vepa,
        s::MacvlanMode::Passthru => plan::MacvlanMode::Passthru,
    }
}

pub(crate) fn ipvlan_mode(mode: s::IpvlanMode) -> plan::IpvlanMode {
    match mode {
        s::IpvlanMode::L2 => plan::IpvlanMode::L2,
        s::IpvlanMode::L3 => plan::IpvlanMode::L3,
        s::IpvlanMode::L3s => plan::IpvlanMode::L3s,
    }
}

pub(crate) fn rate(rate: s::Rate) -> plan::Rate {
    plan::Rate {
        bytes_per_second: rate.bytes_per_second,
        burst_bytes: rate.burst_bytes,
    }
}

pub(crate) fn forwarding(entry: &s::ForwardingEntry) -> s::Result<plan::ForwardingEntry> {
    let mac = entry.mac.map(mac).transpose()?;
    Ok(plan::ForwardingEntry {
        mac,
        destination: entry.destination,
        vni: entry.vni,
        vlan: entry.vlan,
    })
}

pub(crate) fn statistics(statistics: LinkStatistics) -> s::Statistics {
    let LinkStatistics {
        rx_packets,
        tx_packets,
        rx_bytes,
        tx_bytes,
        rx_dropped,
        tx_dropped,
    } = statistics;
    s::Statistics {
        rx_packets,
        tx_packets,
        rx_bytes,
        tx_bytes,
        rx_dropped,
        tx_dropped,
    }
}

pub(crate) fn port_mapping(mapping: &s::PortMapping) -> m::PortMapping {
    let transport = match mapping.transport {
        s::Transport::Tcp => m::Transport::Tcp,
        s::Transport::Udp => m::Transport::Udp,
        s::Transport::Sctp => m::Transport::Sctp,
    };
    let s::PortMapping {
        container_port,
        host_address,
        host_port,
        count,
        ..
    } = *mapping;
    m::PortMapping {
        transport,
        container_port,
        host_address,
        host_port,
        count,
    }
}

pub(crate) fn network_spec(spec: &m::NetworkSpec) -> s::NetworkSpec {
    let pool = |pool: &m::Pool| s::Pool {
        subnet: cidr(pool.subnet),
        gateway: pool.gateway,
        auxiliary: pool.auxiliary.clone(),
    };
    s::NetworkSpec {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        options: pairs(&spec.options),
        labels: pairs(&spec.labels),
        pools: spec.pools.iter().map(pool).collect(),
        internal: spec.internal,
    }
}

pub(crate) fn endpoint_spec(spec: &m::EndpointSpec) -> s::EndpointSpec {
    s::EndpointSpec {
        network: spec.network.to_string(),
        id: spec.id.to_string(),
        mac: spec.mac.map(sdk_mac),
        addresses: spec.addresses.iter().copied().map(cidr).collect(),
        options: pairs(&spec.options),
    }
}

pub(crate) fn static_route(route: &s::StaticRoute) -> s::Result<m::StaticRoute> {
    let next_hop = match route.next_hop {
        s::NextHop::Gateway(gateway) => m::NextHop::Gateway(gateway),
        s::NextHop::Connected => m::NextHop::Connected,
    };
    let attributes = options(borrowed(&route.attributes))?;
    Ok(m::StaticRoute {
        destination: network(route.destination)?,
        next_hop,
        attributes,
    })
}

/// The addresses that a driver's reply filled in.
pub(crate) fn networks(cidrs: &[s::Cidr]) -> s::Result<Vec<m::IpNetwork>> {
    cidrs.iter().copied().map(network).collect()
}

/// The gateways of a reply, IPv4 first.
pub(crate) fn gateways(reply: &s::JoinReply) -> Vec<IpAddr> {
    [s::Family::Ipv4, s::Family::Ipv6]
        .into_iter()
        .filter_map(|family| reply.gateway_of(family))
        .collect()
}

//! The host's values as the guest sees them. Nothing can go wrong here.

use std::net::IpAddr;

use jackfield_kernel::LinkStatistics;
use jackfield_model::{
    EndpointSpec, Error, ErrorCode, IpNetwork, JoinSpec, MacAddr, NetworkSpec, Options, Pool, PortMapping, Transport,
};
use jackfield_wasm_bindings::{
    Failure,
    jackfield::driver::{netlink, specs, types},
};

/// A refusal that the guest is told.
pub(crate) fn error_to_guest(error: Error) -> Failure {
    Failure::Told(types::Error {
        code: code(error.code),
        message: error.message,
        retryable: error.retryable,
    })
}

/// A refusal in these words.
pub(crate) fn told(code: ErrorCode, message: String) -> Failure {
    error_to_guest(Error::new(code, message))
}

fn code(code: ErrorCode) -> types::ErrorCode {
    match code {
        ErrorCode::InvalidArgument => types::ErrorCode::InvalidArgument,
        ErrorCode::NotFound => types::ErrorCode::NotFound,
        ErrorCode::AlreadyExists => types::ErrorCode::AlreadyExists,
        ErrorCode::InUse => types::ErrorCode::InUse,
        ErrorCode::InvalidState => types::ErrorCode::InvalidState,
        ErrorCode::Exhausted => types::ErrorCode::Exhausted,
        ErrorCode::Denied => types::ErrorCode::Denied,
        ErrorCode::Unsupported => types::ErrorCode::Unsupported,
        ErrorCode::Unavailable => types::ErrorCode::Unavailable,
        ErrorCode::Internal => types::ErrorCode::Internal,
    }
}

pub(crate) fn address_to_guest(address: IpAddr) -> types::IpAddress {
    match address {
        IpAddr::V4(v4) => types::IpAddress::Ipv4(v4.octets().into()),
        IpAddr::V6(v6) => types::IpAddress::Ipv6(v6.segments().into()),
    }
}

pub(crate) fn network_to_guest(network: IpNetwork) -> types::IpNetwork {
    types::IpNetwork {
        address: address_to_guest(network.ip()),
        prefix_length: network.prefix(),
    }
}

pub(crate) fn networks_to_guest(networks: &[IpNetwork]) -> Vec<types::IpNetwork> {
    networks.iter().copied().map(network_to_guest).collect()
}

pub(crate) fn mac_to_guest(mac: MacAddr) -> types::MacAddress {
    mac.octets().into()
}

pub(crate) fn options_to_guest(options: &Options) -> types::Options {
    options
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

pub(crate) fn pool_to_guest(pool: &Pool) -> specs::Pool {
    specs::Pool {
        subnet: network_to_guest(pool.subnet),
        gateway: pool.gateway.map(address_to_guest),
        auxiliary: pool
            .auxiliary
            .iter()
            .map(|(name, address)| (name.clone(), address_to_guest(*address)))
            .collect(),
    }
}

pub(crate) fn network_spec_to_guest(spec: &NetworkSpec) -> specs::NetworkSpec {
    specs::NetworkSpec {
        id: spec.id.to_string(),
        name: spec.name.to_string(),
        options: options_to_guest(&spec.options),
        labels: options_to_guest(&spec.labels),
        pools: spec.pools.iter().map(pool_to_guest).collect(),
        internal: spec.internal,
    }
}

pub(crate) fn endpoint_spec_to_guest(spec: &EndpointSpec) -> specs::EndpointSpec {
    specs::EndpointSpec {
        network: spec.network.to_string(),
        id: spec.id.to_string(),
        mac: spec.mac.map(mac_to_guest),
        addresses: networks_to_guest(&spec.addresses),
        options: options_to_guest(&spec.options),
    }
}

pub(crate) fn join_spec_to_guest(spec: &JoinSpec) -> specs::JoinSpec {
    specs::JoinSpec {
        network: network_spec_to_guest(&spec.network),
        endpoint: endpoint_spec_to_guest(&spec.endpoint),
        sandbox: spec.sandbox.to_string(),
        default_route: spec.default_route,
        options: options_to_guest(&spec.options),
    }
}

pub(crate) fn port_to_guest(port: &PortMapping) -> types::PortMapping {
    types::PortMapping {
        transport: match port.transport {
            Transport::Tcp => types::Transport::Tcp,
            Transport::Udp => types::Transport::Udp,
            Transport::Sctp => types::Transport::Sctp,
        },
        container_port: port.container_port,
        host_address: address_to_guest(port.host_address),
        host_port: port.host_port,
        count: port.count,
    }
}

pub(crate) fn statistics_to_guest(statistics: LinkStatistics) -> netlink::LinkStatistics {
    netlink::LinkStatistics {
        rx_packets: statistics.rx_packets,
        tx_packets: statistics.tx_packets,
        rx_bytes: statistics.rx_bytes,
        tx_bytes: statistics.tx_bytes,
        rx_dropped: statistics.rx_dropped,
        tx_dropped: statistics.tx_dropped,
    }
}

/// None is a link of the plan under way; else whether it is up.
pub(crate) fn state_to_guest(up: Option<bool>) -> netlink::LinkState {
    match up {
        None => netlink::LinkState::Planned,
        Some(false) => netlink::LinkState::Down,
        Some(true) => netlink::LinkState::Up,
    }
}

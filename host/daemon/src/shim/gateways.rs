//! The gateway that a runtime is told for an address.

use std::net::IpAddr;

use jackfield_controller::request::{EndpointInfo, NetworkInfo};
use jackfield_model::IpNetwork;

/// That of the address's family which the driver gave, or else its pool's.
pub fn gateway_of(address: &IpNetwork, endpoint: &EndpointInfo, network: &NetworkInfo) -> Option<IpAddr> {
    let of_family = |gateway: &IpAddr| gateway.is_ipv4() == address.is_ipv4();
    let by_driver = endpoint.gateways.iter().copied().find(of_family);
    let pools = network.pools.iter().filter_map(|pool| pool.pool.gateway);
    by_driver.or_else(|| pools.into_iter().find(of_family))
}

//! `bridge`: a bridge on the host with the pools' gateways on it, a veth pair for each sandbox, and masquerading towards the world.

mod gateway;
mod link;
mod options;
mod port;
mod rate;
mod routes;

use std::net::IpAddr;

use jackfield_driver::{Driver, LinkId, Operation};
use jackfield_model::{
    EndpointReply, EndpointSpec, Family, IpNetwork, JoinReply, JoinSpec, MacAddr, NetworkSpec, Result,
};

use super::options::{OptionHelp, refuse_all};
use link::Bridge as Link;
use options::{ENDPOINT, EndpointOptions, GatewayMode, NETWORK, NetworkOptions};

/// The driver.
#[derive(Debug, Default)]
pub struct Bridge;

impl Bridge {
    /// What can be said of a network.
    pub fn network_options() -> impl Iterator<Item = OptionHelp> {
        NETWORK.iter().map(|known| known.about)
    }

    /// What can be said of an endpoint.
    pub fn endpoint_options() -> impl Iterator<Item = OptionHelp> {
        ENDPOINT.iter().map(|known| known.about)
    }
}

impl Driver for Bridge {
    fn create_network(&mut self, op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        let options = NetworkOptions::read(&spec.options)?;
        options.check(spec)?;
        let bridge = Link::create(op, spec, &options)?;
        gateway::open(op, bridge, spec, &options)?;
        options
            .bindings()
            .try_for_each(|address| op.set_host_binding(address))?;
        op.set_up(bridge.link, true)
    }

    fn create_endpoint(
        &mut self,
        _op: &mut Operation,
        _network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        EndpointOptions::read(&spec.options)?;
        let mac = spec.mac.is_none().then(|| derived_mac(&spec.addresses)).flatten();
        Ok(EndpointReply {
            mac,
            ..EndpointReply::default()
        })
    }

    fn join(&mut self, op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        refuse_all("join option of a bridge endpoint", &spec.options)?;
        let network = NetworkOptions::read(&spec.network.options)?;
        let endpoint = EndpointOptions::read(&spec.endpoint.options)?.or(&network.endpoint);
        let bridge = Link::find(op, &network)?;
        let interface = port::create(op, bridge.link, network.mtu, &endpoint)?;
        let leads_out = !spec.network.internal && !endpoint.no_default_route.unwrap_or(false);
        let isolated = |family| network.mode(family) == Some(GatewayMode::Isolated);
        let gateway = |family| {
            (leads_out && !isolated(family))
                .then(|| gateway::of_endpoint(spec, family))
                .flatten()
        };
        Ok(JoinReply {
            interface: Some((interface, network.prefix.clone().unwrap_or_else(|| "eth".to_owned()))),
            gateway_ipv4: gateway(Family::Ipv4),
            gateway_ipv6: gateway(Family::Ipv6),
            metric: endpoint.metric,
            routes: routes::of_endpoint(&network.routes, &spec.endpoint.addresses),
        })
    }
}

/// A MAC that follows from the address, so that whoever gets the address next has the MAC that others remember for it: `02:42` and the IPv4
/// address, as Docker does it, or without one a hash of the IPv6 address (FNV-1a, 46 bits of it).
fn derived_mac(addresses: &[IpNetwork]) -> Option<MacAddr> {
    let octets = match addresses.iter().find(|a| a.is_ipv4()).or(addresses.first())?.ip() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0x02, 0x42, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [_, _, a, b, c, d, e, f] = fnv1a(&v6.octets()).to_be_bytes();
            // Unicast, and not from a maker's block (IEEE 802, the two lowest bits).
            [a & 0xfc | 0x02, b, c, d, e, f]
        }
    };
    MacAddr::new(octets).ok()
}

/// Fowler, Noll and Vo's hash, with its 64 bits' offset and prime.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_follows_from_the_address() {
        let mac = |addresses: &[&str]| {
            let addresses: Vec<IpNetwork> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            derived_mac(&addresses).map(|mac| mac.to_string())
        };
        assert_eq!(
            mac(&["fd00::2/64", "172.17.0.2/16"]).as_deref(),
            Some("02:42:ac:11:00:02")
        );
        // Fixed: a host of another version has to come to the same.
        assert_eq!(mac(&["fd00::2/64"]).as_deref(), Some("5e:9e:b8:bf:5d:3e"));
        assert_ne!(mac(&["fd00::3/64"]), mac(&["fd00::2/64"]));
        assert_eq!(mac(&[]), None);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c, "its authors' test vector");
    }
}

//! `bridge`: a bridge on the host with the pools' gateways on it, a veth pair for each sandbox, and masquerading towards the world.

use std::net::IpAddr;

use jackfield_driver::{Driver, LinkId, Operation};
use jackfield_kernel::plan::SysctlTable;
use jackfield_model::{
    EndpointReply, EndpointSpec, Error, ErrorCode, Family, IpNetwork, JoinReply, JoinSpec, LinkName, NetworkSpec,
    Options, Pool, Result,
};

use super::options::{flag, parse, refuse_unknown};

/// The label of the bridge itself.
const BRIDGE: &str = "bridge";
/// The label of an endpoint's veth pair.
const PORT: &str = "port";
/// Least payload that IPv6 works with (RFC 8200, 5), and most that a veth takes (ETH_MAX_MTU of linux/if_ether.h).
const MTU: std::ops::RangeInclusive<u32> = 68..=65_535;
const KNOWN: [&str; 4] = ["bridge", "isolated", "masquerade", "mtu"];

/// The driver.
#[derive(Debug, Default)]
pub struct Bridge;

/// A network's options, typed.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    /// Name of the bridge, else made of the network's id.
    bridge: Option<LinkName>,
    /// Payload of the bridge and its ports.
    mtu: Option<u32>,
    /// Whether what leaves the pools for elsewhere gets the host's address.
    masquerade: bool,
    /// Whether sandboxes of the network are kept from each other.
    isolated: bool,
}

impl Settings {
    fn parse(options: &Options) -> Result<Self> {
        refuse_unknown("option of a bridge network", options, &KNOWN)?;
        let bridge = options.get("bridge").map(|name| name.parse::<LinkName>()).transpose()?;
        let mtu = parse(options, "mtu", "bytes, 68 to 65535")?;
        if let Some(mtu) = mtu.filter(|m| !MTU.contains(m)) {
            return Err(Error::invalid(format!(
                "option mtu={mtu} is out of range: expected bytes, 68 to 65535"
            )));
        }
        Ok(Self {
            bridge,
            mtu,
            masquerade: flag(options, "masquerade", true)?,
            isolated: flag(options, "isolated", false)?,
        })
    }
}

impl Driver for Bridge {
    fn create_network(&mut self, op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        let settings = Settings::parse(&spec.options)?;
        let name = settings
            .bridge
            .as_ref()
            .map_or_else(|| format!("br-{}", spec.id.short()), ToString::to_string);
        let bridge = op.create_bridge(BRIDGE, Some(&name), &Options::new())?;
        if let Some(mtu) = settings.mtu {
            op.set_mtu(bridge, mtu)?;
        }
        for pool in &spec.pools {
            add_gateway(op, bridge, pool)?;
        }
        if settings.isolated {
            op.isolate_ports(bridge)?;
        }
        if spec.internal {
            op.make_internal(bridge)?;
        } else {
            open_to_the_world(op, bridge, spec, &settings)?;
        }
        op.set_up(bridge, true)
    }

    fn create_endpoint(
        &mut self,
        _op: &mut Operation,
        _network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        refuse_unknown("option of a bridge endpoint", &spec.options, &[])?;
        Ok(EndpointReply::default())
    }

    fn join(&mut self, op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        refuse_unknown("join option of a bridge endpoint", &spec.options, &[])?;
        let settings = Settings::parse(&spec.network.options)?;
        let bridge = op.find_own(BRIDGE)?;
        let (port, peer) = op.create_veth(PORT, &Options::new())?;
        if let Some(mtu) = settings.mtu {
            op.set_mtu(port, mtu)?;
            op.set_mtu(peer, mtu)?;
        }
        op.set_controller(port, Some(bridge))?;
        op.set_up(port, true)?;
        let gateway = |family| {
            if spec.network.internal {
                None
            } else {
                gateway_of(spec, family)
            }
        };
        Ok(JoinReply {
            interface: Some((peer, "eth".to_owned())),
            gateway_ipv4: gateway(Family::Ipv4),
            gateway_ipv6: gateway(Family::Ipv6),
            routes: Vec::new(),
        })
    }
}

fn add_gateway(op: &mut Operation, bridge: LinkId, pool: &Pool) -> Result<()> {
    let Some(gateway) = pool.gateway else { return Ok(()) };
    let address = IpNetwork::new(gateway, pool.subnet.prefix()).map_err(|e| {
        Error::internal(format!("gateway {gateway} does not fit the prefix of {}", pool.subnet)).caused_by(e)
    })?;
    op.add_address(bridge, address)
}

fn open_to_the_world(op: &mut Operation, bridge: LinkId, spec: &NetworkSpec, settings: &Settings) -> Result<()> {
    for family in [Family::Ipv4, Family::Ipv6] {
        if spec.pools.iter().any(|p| Family::of(p.subnet.ip()) == family) {
            forward(op, bridge, family)?;
        }
    }
    for pool in spec.pools.iter().filter(|_| settings.masquerade) {
        op.masquerade(pool.subnet, bridge)?;
    }
    Ok(())
}

/// Lets what comes in by the bridge be forwarded. For IPv6 a kernel older than 6.17 has no such switch for a single link; there the network
/// works within itself, and forwarding beyond is the operator's to turn on for the whole host.
fn forward(op: &mut Operation, bridge: LinkId, family: Family) -> Result<()> {
    let key = match family {
        Family::Ipv4 => "forwarding",
        Family::Ipv6 => "force_forwarding",
    };
    match op.set_sysctl(bridge, family, SysctlTable::Conf, key, "1") {
        Err(e) if matches!(e.code, ErrorCode::Unsupported | ErrorCode::NotFound) => Ok(()),
        other => other,
    }
}

/// The gateway of the pool that the endpoint has an address of.
fn gateway_of(spec: &JoinSpec, family: Family) -> Option<IpAddr> {
    let mut addresses = spec
        .endpoint
        .addresses
        .iter()
        .map(|a| a.ip())
        .filter(|a| Family::of(*a) == family);
    addresses.find_map(|address| spec.network.pools.iter().find(|p| p.subnet.contains(address))?.gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn options_become_typed_values_or_are_refused_in_words() {
        let good = Settings::parse(&options(&[("bridge", "blue0"), ("mtu", "9000"), ("masquerade", "no")])).unwrap();
        let expected = Settings {
            bridge: Some("blue0".parse().unwrap()),
            mtu: Some(9000),
            masquerade: false,
            isolated: false,
        };
        assert_eq!(good, expected);
        for (key, value, says) in [
            ("bridge", "sixteen-bytes-xx", "16 bytes, expected 1 to 15"),
            ("mtu", "big", "expected bytes"),
            ("mtu", "67", "out of range"),
            ("masquerade", "maybe", "expected true or false"),
            ("masqerade", "no", "did you mean \"masquerade\"?"),
            ("colour", "blue", "known are bridge, isolated, masquerade, mtu"),
        ] {
            let error = Settings::parse(&options(&[(key, value)])).unwrap_err();
            assert!(error.message.contains(says), "{error}");
        }
    }
}

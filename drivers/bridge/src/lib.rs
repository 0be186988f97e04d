//! `bridge-component`: the host's own bridge driver again, written as a vendor would. What it costs to be a component is the difference
//! between the two.

use std::str::FromStr;

use jackfield_sdk::{
    Driver, EndpointReply, EndpointSpec, Error, ErrorCode, Family, JoinReply, JoinSpec, Link, NetworkSpec, Options,
    Pairs, Pool, Result, SysctlTable, Takes,
    firewall::{self, Border, Gateway},
};

/// The label of the bridge itself.
const BRIDGE: &str = "bridge";
/// The label of an endpoint's pair.
const PORT: &str = "port";
const NETWORK_OPTIONS: &[Takes] = &[
    Takes::new("bridge", "the bridge's name, at most 15 bytes"),
    Takes::new("mtu", "bytes, 68 to 65535"),
    Takes::new("masquerade", "yes or no"),
];

/// The driver.
#[derive(Debug)]
pub struct Bridge;

jackfield_sdk::export!(Bridge, manifest = "driver.toml");

/// A network's options, typed.
struct Settings {
    bridge: Option<String>,
    mtu: Option<u32>,
    masquerade: bool,
}

struct YesNo(bool);

impl FromStr for YesNo {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "yes" | "true" | "on" | "1" => Ok(Self(true)),
            "no" | "false" | "off" | "0" => Ok(Self(false)),
            _ => Err(Error::invalid("neither yes nor no")),
        }
    }
}

impl Settings {
    fn read(options: &Pairs) -> Result<Self> {
        let options = Options::read(options, NETWORK_OPTIONS)?;
        let mtu = options.get::<u32>("mtu")?;
        if mtu.is_some_and(|mtu| !(68..=65_535).contains(&mtu)) {
            return Err(options.refuse("mtu"));
        }
        let masquerade = options.get::<YesNo>("masquerade")?.is_none_or(|yes| yes.0);
        Ok(Self {
            bridge: options.get("bridge")?,
            mtu,
            masquerade,
        })
    }
}

impl Driver for Bridge {
    fn create_network(network: &NetworkSpec) -> Result<()> {
        let settings = Settings::read(&network.options)?;
        let id = network.id.get(..12).unwrap_or(&network.id);
        let name = settings.bridge.clone().unwrap_or_else(|| format!("br-{id}"));
        let bridge = Link::create_bridge(BRIDGE, Some(&name), &[])?;
        if let Some(mtu) = settings.mtu {
            bridge.set_mtu(mtu)?;
        }
        for address in network.pools.iter().filter_map(Pool::gateway_cidr) {
            bridge.add_address(address)?;
        }
        guard(&bridge, network)?;
        if network.internal {
            firewall::make_internal(&bridge)?;
        } else {
            open_to_the_world(&bridge, network, &settings)?;
        }
        bridge.set_up(true)
    }

    fn create_endpoint(_network: &NetworkSpec, endpoint: &EndpointSpec) -> Result<EndpointReply> {
        Options::read(&endpoint.options, &[])?;
        Ok(EndpointReply::default())
    }

    fn join(join: &JoinSpec) -> Result<JoinReply> {
        Options::read(&join.options, &[])?;
        let settings = Settings::read(&join.network.options)?;
        let bridge = Link::find_own(BRIDGE)?;
        let (port, sandbox) = Link::create_veth(PORT)?;
        if let Some(mtu) = settings.mtu {
            port.set_mtu(mtu)?;
            sandbox.set_mtu(mtu)?;
        }
        port.set_controller(Some(&bridge))?;
        port.set_up(true)?;
        let reply = JoinReply::interface(sandbox, "eth");
        if join.network.internal {
            return Ok(reply);
        }
        Ok(gateways(join).fold(reply, JoinReply::gateway))
    }
}

/// The world enters by published ports alone.
fn guard(bridge: &Link, network: &NetworkSpec) -> Result<()> {
    let in_family = |family| {
        let mut pools = network.pools.iter();
        pools.any(|pool| pool.subnet.family() == family).then_some(Gateway::Nat)
    };
    let border = Border {
        ipv4: in_family(Family::Ipv4),
        ipv6: in_family(Family::Ipv6),
        ..Border::default()
    };
    firewall::guard(bridge, &border)
}

fn open_to_the_world(bridge: &Link, network: &NetworkSpec, settings: &Settings) -> Result<()> {
    for family in [Family::Ipv4, Family::Ipv6] {
        if network.pools.iter().any(|pool| pool.subnet.family() == family) {
            forward(bridge, family)?;
        }
    }
    if settings.masquerade {
        network
            .pools
            .iter()
            .try_for_each(|pool| firewall::masquerade(pool.subnet, bridge))?;
    }
    Ok(())
}

/// For IPv6 a kernel older than 6.17 has no such switch for a single link: there forwarding is the operator's to turn on.
fn forward(bridge: &Link, family: Family) -> Result<()> {
    let key = match family {
        Family::Ipv4 => "forwarding",
        Family::Ipv6 => "force_forwarding",
    };
    match bridge.set_sysctl(family, SysctlTable::Conf, key, "1") {
        Err(error) if error.code == ErrorCode::Unsupported => Ok(()),
        other => other,
    }
}

/// The gateways of the pools that the endpoint has addresses of.
fn gateways(join: &JoinSpec) -> impl Iterator<Item = std::net::IpAddr> {
    let of = |pool: &&Pool| {
        join.endpoint
            .addresses
            .iter()
            .any(|address| pool.subnet.contains(address.address()))
    };
    join.network.pools.iter().filter(of).filter_map(|pool| pool.gateway)
}

#[cfg(test)]
mod tests;

//! What is on standard input.

use std::{collections::BTreeSet, net::IpAddr};

use ipnetwork::IpNetwork;
use jackfield_model::{DnsLabel, LinkName, MacAddr, Name, NetworkId, Options, Publish, parse_cidr, parse_subnet};
use serde_json::Value;

use crate::{
    cni::{runtime::publish, verb::container},
    driver,
    fields::{Fields, Unreadable, shown},
};

/// A network, as Podman keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its id: 64 hexadecimal digits.
    pub id: NetworkId,
    /// Its name.
    pub name: Name,
    /// The driver of ours that its driver's name says; None for the host's default.
    pub driver: Option<String>,
    /// The name that it wants for its bridge.
    pub interface: Option<LinkName>,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Routes that containers get: destination, gateway, metric.
    pub routes: Vec<(IpNetwork, IpAddr, Option<u32>)>,
    /// No way in or out.
    pub internal: bool,
    /// An IPv6 subnet.
    pub ipv6: bool,
    /// Containers get names.
    pub dns: bool,
    /// Servers for what has no name here.
    pub dns_servers: Vec<IpAddr>,
    /// Options of the driver.
    pub options: Options,
    /// Nobody gives out addresses.
    pub without_addresses: bool,
}

/// A subnet of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Which.
    pub subnet: IpNetwork,
    /// None: the first address.
    pub gateway: Option<IpAddr>,
}

/// A container that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Its id.
    pub container: String,
    /// Its name.
    pub name: String,
    /// Published ports.
    pub ports: Vec<Publish>,
    /// The network.
    pub network: Network,
    /// Further names.
    pub aliases: Vec<DnsLabel>,
    /// The interface in the container.
    pub interface: LinkName,
    /// Its addresses: Podman has given them out.
    pub addresses: Vec<IpAddr>,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Options of the endpoint.
    pub options: Options,
}

/// By what an attachment is known: for teardown, which needs no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The container's id.
    pub container: String,
    /// The network's name.
    pub network: Name,
    /// The interface.
    pub interface: LinkName,
}

/// The text as JSON.
///
/// # Errors
/// In a sentence.
pub fn decode(text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|e| Unreadable(format!("standard input is no JSON: {e}")))
}

fn refused(error: jackfield_model::Error) -> Unreadable {
    Unreadable(error.message)
}

fn needed<T>(value: Option<T>, key: &str, what: &str) -> Result<T, Unreadable> {
    value.ok_or_else(|| Unreadable(format!("{what} has no \"{key}\"")))
}

impl Network {
    /// Reads it.
    ///
    /// # Errors
    /// In a sentence, with the key that is wrong.
    pub fn read(value: Value) -> Result<Self, Unreadable> {
        const WHAT: &str = "the network";
        let mut fields = Fields::of(WHAT, value)?;
        let name: String = needed(fields.take("name", "a name")?, "name", WHAT)?;
        let id: String = needed(fields.take("id", "an id")?, "id", WHAT)?;
        let driver: Option<String> = fields.take("driver", "a driver's name")?;
        let servers: Option<Vec<IpAddr>> = fields.take("network_dns_servers", "a list of addresses")?;
        let interface: Option<String> = fields.take("network_interface", "a link's name")?;
        let mut flag = |key: &str| fields.take(key, "true or false").map(Option::unwrap_or_default);
        let (internal, ipv6, dns) = (flag("internal")?, flag("ipv6_enabled")?, flag("dns_enabled")?);
        Ok(Self {
            id: id.parse().map_err(refused)?,
            name: name.parse().map_err(refused)?,
            driver: driver.and_then(|driver| driver::by_name(driver.as_ref())),
            interface: interface
                .filter(|name| !name.is_empty())
                .map(|name| name.parse())
                .transpose()
                .map_err(refused)?,
            subnets: fields
                .list("subnets")?
                .into_iter()
                .map(subnet)
                .collect::<Result<_, _>>()?,
            routes: fields
                .list("routes")?
                .into_iter()
                .map(route)
                .collect::<Result<_, _>>()?,
            internal,
            ipv6,
            dns,
            dns_servers: servers.unwrap_or_default(),
            options: fields.texts("options")?,
            without_addresses: without_addresses(fields.object("ipam_options")?)?,
        })
    }
}

fn without_addresses(mut ipam: Fields) -> Result<bool, Unreadable> {
    match ipam.take::<String>("driver", "host-local or none")?.as_deref() {
        None | Some("" | "host-local") => Ok(false),
        Some("none") => Ok(true),
        Some(other) => Err(Unreadable(format!(
            "the network's addresses come by \"{}\": expected host-local or none",
            shown(other).escape_default()
        ))),
    }
}

fn subnet(value: Value) -> Result<Subnet, Unreadable> {
    let mut fields = Fields::of("a subnet", value)?;
    let subnet: String = needed(fields.take("subnet", "a subnet as 10.90.0.0/24")?, "subnet", "a subnet")?;
    Ok(Subnet {
        subnet: parse_subnet(&subnet).map_err(refused)?,
        gateway: fields.take("gateway", "an address")?,
    })
}

fn route(value: Value) -> Result<(IpNetwork, IpAddr, Option<u32>), Unreadable> {
    let mut fields = Fields::of("a route", value)?;
    let destination: String = needed(fields.take("destination", "a subnet")?, "destination", "a route")?;
    let gateway = needed(fields.take("gateway", "an address")?, "gateway", "a route")?;
    let metric = fields.take("metric", "a number")?;
    Ok((parse_cidr(&destination).map_err(refused)?, gateway, metric))
}

impl Outline {
    /// Reads it.
    ///
    /// # Errors
    /// In a sentence, with the key that is wrong.
    pub fn read(value: &Value) -> Result<Self, Unreadable> {
        let text = |value: &Value, key: &str| {
            let text = value.as_str().filter(|text| !text.is_empty());
            needed(text.map(str::to_owned), key, "standard input")
        };
        let id = text(&value["container_id"], "container_id")?;
        Ok(Self {
            container: container(&id).map_err(|e| Unreadable(e.replace("CNI_CONTAINERID", "container_id")))?,
            network: text(&value["network"]["name"], "network.name")?
                .parse()
                .map_err(refused)?,
            interface: text(
                &value["network_options"]["interface_name"],
                "network_options.interface_name",
            )?
            .parse()
            .map_err(refused)?,
        })
    }
}

impl Exec {
    /// Reads it.
    ///
    /// # Errors
    /// In a sentence, with the key that is wrong.
    pub fn read(value: Value) -> Result<Self, Unreadable> {
        let outline = Outline::read(&value)?;
        let mut fields = Fields::of("standard input", value)?;
        let name: Option<String> = fields.take("container_name", "a name")?;
        let ports = fields.list("port_mappings")?.into_iter().map(port);
        let ports: Vec<Vec<Publish>> = ports.collect::<Result<_, _>>()?;
        let network = Network::read(fields.take("network", "an object")?.unwrap_or_default())?;
        let mut options = fields.object("network_options")?;
        let aliases: Option<Vec<String>> = options.take("aliases", "a list of names")?;
        let name = name.unwrap_or_default();
        Ok(Self {
            container: outline.container,
            ports: ports.into_iter().flatten().collect(),
            aliases: labels(&aliases.unwrap_or_default(), &name),
            name,
            network,
            interface: outline.interface,
            addresses: options.take("static_ips", "a list of addresses")?.unwrap_or_default(),
            mac: options.take("static_mac", "a MAC address")?,
            options: options.texts("options")?,
        })
    }
}

/// Podman's aliases and the container's name, those of them that DNS can have: Podman's own rule is wider.
fn labels(aliases: &[String], name: &str) -> Vec<DnsLabel> {
    let texts = aliases.iter().map(String::as_str).chain([name]);
    let unique: BTreeSet<DnsLabel> = texts.filter_map(|text| text.parse().ok()).collect();
    unique.into_iter().collect()
}

/// One mapping, of one protocol or of several with commas between them.
fn port(value: Value) -> Result<Vec<Publish>, Unreadable> {
    const NUMBER: &str = "a port, 0 to 65535";
    let mut fields = Fields::of("a port mapping", value)?;
    let container: u16 = fields.take("container_port", NUMBER)?.unwrap_or_default();
    let host: u16 = fields.take("host_port", NUMBER)?.unwrap_or_default();
    let count: u16 = fields.take("range", "a count")?.unwrap_or(1);
    let address: String = fields.take("host_ip", "an address of the host")?.unwrap_or_default();
    let protocols: String = fields.take("protocol", "tcp, udp or sctp")?.unwrap_or_default();
    let one = |protocol: &str| {
        publish(container, host, count.max(1), protocol.trim(), &address).map_err(|failure| Unreadable(failure.message))
    };
    protocols.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn setup() -> Value {
        json!({
            "container_id": "4f6d", "container_name": "pp",
            "port_mappings": [{"container_port": 80, "host_ip": "", "host_port": 8081, "protocol": "tcp,udp", "range": 2}],
            "network": {
                "dns_enabled": false, "driver": "jackfield-ptp", "id": "1".repeat(64), "internal": false, "ipv6_enabled": false,
                "name": "sp1", "network_interface": "stub0", "ipam_options": {"driver": "host-local"},
                "subnets": [{"gateway": "10.90.0.1", "subnet": "10.90.0.0/24"}], "labels": {}, "new": 1,
            },
            "network_options": {"aliases": ["zz", "4f6d", "no_ä"], "interface_name": "net7", "static_ips": ["10.90.0.77"],
                "static_mac": null, "options": null},
        })
    }

    #[test]
    fn a_setup_is_read() {
        let exec = Exec::read(setup()).unwrap();
        let ports: Vec<Publish> = ["8081-8082:80-81", "8081-8082:80-81/udp"]
            .map(|p| p.parse().unwrap())
            .into();
        assert_eq!(exec.ports, ports);
        assert_eq!(exec.network.driver.as_deref(), Some("ptp"));
        assert_eq!(exec.addresses, ["10.90.0.77".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            exec.aliases,
            ["4f6d", "pp", "zz"].map(|a| a.parse::<DnsLabel>().unwrap())
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let cases: [(&str, Value, &str); 6] = [
            ("/container_id", json!(null), "container_id"),
            ("/network/name", json!("a b"), "cannot be a name"),
            ("/network/id", json!("7"), "no id"),
            ("/network/subnets/0/subnet", json!("10.90.0.7/24"), "10.90.0.0/24"),
            ("/network/ipam_options/driver", json!("dhcp"), "dhcp"),
            ("/port_mappings/0/host_port", json!("x"), "host_port"),
        ];
        for (place, value, said) in cases {
            let mut input = setup();
            *input.pointer_mut(place).unwrap() = value;
            let refusal = Exec::read(input).unwrap_err();
            assert!(refusal.0.contains(said), "{place}: {refusal}");
        }
    }
}

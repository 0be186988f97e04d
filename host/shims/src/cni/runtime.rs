//! `runtimeConfig`: what a runtime fills in for the capabilities that a configuration declares.
//! Names and meanings: <https://www.cni.dev/docs/conventions/>; containerd's CRI writes the keys of a port mapping capitalised.

use std::net::IpAddr;

use jackfield_model::{DnsLabel, MacAddr, Publish, Transport};
use serde_json::Value;

use super::{DnsConfig, Failure, PoolWanted, arguments::address, ranges};
use crate::fields::{Fields, shown};

const KNOWN: [&str; 8] = [
    "portMappings",
    "ips",
    "mac",
    "dns",
    "aliases",
    "bandwidth",
    "ipRanges",
    "infinibandGUID",
];

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Ports to publish.
    pub ports: Vec<Publish>,
    /// Addresses asked for.
    pub addresses: Vec<IpAddr>,
    /// MAC asked for.
    pub mac: Option<MacAddr>,
    /// Instead of the configuration's.
    pub dns: Option<DnsConfig>,
    /// Further names.
    pub aliases: Vec<DnsLabel>,
    /// Limits of what the container receives and sends.
    pub bandwidth: Bandwidth,
    /// Subnets for a network that is described.
    pub pools: Vec<PoolWanted>,
}

/// Limits as CNI has them, in bits a second and bits; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    ingress: (u64, u64),
    egress: (u64, u64),
}

impl Bandwidth {
    /// Reads `{ingressRate, ingressBurst, egressRate, egressBurst}`.
    ///
    /// # Errors
    /// Code 7.
    pub fn read(mut fields: Fields) -> Result<Self, Failure> {
        let keys = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"];
        let mut read = [0u64; 4];
        for (value, key) in read.iter_mut().zip(keys) {
            *value = fields.take_any_case(key, "bits a second, or bits")?.unwrap_or_default();
        }
        fields.end(&keys)?;
        let [ingress, ingress_burst, egress, egress_burst] = read;
        Ok(Self {
            ingress: (ingress, ingress_burst),
            egress: (egress, egress_burst),
        })
    }

    /// As options of an endpoint: what the sandbox receives, and what it sends.
    pub fn options(&self) -> impl Iterator<Item = (String, String)> {
        let option = |(key, (rate, burst)): (&str, (u64, u64))| {
            let text = match burst / 8 {
                _ if rate == 0 => return None,
                0 => format!("{rate}bit"),
                // The kernel counts a burst in 32 bits, and Kubernetes' default is as much as they hold.
                bytes => format!("{rate}bit/{}", bytes.min(u64::from(u32::MAX))),
            };
            Some((key.to_owned(), text))
        };
        [("bandwidth-in", self.ingress), ("bandwidth-out", self.egress)]
            .into_iter()
            .filter_map(option)
    }
}

/// Reads it.
///
/// # Errors
/// Code 7.
pub fn read(value: Value, network: &str) -> Result<Runtime, Failure> {
    let mut fields = Fields::of("runtimeConfig", value)?;
    let runtime = Runtime {
        ports: ports(fields.list("portMappings")?)?,
        addresses: addresses(
            &fields
                .take::<Vec<String>>("ips", "a list of addresses")?
                .unwrap_or_default(),
        )?,
        mac: fields.take("mac", "a MAC address as 02:11:22:33:44:55")?,
        dns: dns(&mut fields)?,
        aliases: aliases(fields.take("aliases", "a list of names")?.unwrap_or_default(), network)?,
        bandwidth: Bandwidth::read(fields.object("bandwidth")?)?,
        pools: ranges::sets("ipRanges", fields.list("ipRanges")?)?,
    };
    fields.pass_over_prefixed();
    fields.end(&KNOWN)?;
    Ok(runtime)
}

/// Addresses, each with a prefix or without.
///
/// # Errors
/// Code 7.
pub fn addresses(texts: &[String]) -> Result<Vec<IpAddr>, Failure> {
    let one = |text: &String| {
        address(text).ok_or_else(|| {
            Failure::config(format!(
                "\"{}\" is no address: expected one as 10.0.0.5/24",
                shown(text).escape_default()
            ))
        })
    };
    texts.iter().map(one).collect()
}

fn ports(mappings: Vec<Value>) -> Result<Vec<Publish>, Failure> {
    let published = mappings.into_iter().map(port).collect::<Result<Vec<_>, _>>()?;
    Ok(published.into_iter().flatten().collect())
}

/// One mapping. A port without one of the host's is declared and not published, as Kubernetes does it.
fn port(value: Value) -> Result<Option<Publish>, Failure> {
    const NUMBER: &str = "a port, 0 to 65535";
    let mut fields = Fields::of("a port mapping", value)?;
    let host: u16 = fields.take_any_case("hostPort", NUMBER)?.unwrap_or_default();
    let container: u16 = fields.take_any_case("containerPort", NUMBER)?.unwrap_or_default();
    let protocol: String = fields
        .take_any_case("protocol", "tcp, udp or sctp")?
        .unwrap_or_default();
    let address: String = fields
        .take_any_case("hostIP", "an address of the host")?
        .unwrap_or_default();
    fields.end(&["hostPort", "containerPort", "protocol", "hostIP"])?;
    if host == 0 {
        return Ok(None);
    }
    publish(container, host, 1, &protocol, &address).map(Some)
}

/// Ports as runtimes write them: a protocol in any case, an address that may be empty.
///
/// # Errors
/// Code 7.
pub fn publish(container: u16, host: u16, count: u16, protocol: &str, address: &str) -> Result<Publish, Failure> {
    let transport: Transport = match protocol.to_ascii_lowercase().as_str() {
        "" => Transport::Tcp,
        protocol => protocol.parse()?,
    };
    let address = match address {
        "" => None,
        text => Some(text.parse::<IpAddr>().map_err(|_| {
            Failure::config(format!(
                "\"{}\" is no address of the host",
                shown(text).escape_default()
            ))
        })?),
    };
    let text = serde_json::json!({
        "transport": transport, "container_port": container, "count": count, "host_address": address, "host_port": host,
    });
    serde_json::from_value(text).map_err(|e| Failure::config(e.to_string()))
}

fn dns(fields: &mut Fields) -> Result<Option<DnsConfig>, Failure> {
    if !fields.has("dns") {
        return Ok(None);
    }
    let mut dns = fields.object("dns")?;
    let servers: Vec<String> = dns.take("servers", "a list of addresses")?.unwrap_or_default();
    let config = DnsConfig {
        nameservers: addresses(&servers)?,
        domain: String::new(),
        search: dns.take("searches", "a list of names")?.unwrap_or_default(),
        options: dns.take("options", "a list of texts")?.unwrap_or_default(),
    };
    dns.end(&["servers", "searches", "options"])?;
    Ok(Some(config))
}

/// A list by the conventions; podman has a list for each network.
fn aliases(value: Value, network: &str) -> Result<Vec<DnsLabel>, Failure> {
    let list = match value {
        Value::Object(mut networks) => networks.remove(network).unwrap_or_default(),
        other => other,
    };
    let texts: Option<Vec<String>> = match list {
        Value::Null => Some(Vec::new()),
        list => serde_json::from_value(list).ok(),
    };
    let texts = texts.ok_or_else(|| Failure::config("\"aliases\" of runtimeConfig is no list of names"))?;
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn port_mappings_are_read_in_any_case_and_zero_is_none() {
        let read = read(
            json!({"portMappings": [
                {"HostPort": 9081, "ContainerPort": 81, "Protocol": "TCP", "HostIP": ""},
                {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
                {"HostPort": 0, "ContainerPort": 82},
            ]}),
            "cst",
        );
        let expected: Vec<Publish> = ["9081:81", "127.0.0.1:53:53/udp"].map(|p| p.parse().unwrap()).into();
        assert_eq!(read.unwrap().ports, expected);
    }

    #[test]
    fn aliases_are_a_list_or_podmans_map() {
        for value in [json!(["xx", "y"]), json!({"cst": ["xx", "y"], "other": ["z"]})] {
            let read = read(json!({ "aliases": value }), "cst").unwrap();
            assert_eq!(read.aliases, ["xx", "y"].map(|a| a.parse::<DnsLabel>().unwrap()));
        }
    }

    #[test]
    fn limits_become_options() {
        let read = read(
            json!({"bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 1000, "egressBurst": 34359738360u64}}),
            "n",
        );
        let options: Vec<_> = read.unwrap().bandwidth.options().collect();
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            options,
            [
                text("bandwidth-in", "8000000bit/100000"),
                text("bandwidth-out", "1000bit/4294967295")
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_code_7() {
        for bad in [
            json!([]),
            json!({"ports": []}),
            json!({"portMappings": [{"hostPort": 70000, "containerPort": 1}]}),
            json!({"portMappings": [{"hostPort": 1}]}),
            json!({"portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "icmp"}]}),
            json!({"portMappings": {}}),
            json!({"ips": ["10.0.0.300"]}),
            json!({"mac": "x"}),
            json!({"aliases": ["-x"]}),
            json!({"aliases": 7}),
            json!({"dns": {"servers": ["x"]}}),
            json!({"bandwidth": {"rate": 1}}),
            json!({"ipRanges": [{}]}),
        ] {
            assert_eq!(read(bad.clone(), "n").unwrap_err().code, 7, "{bad}");
        }
    }
}

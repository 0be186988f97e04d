//! Results, as each version writes them.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use jackfield_model::MacAddr;
use serde_json::{Map, Value, json};

use super::{DnsConfig, Failure, Version};

/// What an ADD came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The interface in the sandbox.
    pub interface: String,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Its addresses, each with the gateway of its family.
    pub addresses: Vec<(IpNetwork, Option<IpAddr>)>,
    /// Default routes that go by it.
    pub gateways: Vec<IpAddr>,
    /// CNI_NETNS.
    pub sandbox: String,
    /// What the result says of DNS.
    pub dns: DnsConfig,
}

impl Attached {
    /// The result, behind what the plugins before this one did.
    ///
    /// # Errors
    /// Code 7, when `prevResult` is no result.
    pub fn json(&self, version: Version, previous: Option<&Value>) -> Result<Value, Failure> {
        let mut result = before(previous)?;
        let interfaces = list(&mut result, "interfaces")?;
        let place = interfaces.len();
        let mut interface = json!({ "name": self.interface, "sandbox": self.sandbox });
        if let Some(mac) = self.mac {
            interface["mac"] = json!(mac);
        }
        interfaces.push(interface);
        let ips = self.addresses.iter().map(|address| ip(address, place, version));
        list(&mut result, "ips")?.extend(ips);
        let routes = self
            .gateways
            .iter()
            .map(|gateway| json!({ "dst": everything(*gateway), "gw": gateway }));
        list(&mut result, "routes")?.extend(routes);
        if self.dns != DnsConfig::default() || !result.contains_key("dns") {
            result.insert("dns".to_owned(), dns(&self.dns));
        }
        result.insert("cniVersion".to_owned(), json!(version.as_str()));
        // Before 1.0.0 an empty list was left out, and is read so by everyone.
        result.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        Ok(Value::Object(result))
    }
}

fn before(previous: Option<&Value>) -> Result<Map<String, Value>, Failure> {
    match previous {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(result)) => Ok(result.clone()),
        Some(_) => Err(Failure::config("\"prevResult\" is no object")),
    }
}

fn list<'a>(result: &'a mut Map<String, Value>, key: &str) -> Result<&'a mut Vec<Value>, Failure> {
    let value = result.entry(key).or_insert_with(|| json!([]));
    if value.is_null() {
        *value = json!([]);
    }
    value
        .as_array_mut()
        .ok_or_else(|| Failure::config(format!("\"{key}\" of prevResult is no list")))
}

fn ip((address, gateway): &(IpNetwork, Option<IpAddr>), interface: usize, version: Version) -> Value {
    let mut ip = json!({ "address": address, "interface": interface });
    if let Some(gateway) = gateway {
        ip["gateway"] = json!(gateway);
    }
    if version < Version::V100 {
        ip["version"] = json!(if address.is_ipv4() { "4" } else { "6" });
    }
    ip
}

fn everything(gateway: IpAddr) -> &'static str {
    if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" }
}

fn dns(dns: &DnsConfig) -> Value {
    let mut value = Map::new();
    let lists = [
        ("nameservers", json!(dns.nameservers)),
        ("search", json!(dns.search)),
        ("options", json!(dns.options)),
    ];
    value.extend(lists.into_iter().filter_map(|(key, list)| {
        let empty = list.as_array().is_none_or(Vec::is_empty);
        (!empty).then(|| (key.to_owned(), list))
    }));
    if !dns.domain.is_empty() {
        value.insert("domain".to_owned(), json!(dns.domain));
    }
    Value::Object(value)
}

/// What a `prevResult` says of one interface: what CHECK looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Its MAC, if it says so.
    pub mac: Option<MacAddr>,
    /// Its addresses.
    pub addresses: Vec<IpNetwork>,
    /// Routes of the sandbox, with their gateways.
    pub routes: Vec<(IpNetwork, Option<IpAddr>)>,
}

impl Expected {
    /// Of that interface.
    ///
    /// # Errors
    /// Code 7 where it is no result, code 101 where it knows no such interface.
    pub fn of(previous: &Value, interface: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::config(format!("\"prevResult\" has {what}"));
        let list = |key: &str| match previous.get(key) {
            None | Some(Value::Null) => Ok(&[][..]),
            Some(Value::Array(list)) => Ok(list.as_slice()),
            Some(_) => Err(wrong(&format!("no list \"{key}\""))),
        };
        let ours = |entry: &&Value| {
            let inside = entry["sandbox"].as_str().is_some_and(|sandbox| !sandbox.is_empty());
            inside && entry["name"].as_str() == Some(interface)
        };
        let found = list("interfaces")?.iter().enumerate().find(|(_, entry)| ours(entry));
        let (place, entry) = found.ok_or_else(|| {
            Failure::not_as_it_should_be(format!("prevResult has no interface {interface} in a sandbox"))
        })?;
        let cidr = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            jackfield_model::parse_cidr(text).map_err(|e| wrong(&format!("a wrong address: {}", e.message)))
        };
        let of_it = |ip: &&Value| ip["interface"].as_u64() == Some(place as u64);
        let route = |route: &Value| -> Result<_, Failure> {
            let gateway = match route["gw"].as_str() {
                None | Some("") => None,
                Some(text) => Some(text.parse().map_err(|_| wrong("a route with a wrong gateway"))?),
            };
            Ok((cidr(&route["dst"])?, gateway))
        };
        let mac = match entry["mac"].as_str() {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| wrong("a wrong MAC address"))?),
        };
        Ok(Self {
            mac,
            addresses: list("ips")?
                .iter()
                .filter(of_it)
                .map(|ip| cidr(&ip["address"]))
                .collect::<Result<_, _>>()?,
            routes: list("routes")?.iter().map(route).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached() -> Attached {
        Attached {
            interface: "eth0".into(),
            mac: Some("02:11:22:33:44:55".parse().unwrap()),
            addresses: vec![
                ("10.1.0.2/24".parse().unwrap(), Some("10.1.0.1".parse().unwrap())),
                ("fd00::2/64".parse().unwrap(), None),
            ],
            gateways: vec!["10.1.0.1".parse().unwrap()],
            sandbox: "/run/netns/x".into(),
            dns: DnsConfig::default(),
        }
    }

    #[test]
    fn each_version_gets_its_own_form() {
        let new = attached().json(Version::V110, None).unwrap();
        assert_eq!(
            new,
            json!({
                "cniVersion": "1.1.0",
                "interfaces": [{"name": "eth0", "mac": "02:11:22:33:44:55", "sandbox": "/run/netns/x"}],
                "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 0}, {"address": "fd00::2/64", "interface": 0}],
                "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}],
                "dns": {},
            })
        );
        let old = attached().json(Version::V040, None).unwrap();
        assert_eq!(
            (&old["ips"][0]["version"], &old["ips"][1]["version"]),
            (&json!("4"), &json!("6"))
        );
    }

    #[test]
    fn what_others_did_stands_before_ours() {
        let previous = json!({"cniVersion": "1.0.0", "interfaces": [{"name": "lo", "sandbox": "/n"}],
            "ips": [{"address": "127.0.0.1/8", "interface": 0}], "dns": {"domain": "x"}, "custom": 7});
        let result = attached().json(Version::V100, Some(&previous)).unwrap();
        assert_eq!(result["interfaces"][0]["name"], "lo");
        assert_eq!(result["ips"][1]["interface"], 1);
        assert_eq!((&result["dns"]["domain"], &result["custom"]), (&json!("x"), &json!(7)));
        for bad in [json!([]), json!({"ips": {}})] {
            assert_eq!(attached().json(Version::V100, Some(&bad)).unwrap_err().code, 7);
        }
    }

    #[test]
    fn a_result_is_what_check_expects() {
        let result = attached().json(Version::V110, None).unwrap();
        let expected = Expected::of(&result, "eth0").unwrap();
        assert_eq!(
            expected.addresses,
            attached().addresses.iter().map(|a| a.0).collect::<Vec<_>>()
        );
        assert_eq!(expected.routes.len(), 1);
        assert_eq!(Expected::of(&result, "eth1").unwrap_err().code, 101);
    }
}

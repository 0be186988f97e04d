//! Configurations of the reference plugins `bridge`, `ptp` and `macvlan` with `host-local`, in our words. The README has the table.

use std::net::IpAddr;

use jackfield_model::{IpNetwork, Options, parse_cidr};
use serde_json::Value;

use super::{Description, DnsConfig, Failure, PoolWanted, ranges};
use crate::fields::{Fields, shown};

/// Keys that say nothing here: the host does it anyway, or nobody needs it.
const IDLE: [&str; 6] = [
    "hairpinMode",
    "forceAddress",
    "enabledad",
    "preserveDefaultVlan",
    "ipMasqBackend",
    "linkInContainer",
];
/// Wishes that cannot be met; off is as good as not there.
const REFUSED: [&str; 4] = ["promiscMode", "macspoofchk", "disableContainerInterface", "vlanTrunk"];
const KNOWN: [&str; 19] = [
    "bridge",
    "isGateway",
    "isDefaultGateway",
    "ipMasq",
    "mtu",
    "vlan",
    "portIsolation",
    "master",
    "mode",
    "ipam",
    "driver",
    "internal",
    "options",
    "endpointOptions",
    "interface",
    "names",
    "bandwidth",
    "dns",
    "socket",
];

/// What `ipam` says.
struct Ipam {
    pools: Vec<PoolWanted>,
    /// Destination and gateway.
    routes: Vec<(IpNetwork, Option<IpAddr>)>,
}

/// A network that has an `ipam`.
///
/// # Errors
/// Codes 2 and 7.
pub fn network(mut fields: Fields, driver: Option<&str>) -> Result<Description, Failure> {
    let ipam = ipam(fields.object("ipam")?)?;
    let driver = fields
        .take("driver", "a driver's name")?
        .or_else(|| driver.map(str::to_owned))
        .unwrap_or_else(|| "bridge".to_owned());
    refuse(&mut fields)?;
    let mut options = Options::new();
    for (key, option) in [("mtu", "mtu"), ("vlan", "vlan")] {
        // Zero is what the reference plugins take for nothing said.
        let number: Option<u32> = fields.take(key, "a number")?;
        options.extend(number.filter(|n| *n != 0).map(|n| (option.to_owned(), n.to_string())));
    }
    for (key, option) in [("bridge", "bridge"), ("master", "parent"), ("mode", "mode")] {
        let text: Option<String> = fields.take(key, "a text")?;
        options.extend(text.filter(|t| !t.is_empty()).map(|text| (option.to_owned(), text)));
    }
    let mut flag = |key: &str| -> Result<bool, Failure> { Ok(fields.take(key, "true or false")?.unwrap_or_default()) };
    let flags = Flags {
        default_gateway: flag("isDefaultGateway")?,
        gateway: flag("isGateway")?,
        masquerade: flag("ipMasq")?,
        isolated: flag("portIsolation")?,
    };
    options.extend(flags.options(&driver, &ipam));
    // What is said in our own words has the last one.
    options.extend(fields.texts("options")?);
    let internal = fields.take("internal", "true or false")?.unwrap_or_default();
    fields.pass_over(&IDLE);
    fields.end(&KNOWN)?;
    Ok(Description {
        driver: Some(driver),
        pools: ipam.pools,
        ipv6: false,
        internal,
        options,
    })
}

struct Flags {
    default_gateway: bool,
    gateway: bool,
    masquerade: bool,
    isolated: bool,
}

impl Flags {
    /// The bridge's defaults are the reference plugin's: no masquerade, no address on the bridge, no default route unless one is asked for.
    fn options(&self, driver: &str, ipam: &Ipam) -> Options {
        let mut options = Options::new();
        let mut set = |key: &str, value: &str| drop(options.insert(key.to_owned(), value.to_owned()));
        let is_default = |(destination, _): &(IpNetwork, _)| destination.prefix() == 0;
        let others = ipam.routes.iter().filter(|route| !is_default(route));
        let routes: Vec<String> = others.filter_map(|route| self.route(ipam, route)).collect();
        if !routes.is_empty() {
            set("route", &routes.join(","));
        }
        if self.isolated {
            set("isolated", "true");
        }
        if driver != "bridge" {
            // Another driver has its own ideas of gateways and default routes; a wish that it cannot meet it refuses.
            if self.masquerade {
                set("masquerade", "true");
            }
            return options;
        }
        set("masquerade", if self.masquerade { "true" } else { "false" });
        if !self.gateway && !self.default_gateway {
            set("inhibit-ipv4", "true");
            if ipam.pools.iter().any(|pool| pool.subnet.is_ipv6()) {
                set("gateway-mode-ipv6", "isolated");
            }
        }
        if !self.default_gateway && !ipam.routes.iter().any(is_default) {
            set("no-default-route", "true");
        }
        options
    }

    /// A route without a gateway goes by the network's own.
    fn route(&self, ipam: &Ipam, (destination, gateway): &(IpNetwork, Option<IpAddr>)) -> Option<String> {
        let own = || {
            let mut pools = ipam
                .pools
                .iter()
                .filter(|p| p.subnet.is_ipv4() == destination.is_ipv4());
            pools.find_map(|pool| pool.gateway)
        };
        let gateway = gateway.or_else(own)?;
        Some(format!("{destination} via {gateway}"))
    }
}

fn refuse(fields: &mut Fields) -> Result<(), Failure> {
    for key in REFUSED {
        match fields.take::<Value>(key, "a value")? {
            None | Some(Value::Bool(false)) => {}
            Some(_) => {
                return Err(Failure::unsupported(format!(
                    "\"{key}\" is not supported: leave it out"
                )));
            }
        }
    }
    Ok(())
}

fn ipam(mut fields: Fields) -> Result<Ipam, Failure> {
    let kind: Option<String> = fields.take("type", "host-local")?;
    match kind.as_deref() {
        Some("host-local") => {}
        None | Some("") => {
            return Err(Failure::unsupported(
                "\"ipam\" names no type: expected host-local, or no \"ipam\" and \"subnets\" instead",
            ));
        }
        Some(other) => {
            return Err(Failure::unsupported(format!(
                "\"ipam\" is of type \"{}\": expected host-local, or no \"ipam\" and \"subnets\" instead",
                shown(other).escape_default()
            )));
        }
    }
    // The host keeps addresses by itself, and what resolvConf names the caller has read.
    fields.pass_over(&["dataDir", "resolvConf"]);
    let mut pools = Vec::new();
    if fields.has("subnet") {
        let mut range = serde_json::Map::new();
        for key in ranges::KEYS {
            range.extend(
                fields
                    .take::<Value>(key, "a text")?
                    .map(|value| (key.to_owned(), value)),
            );
        }
        pools.push(ranges::one(Fields::of("ipam", Value::Object(range))?)?);
    }
    pools.extend(ranges::sets("ranges", fields.list("ranges")?)?);
    let routes = fields
        .list("routes")?
        .into_iter()
        .map(route)
        .collect::<Result<_, _>>()?;
    fields.end(&[
        "type",
        "subnet",
        "rangeStart",
        "rangeEnd",
        "gateway",
        "ranges",
        "routes",
        "dataDir",
        "resolvConf",
    ])?;
    Ok(Ipam { pools, routes })
}

fn route(value: Value) -> Result<(IpNetwork, Option<IpAddr>), Failure> {
    let mut fields = Fields::of("a route", value)?;
    let destination: Option<String> = fields.take("dst", "a subnet")?;
    let gateway = fields.take("gw", "an address")?;
    fields.end(&["dst", "gw"])?;
    let destination = destination.ok_or_else(|| Failure::config("a route has no \"dst\""))?;
    Ok((parse_cidr(&destination)?, gateway))
}

/// What the file has that `resolvConf` names; lines that nobody reads are passed over, as resolvers do.
pub fn resolv_conf(text: &str) -> DnsConfig {
    let mut dns = DnsConfig::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => dns
                .nameservers
                .extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
            Some("domain") => dns.domain = words.next().unwrap_or_default().to_owned(),
            Some("search") => dns.search = words.map(str::to_owned).collect(),
            Some("options") => dns.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(config: Value, driver: Option<&str>) -> Result<String, Failure> {
        let description = network(Fields::of("the network configuration", config)?, driver)?;
        let pairs = description.options.iter().map(|(key, value)| format!("{key}={value}"));
        Ok(pairs.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_configuration_means_what_its_plugin_made_of_it() {
        let pools = json!([[{ "subnet": "10.1.0.0/24" }]]);
        let with = |routes: Value| json!({ "type": "host-local", "ranges": pools, "routes": routes });
        for (config, driver, expected) in [
            (
                json!({ "ipam": with(json!([])) }),
                None,
                "inhibit-ipv4=true masquerade=false no-default-route=true",
            ),
            (
                json!({ "bridge": "cni0", "isGateway": true, "ipMasq": true, "mtu": 1400, "vlan": 0, "ipam": with(json!([{ "dst": "0.0.0.0/0" }])) }),
                None,
                "bridge=cni0 masquerade=true mtu=1400",
            ),
            (
                json!({ "isDefaultGateway": true, "portIsolation": true, "vlan": 7,
                    "ipam": with(json!([{ "dst": "10.2.0.0/16" }, { "dst": "10.3.0.0/16", "gw": "10.1.0.9" }])) }),
                None,
                "isolated=true masquerade=false route=10.2.0.0/16 via 10.1.0.1,10.3.0.0/16 via 10.1.0.9 vlan=7",
            ),
            (
                json!({ "master": "eth0", "mode": "bridge", "ipam": with(json!([])) }),
                Some("macvlan"),
                "mode=bridge parent=eth0",
            ),
            (
                json!({ "ipMasq": true, "ipam": with(json!([])), "options": { "mtu": 9000 } }),
                Some("ptp"),
                "masquerade=true mtu=9000",
            ),
        ] {
            assert_eq!(options(config.clone(), driver).as_deref(), Ok(expected), "{config}");
        }
    }

    #[test]
    fn wishes_that_cannot_be_met_are_refused() {
        let ipam = json!({ "type": "host-local", "subnet": "10.1.0.0/24" });
        for (config, code) in [
            (json!({ "ipam": ipam, "promiscMode": true }), 2),
            (json!({ "ipam": { "type": "dhcp" } }), 2),
            (json!({ "ipam": {} }), 2),
            (json!({ "ipam": ipam, "subnets": [] }), 7),
            (json!({ "ipam": { "type": "host-local", "routes": [{}] } }), 7),
        ] {
            assert_eq!(options(config.clone(), None).unwrap_err().code, code, "{config}");
        }
        assert!(
            options(
                json!({ "ipam": ipam, "promiscMode": false, "macspoofchk": false }),
                None
            )
            .is_ok()
        );
    }

    #[test]
    fn a_resolv_conf_is_read_as_resolvers_read_it() {
        let dns = resolv_conf(
            "# x\nnameserver 192.0.2.53\nnameserver none\nsearch a.example b.example\ndomain d\noptions ndots:2 rotate\n",
        );
        assert_eq!(dns.nameservers, ["192.0.2.53".parse::<IpAddr>().unwrap()]);
        assert_eq!((dns.search.len(), dns.options.len(), dns.domain.as_str()), (2, 2, "d"));
    }
}

//! A network configuration, as a runtime hands it to a plugin.
//!
//! It says its network in one of three ways, see the crate's README: by the name of one that exists (`network`), described in our own words
//! (`driver`, `subnets`, `options`, ...), or in those of the `bridge`, `ptp` and `macvlan` plugins with `host-local` (where there is an
//! `ipam`). A key that nobody knows is refused where something is to be made, so that no wish is dropped in silence; a DEL or GC passes over it,
//! since what was made must go.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use jackfield_model::{Family, LinkName, MacAddr, Name, Options, parse_subnet};
use serde_json::Value;

use super::{
    Failure, Version, ranges,
    runtime::{self, Bandwidth, Runtime},
    translate,
};
use crate::fields::Fields;

/// Keys of every configuration.
const COMMON: [&str; 13] = [
    "network",
    "driver",
    "subnets",
    "ipv6",
    "internal",
    "options",
    "endpointOptions",
    "interface",
    "names",
    "bandwidth",
    "dns",
    "ipam",
    "socket",
];
/// What libcni and runtimes put in, and what says nothing to us.
const PASSED_OVER: [&str; 5] = ["cniVersion", "name", "type", "capabilities", "socket"];

/// DNS as CNI has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// Servers.
    pub nameservers: Vec<IpAddr>,
    /// The local domain.
    pub domain: String,
    /// Search domains.
    pub search: Vec<String>,
    /// Options of resolv.conf.
    pub options: Vec<String>,
}

/// A subnet that a described network gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolWanted {
    /// Which.
    pub subnet: IpNetwork,
    /// Addresses are given out from this part only.
    pub range: Option<IpNetwork>,
    /// None: the first address of the range or subnet.
    pub gateway: Option<IpAddr>,
    /// Given to nobody.
    pub aside: Vec<IpAddr>,
}

/// A network, described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// None: that of the program's name, or the host's default.
    pub driver: Option<String>,
    /// Empty: what the host chooses.
    pub pools: Vec<PoolWanted>,
    /// An IPv6 subnet is chosen where none is given.
    pub ipv6: bool,
    /// No way in or out.
    pub internal: bool,
    /// Options of the driver.
    pub options: Options,
}

/// The network that a configuration means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// One that exists.
    Named(String),
    /// One that is made on first use, under the configuration's name.
    Described(Description),
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The version that is spoken.
    pub version: Version,
    /// Its name.
    pub name: Name,
    /// Its network.
    pub network: Network,
    /// The interface's name in the sandbox, instead of CNI_IFNAME: for a second interface in one chain.
    pub interface: Option<LinkName>,
    /// The sandbox gets the host's name service.
    pub names: bool,
    /// Options of the endpoint.
    pub endpoint_options: Options,
    /// What the result says of DNS.
    pub dns: DnsConfig,
    /// Addresses asked for, by `args` or `runtimeConfig`.
    pub addresses: Vec<IpAddr>,
    /// What the runtime filled in.
    pub runtime: Runtime,
    /// `prevResult`, untouched.
    pub previous: Option<Value>,
}

/// What there is to know for taking something down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The version that is spoken.
    pub version: Version,
    /// Its name.
    pub name: Name,
    /// What GC keeps: container and interface. None where the runtime did not say.
    pub valid: Option<Vec<(String, String)>>,
}

impl Outline {
    /// Reads no more than it needs, so that what was made under an older configuration can go under a newer one.
    ///
    /// # Errors
    /// Codes 1, 6 and 7.
    pub fn read(config: &Value) -> Result<Self, Failure> {
        let version = Version::of(config)?;
        let valid = match config.get("cni.dev/valid-attachments") {
            None | Some(Value::Null) => None,
            Some(list) => Some(attachments(list)?),
        };
        Ok(Self {
            version,
            name: name(config)?,
            valid,
        })
    }
}

fn attachments(list: &Value) -> Result<Vec<(String, String)>, Failure> {
    let wrong = || {
        Failure::config(
            "\"cni.dev/valid-attachments\" is no list of attachments: expected [{\"containerID\": \"...\", \"ifname\": \"...\"}]",
        )
    };
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let one = |entry: &Value| text(entry, "containerID").zip(text(entry, "ifname")).ok_or_else(wrong);
    list.as_array().ok_or_else(wrong)?.iter().map(one).collect()
}

/// The text as JSON.
///
/// # Errors
/// Code 6.
pub fn decode(text: &str) -> Result<Value, Failure> {
    let value: Value = serde_json::from_str(text)
        .map_err(|e| Failure::decode("the network configuration is no JSON").details(e.to_string()))?;
    if !value.is_object() {
        return Err(Failure::decode("the network configuration is no JSON object"));
    }
    Ok(value)
}

fn name(config: &Value) -> Result<Name, Failure> {
    match config.get("name") {
        Some(Value::String(name)) => Ok(name.parse()?),
        None | Some(Value::Null) => Err(Failure::config("the network configuration has no \"name\"")),
        Some(_) => Err(Failure::config("\"name\" of the network configuration is no text")),
    }
}

impl Config {
    /// Reads all of it. `driver` is what the program's own name says.
    ///
    /// # Errors
    /// Codes 1, 2, 6 and 7, with the key that is wrong.
    pub fn read(config: Value, driver: Option<&str>, resolv_conf: Option<&str>) -> Result<Self, Failure> {
        let version = Version::of(&config)?;
        let name = name(&config)?;
        let mut fields = Fields::of("the network configuration", config)?;
        fields.pass_over(&PASSED_OVER);
        fields.pass_over_prefixed();
        let previous = fields.take("prevResult", "an object")?;
        let runtime = runtime::read(
            fields.take("runtimeConfig", "an object")?.unwrap_or_default(),
            name.as_str(),
        )?;
        let mut options = fields.texts("endpointOptions")?;
        options.extend(Bandwidth::read(fields.object("bandwidth")?)?.options());
        options.extend(runtime.bandwidth.options());
        let addresses = asked(fields.object("args")?, &runtime)?;
        let dns = match &runtime.dns {
            Some(dns) => {
                fields.pass_over(&["dns"]);
                dns.clone()
            }
            None => dns(fields.object("dns")?, resolv_conf)?,
        };
        let interface = fields.take("interface", "the name of an interface")?;
        let names = fields.take("names", "true or false")?.unwrap_or_default();
        let network = network(fields, &runtime, driver)?;
        Ok(Self {
            version,
            name,
            network,
            interface,
            names,
            endpoint_options: options,
            dns,
            addresses,
            runtime,
            previous,
        })
    }

    /// The MAC asked for.
    pub fn mac(&self) -> Option<MacAddr> {
        self.runtime.mac
    }
}

/// Addresses by the capability, else by `args.cni.ips`, which is its older form.
fn asked(mut args: Fields, runtime: &Runtime) -> Result<Vec<IpAddr>, Failure> {
    let texts: Vec<String> = args
        .object("cni")?
        .take("ips", "a list of addresses")?
        .unwrap_or_default();
    if runtime.addresses.is_empty() {
        runtime::addresses(&texts)
    } else {
        Ok(runtime.addresses.clone())
    }
}

fn dns(mut fields: Fields, resolv_conf: Option<&str>) -> Result<DnsConfig, Failure> {
    let servers: Vec<String> = fields.take("nameservers", "a list of addresses")?.unwrap_or_default();
    let dns = DnsConfig {
        nameservers: runtime::addresses(&servers)?,
        domain: fields.take("domain", "a text")?.unwrap_or_default(),
        search: fields.take("search", "a list of names")?.unwrap_or_default(),
        options: fields.take("options", "a list of texts")?.unwrap_or_default(),
    };
    fields.end(&["nameservers", "domain", "search", "options"])?;
    match resolv_conf {
        Some(text) if dns == DnsConfig::default() => Ok(translate::resolv_conf(text)),
        _ => Ok(dns),
    }
}

fn network(mut fields: Fields, runtime: &Runtime, driver: Option<&str>) -> Result<Network, Failure> {
    if let Some(name) = fields.take::<String>("network", "the name of a network")? {
        if !runtime.pools.is_empty() {
            return Err(Failure::config(
                "\"ipRanges\" of runtimeConfig is for a network that the configuration describes: this one names a network, which has its own subnets",
            ));
        }
        fields.end(&["interface", "endpointOptions", "names", "bandwidth", "dns", "socket"])?;
        return Ok(Network::Named(name));
    }
    let mut description = if fields.has("ipam") {
        translate::network(fields, driver)?
    } else {
        ours(fields, driver)?
    };
    description.pools.extend(runtime.pools.clone());
    one_of_each(&description)?;
    Ok(Network::Described(description))
}

fn ours(mut fields: Fields, driver: Option<&str>) -> Result<Description, Failure> {
    fields.pass_over(&["ipam"]);
    let driver = fields
        .take("driver", "a driver's name")?
        .or_else(|| driver.map(str::to_owned));
    let description = Description {
        driver,
        pools: fields
            .list("subnets")?
            .into_iter()
            .map(pool)
            .collect::<Result<_, _>>()?,
        ipv6: fields.take("ipv6", "true or false")?.unwrap_or_default(),
        internal: fields.take("internal", "true or false")?.unwrap_or_default(),
        options: fields.texts("options")?,
    };
    fields.end(&COMMON)?;
    Ok(description)
}

/// `"10.1.0.0/24"`, or an object.
fn pool(value: Value) -> Result<PoolWanted, Failure> {
    if let Value::String(text) = value {
        return Ok(PoolWanted {
            subnet: parse_subnet(&text)?,
            range: None,
            gateway: None,
            aside: Vec::new(),
        });
    }
    let mut fields = Fields::of("a subnet", value)?;
    if fields.has("rangeStart") || fields.has("rangeEnd") {
        return ranges::one(fields);
    }
    let part = |text: Option<String>| text.map(|text| parse_subnet(&text)).transpose();
    let subnet = part(fields.take("subnet", "a subnet as 10.1.0.0/24")?)?;
    let pool = PoolWanted {
        subnet: subnet.ok_or_else(|| Failure::config("a subnet has no \"subnet\": expected one as 10.1.0.0/24"))?,
        range: part(fields.take("range", "a part of the subnet as 10.1.0.128/25")?)?,
        gateway: fields.take("gateway", "an address")?,
        aside: fields.take("aside", "a list of addresses")?.unwrap_or_default(),
    };
    fields.end(&["subnet", "range", "rangeStart", "rangeEnd", "gateway", "aside"])?;
    Ok(pool)
}

/// The same subnet twice is two ranges of it, of which the host knows one.
fn one_of_each(description: &Description) -> Result<(), Failure> {
    let subnets: Vec<IpNetwork> = description.pools.iter().map(|pool| pool.subnet).collect();
    match subnets
        .iter()
        .enumerate()
        .find(|(i, subnet)| subnets[..*i].contains(subnet))
    {
        None => Ok(()),
        Some((_, twice)) => Err(Failure::unsupported(format!(
            "subnet {twice} is there twice: expected one range of each {} subnet",
            if Family::of(twice.ip()) == Family::Ipv4 {
                "IPv4"
            } else {
                "IPv6"
            }
        ))),
    }
}

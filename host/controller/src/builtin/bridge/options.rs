//! What a user may say of a bridge network and of an endpoint in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_driver::Gateway;
use jackfield_kernel::plan::Rate;
use jackfield_model::{Error, Family, LinkName, NetworkSpec, Options, Result, StaticRoute};

use super::{
    super::options::{FLAG, Known, OptionHelp, flag, read, value},
    rate, routes,
};

/// Least payload that IPv4 works with (RFC 791), and most that a veth takes (ETH_MAX_MTU of linux/if_ether.h).
const MTU: std::ops::RangeInclusive<u32> = 68..=65_535;
/// Least payload that IPv6 works with (RFC 8200, section 5).
pub const MTU_IPV6: u32 = 1280;
/// VLANs that there are (IEEE 802.1Q): 0 and 4095 are reserved.
const VLAN: std::ops::RangeInclusive<u16> = 1..=4094;
/// Longest prefix of an interface's name, in bytes: three digits have room behind it.
const MAX_PREFIX: usize = 12;

/// A network's options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Name of the bridge, else made of the network's id. One that is there is adopted.
    pub bridge: Option<LinkName>,
    /// Payload of the bridge and its ports.
    pub mtu: Option<u32>,
    /// The VLAN of the ports' untagged frames.
    pub vlan: Option<u16>,
    /// Whether what leaves the pools for elsewhere gets the host's address; it does.
    pub masquerade: Option<bool>,
    /// The source of what leaves by IPv4, instead of whichever address the host has on the way.
    pub host_ipv4: Option<Ipv4Addr>,
    /// The same of IPv6.
    pub host_ipv6: Option<Ipv6Addr>,
    /// Address of the host that ports are published on by IPv4 where none is asked for.
    pub binding_ipv4: Option<Ipv4Addr>,
    /// The same by IPv6.
    pub binding_ipv6: Option<Ipv6Addr>,
    /// How the world reaches the sandboxes by IPv4.
    pub mode_ipv4: Option<GatewayMode>,
    /// The same by IPv6.
    pub mode_ipv6: Option<GatewayMode>,
    /// Whether sandboxes reach each other other than by published ports; they do. Ports that do not are isolated by the bridge itself, which holds
    /// whatever becomes of firewalls. Where bridge-nf-call-iptables is set that also keeps a neighbour from a published port by the host's
    /// address, for there the bridge translates the address, and then sends the packet to its port without asking the host
    /// (br_nf_pre_routing_finish of net/bridge/br_netfilter_hooks.c, from its label bridged_dnat on), from one isolated port to another.
    /// Docker answers such a neighbour by its proxy, a program; without one (userland-proxy=false) it drops him too.
    pub icc: Option<bool>,
    /// Links of the host by which everything may enter.
    pub trusted: Vec<LinkName>,
    /// The bridge gets no IPv4 address: something else on it is the gateway.
    pub inhibit_ipv4: bool,
    /// Prefix of the sandboxes' interfaces.
    pub prefix: Option<String>,
    /// Routes that each sandbox gets.
    pub routes: Vec<StaticRoute>,
    /// What an endpoint may have differently.
    pub endpoint: EndpointOptions,
    /// Docker's labels for what a network is asked for otherwise.
    pub elsewhere: Elsewhere,
}

/// Docker's gateway modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayMode {
    /// The bridge is the gateway, and lets in what fits.
    Open(Gateway),
    /// The host has no address on the bridge, and so is no gateway.
    Isolated,
}

impl GatewayMode {
    fn read(text: &str) -> Option<Self> {
        match text {
            "nat" => Some(Self::Open(Gateway::Nat)),
            "nat-unprotected" => Some(Self::Open(Gateway::NatUnprotected)),
            "routed" => Some(Self::Open(Gateway::Routed)),
            "isolated" => Some(Self::Isolated),
            _ => None,
        }
    }
}

/// An endpoint's options; what is None is as its network has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointOptions {
    /// Whether it is kept from other isolated ports.
    pub isolated: Option<bool>,
    /// Whether it gives its sandbox no default route.
    pub no_default_route: Option<bool>,
    /// Metric of its default routes.
    pub metric: Option<u32>,
    /// Limit of what the sandbox receives.
    pub bandwidth_in: Option<Rate>,
    /// Limit of what it sends.
    pub bandwidth_out: Option<Rate>,
}

/// What is said of a network elsewhere in its request; Docker has labels for it too, which have to agree with that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    internal: Option<bool>,
    ipv4: Option<bool>,
    ipv6: Option<bool>,
}

/// A line of a table.
macro_rules! known {
    ($name:literal, $label:expr, $takes:expr, $help:literal, |$values:ident, $text:ident| $set:expr) => {
        Known {
            about: OptionHelp {
                name: $name,
                label: $label,
                takes: $takes,
                help: $help,
            },
            read: |$values, $text| {
                $set;
                Some(())
            },
        }
    };
}

const RATE: &str = "bits a second and maybe a burst of bytes, as 10mbit or 10mbit/64k";
const MODE: &str = "nat, nat-unprotected, routed or isolated";
const METRIC: &str = "a number, 0 to 4294967295";

/// Every option of a network.
#[rustfmt::skip] // A table.
pub const NETWORK: [Known<NetworkOptions>; 24] = [
    known!("bridge", Some("com.docker.network.bridge.name"), "a link's name, 1 to 15 bytes",
        "Name of the bridge; a bridge that has it already is adopted, and never deleted [default: br- and the id]",
        |s, text| s.bridge = Some(value(text)?)),
    known!("mtu", Some("com.docker.network.driver.mtu"), "bytes, 68 to 65535",
        "Largest payload [default: that of the default route's link]",
        |s, text| s.mtu = Some(value(text).filter(|m| MTU.contains(m))?)),
    known!("vlan", None, "a VLAN, 1 to 4094",
        "VLAN that the network's frames belong to on its bridge",
        |s, text| s.vlan = Some(value(text).filter(|v| VLAN.contains(v))?)),
    known!("masquerade", Some("com.docker.network.bridge.enable_ip_masquerade"), FLAG,
        "What leaves the network gets the host's address [default: true]",
        |s, text| s.masquerade = Some(flag(text)?)),
    known!("host-ipv4", Some("com.docker.network.host_ipv4"), "an IPv4 address of the host",
        "Source of what leaves the network [default: the host's address on the way]",
        |s, text| s.host_ipv4 = Some(value(text)?)),
    known!("host-ipv6", Some("com.docker.network.host_ipv6"), "an IPv6 address of the host",
        "Source of what leaves the network [default: the host's address on the way]",
        |s, text| s.host_ipv6 = Some(value(text)?)),
    known!("host-binding", Some("com.docker.network.bridge.host_binding_ipv4"), "an IPv4 address of the host",
        "Where ports are published that name no address; with it alone, by IPv4 alone [default: 0.0.0.0, all addresses of both families]",
        |s, text| s.binding_ipv4 = Some(value(text).filter(|a: &Ipv4Addr| !a.is_multicast())?)),
    known!("host-binding-ipv6", None, "an IPv6 address of the host, and not ::1",
        "The same for IPv6; with it alone, by IPv6 alone",
        |s, text| s.binding_ipv6 = Some(value(text).filter(|a: &Ipv6Addr| !a.is_multicast() && !a.is_loopback())?)),
    known!("gateway-mode-ipv4", Some("com.docker.network.bridge.gateway_mode_ipv4"), MODE,
        "How the world reaches the sandboxes [default: nat, by published ports alone]",
        |s, text| s.mode_ipv4 = Some(GatewayMode::read(text)?)),
    known!("gateway-mode-ipv6", Some("com.docker.network.bridge.gateway_mode_ipv6"), MODE,
        "The same for IPv6",
        |s, text| s.mode_ipv6 = Some(GatewayMode::read(text)?)),
    known!("icc", Some("com.docker.network.bridge.enable_icc"), FLAG,
        "Sandboxes reach each other other than by published ports [default: true]",
        |s, text| s.icc = Some(flag(text)?)),
    known!("trusted-interfaces", Some("com.docker.network.bridge.trusted_host_interfaces"), "names of links, with colons between them",
        "Links of the host by which everything may enter the network",
        |s, text| s.trusted = text.split(':').map(value).collect::<Option<_>>()?),
    known!("inhibit-ipv4", Some("com.docker.network.bridge.inhibit_ipv4"), FLAG,
        "The bridge gets no IPv4 address: another host on it is the gateway [default: false]",
        |s, text| s.inhibit_ipv4 = flag(text)?),
    known!("interface-prefix", Some("com.docker.network.container_iface_prefix"), "1 to 12 bytes that a link's name may begin with",
        "What the sandboxes' interfaces are called before their number [default: eth]",
        |s, text| s.prefix = Some(prefix(text)?)),
    known!("route", None, "routes, as 10.1.0.0/16 via 10.0.0.5, with commas between them",
        "Routes that each sandbox gets: DESTINATION via GATEWAY, and maybe metric NUMBER",
        |s, text| s.routes = routes::read(text)?),
    known!("isolated", None, FLAG,
        "Sandboxes do not reach each other, only the host and what is beyond [default: false]",
        |s, text| s.endpoint.isolated = Some(flag(text)?)),
    known!("no-default-route", None, FLAG,
        "Sandboxes get no default route from this network [default: false]",
        |s, text| s.endpoint.no_default_route = Some(flag(text)?)),
    known!("metric", None, METRIC,
        "Metric of the sandboxes' default routes; of a sandbox's networks the lowest one is its default route",
        |s, text| s.endpoint.metric = Some(value(text)?)),
    known!("bandwidth-in", None, RATE,
        "Most that each sandbox receives",
        |s, text| s.endpoint.bandwidth_in = Some(rate::read(text)?)),
    known!("bandwidth-out", None, RATE,
        "Most that each sandbox sends",
        |s, text| s.endpoint.bandwidth_out = Some(rate::read(text)?)),
    known!("com.docker.network.internal", None, FLAG,
        "Has to agree with the network's own \"internal\"",
        |s, text| s.elsewhere.internal = Some(flag(text)?)),
    known!("com.docker.network.enable_ipv4", None, FLAG,
        "Has to agree with the network's subnets",
        |s, text| s.elsewhere.ipv4 = Some(flag(text)?)),
    known!("com.docker.network.enable_ipv6", None, FLAG,
        "Has to agree with the network's subnets",
        |s, text| s.elsewhere.ipv6 = Some(flag(text)?)),
    known!("com.docker.network.bridge.default_bridge", None, "false",
        "Docker's own default bridge is none of ours",
        |_s, text| flag(text).filter(|on| !on)?),
];

/// Every option of an endpoint.
#[rustfmt::skip] // A table.
pub const ENDPOINT: [Known<EndpointOptions>; 5] = [
    known!("isolated", None, FLAG, "It does not reach other isolated sandboxes [default: as the network]",
        |s, text| s.isolated = Some(flag(text)?)),
    known!("no-default-route", None, FLAG, "Its sandbox gets no default route from it [default: as the network]",
        |s, text| s.no_default_route = Some(flag(text)?)),
    known!("metric", None, METRIC, "Metric of its default routes [default: as the network]",
        |s, text| s.metric = Some(value(text)?)),
    known!("bandwidth-in", None, RATE, "Most that its sandbox receives [default: as the network]",
        |s, text| s.bandwidth_in = Some(rate::read(text)?)),
    known!("bandwidth-out", None, RATE, "Most that its sandbox sends [default: as the network]",
        |s, text| s.bandwidth_out = Some(rate::read(text)?)),
];

impl NetworkOptions {
    /// Reads them.
    ///
    /// # Errors
    /// See [`read`].
    pub fn read(options: &Options) -> Result<Self> {
        read("option of a bridge network", &NETWORK, options)
    }

    /// The gateway mode of a family.
    pub fn mode(&self, family: Family) -> Option<GatewayMode> {
        match family {
            Family::Ipv4 => self.mode_ipv4,
            Family::Ipv6 => self.mode_ipv6,
        }
    }

    /// Addresses of the host that ports are published on; empty for all. As with Docker, 0.0.0.0 is no more than the default.
    pub fn bindings(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self
            .binding_ipv4
            .filter(|a| !a.is_unspecified() || self.binding_ipv6.is_some());
        let ipv6 = self.binding_ipv6.map(IpAddr::from);
        ipv4.map(IpAddr::from).into_iter().chain(ipv6)
    }

    /// Whether the host keeps out of a family on the bridge.
    pub fn keeps_out(&self, family: Family) -> bool {
        self.mode(family) == Some(GatewayMode::Isolated) || (self.inhibit_ipv4 && family == Family::Ipv4)
    }

    /// Whether they fit the rest of what was asked for.
    ///
    /// # Errors
    /// invalid-argument, with what contradicts what.
    pub fn check(&self, spec: &NetworkSpec) -> Result<()> {
        let has = |family| spec.pools.iter().any(|p| Family::of(p.subnet.ip()) == family);
        if let Some(mtu) = self.mtu.filter(|mtu| *mtu < MTU_IPV6 && has(Family::Ipv6)) {
            return Err(Error::invalid(format!(
                "option mtu={mtu} is too small for the network's IPv6 subnet: expected {MTU_IPV6} or more"
            )));
        }
        self.elsewhere
            .check(spec.internal, has(Family::Ipv4), has(Family::Ipv6))?;
        routes::check(&self.routes, &spec.pools)
    }
}

impl Elsewhere {
    fn check(&self, internal: bool, ipv4: bool, ipv6: bool) -> Result<()> {
        for (label, said, so) in [
            ("internal", self.internal, internal),
            ("enable_ipv4", self.ipv4, ipv4),
            ("enable_ipv6", self.ipv6, ipv6),
        ] {
            if said.is_some_and(|said| said != so) {
                return Err(Error::invalid(format!(
                    "option com.docker.network.{label} says {}, and the network is asked for with the opposite: ask for it there, and leave the option out",
                    !so
                )));
            }
        }
        Ok(())
    }
}

impl EndpointOptions {
    /// Reads them.
    ///
    /// # Errors
    /// See [`read`].
    pub fn read(options: &Options) -> Result<Self> {
        read("option of a bridge endpoint", &ENDPOINT, options)
    }

    /// These, and the network's where these say nothing.
    pub fn or(self, network: &Self) -> Self {
        Self {
            isolated: self.isolated.or(network.isolated),
            no_default_route: self.no_default_route.or(network.no_default_route),
            metric: self.metric.or(network.metric),
            bandwidth_in: self.bandwidth_in.or(network.bandwidth_in),
            bandwidth_out: self.bandwidth_out.or(network.bandwidth_out),
        }
    }
}

/// A prefix that names of links can be made of.
fn prefix(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= MAX_PREFIX && value::<LinkName>(&format!("{text}0")).is_some();
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn network(ipv6: bool) -> NetworkSpec {
        let pool = |subnet: &str| jackfield_model::Pool {
            subnet: subnet.parse().unwrap(),
            gateway: None,
            auxiliary: vec![],
        };
        let mut pools = vec![pool("10.0.0.0/24")];
        pools.extend(ipv6.then(|| pool("fd00::/64")));
        NetworkSpec {
            id: jackfield_model::NetworkId::random(),
            name: "blue".parse().unwrap(),
            options: Options::new(),
            labels: Options::new(),
            pools,
            internal: false,
        }
    }

    #[test]
    fn each_option_is_read_by_its_name_and_by_dockers_label() {
        let named = options(&[
            ("bridge", "blue0"),
            ("mtu", "9000"),
            ("masquerade", "no"),
            ("inhibit-ipv4", "true"),
            ("interface-prefix", "net"),
        ]);
        let labelled = options(&[
            ("com.docker.network.bridge.name", "blue0"),
            ("com.docker.network.driver.mtu", "9000"),
            ("com.docker.network.bridge.enable_ip_masquerade", "false"),
            ("com.docker.network.bridge.inhibit_ipv4", "1"),
            ("com.docker.network.container_iface_prefix", "net"),
        ]);
        let expected = NetworkOptions {
            bridge: Some("blue0".parse().unwrap()),
            mtu: Some(9000),
            masquerade: Some(false),
            inhibit_ipv4: true,
            prefix: Some("net".into()),
            ..NetworkOptions::default()
        };
        for given in [named, labelled] {
            assert_eq!(NetworkOptions::read(&given).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_out_of_range_or_not_known_is_refused_in_words() {
        for (key, value, says) in [
            ("bridge", "sixteen-bytes-xx", "expected a link's name, 1 to 15 bytes"),
            ("mtu", "big", "expected bytes, 68 to 65535"),
            ("mtu", "67", "expected bytes, 68 to 65535"),
            ("vlan", "4095", "expected a VLAN, 1 to 4094"),
            ("masquerade", "maybe", "expected true or false"),
            ("masqerade", "no", "did you mean \"masquerade\"?"),
            ("interface-prefix", "thirteen-long", "expected 1 to 12 bytes"),
            ("interface-prefix", "a/b", "expected 1 to 12 bytes"),
            ("metric", "-1", "expected a number"),
            ("bandwidth-in", "fast", "expected bits a second"),
            ("host-binding", "fd00::1", "expected an IPv4 address"),
            ("host-binding-ipv6", "::1", "and not ::1"),
            ("route", "10.0.0.0/8", "expected routes, as"),
            ("colour", "blue", "known are bridge, mtu, vlan, masquerade"),
            (
                "com.docker.network.bridge.nmae",
                "x",
                "did you mean \"com.docker.network.bridge.name\"?",
            ),
        ] {
            let message = NetworkOptions::read(&options(&[(key, value)])).unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn options_that_contradict_the_rest_of_the_request_are_refused() {
        for (pairs, ipv6, says) in [
            (&[("mtu", "1279")][..], true, "too small for the network's IPv6 subnet"),
            (
                &[("com.docker.network.internal", "true")],
                false,
                "com.docker.network.internal says true",
            ),
            (
                &[("com.docker.network.enable_ipv6", "true")],
                false,
                "enable_ipv6 says true",
            ),
            (
                &[("com.docker.network.enable_ipv4", "false")],
                false,
                "enable_ipv4 says false",
            ),
            (
                &[("route", "10.9.0.0/16 via 10.7.0.1")],
                false,
                "no subnet of the network",
            ),
        ] {
            let checked = NetworkOptions::read(&options(pairs)).unwrap().check(&network(ipv6));
            let message = checked.unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
        let fine = options(&[("mtu", "1279"), ("com.docker.network.enable_ipv6", "no")]);
        NetworkOptions::read(&fine).unwrap().check(&network(false)).unwrap();
    }

    #[test]
    fn ports_are_bound_to_what_is_said_and_to_everything_by_default() {
        for (pairs, bound) in [
            (&[][..], &[][..]),
            (&[("host-binding", "0.0.0.0")], &[]),
            (&[("host-binding", "127.0.0.1")], &["127.0.0.1"]),
            (
                &[("com.docker.network.bridge.host_binding_ipv4", "10.0.0.1")],
                &["10.0.0.1"],
            ),
            (&[("host-binding-ipv6", "fd00::1")], &["fd00::1"]),
            (
                &[("host-binding", "0.0.0.0"), ("host-binding-ipv6", "fd00::1")],
                &["0.0.0.0", "fd00::1"],
            ),
        ] {
            let read = NetworkOptions::read(&options(pairs)).unwrap();
            let bindings: Vec<String> = read.bindings().map(|a| a.to_string()).collect();
            assert_eq!(bindings, bound, "{pairs:?}");
        }
    }

    #[test]
    fn an_endpoints_word_goes_before_its_networks() {
        let network = NetworkOptions::read(&options(&[("isolated", "1"), ("metric", "7")])).unwrap();
        let endpoint = EndpointOptions::read(&options(&[("isolated", "0"), ("bandwidth-in", "8kbit")])).unwrap();
        let both = endpoint.or(&network.endpoint);
        assert_eq!((both.isolated, both.metric), (Some(false), Some(7)));
        assert_eq!(both.bandwidth_in.map(|r| r.bytes_per_second), Some(1000));
    }
}

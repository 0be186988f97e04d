//! A host of ours and a Podman on one machine, with another host at the end of a cable.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jackfield_kernel::{Dump, Kernel, LinkQuery, Namespace, Request, plan::Route};
use jackfield_lab::{
    Host, HostOptions, Lab, LabError, Podman, Result, component,
    podman::{Backend, IMAGE},
    probe,
};
use jackfield_model::Family;
use jackfield_scenarios::{KINDS, Kind, difference, load};
use serde_json::{Value, json};

pub const HOST: &str = "198.51.100.1";
pub const HOST_IPV6: &str = "fd00:51::1";
pub const OUTSIDE: &str = "198.51.100.2";
pub const OUTSIDE_IPV6: &str = "fd00:51::2";
/// A container's MAC address where one is asked for.
pub const MAC: &str = "02:42:0a:5b:01:4d";
/// How long what comes by itself may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of network as Podman has it.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub kind: Kind,
    /// What netavark calls its driver.
    plugin: &'static str,
    subnet: &'static str,
    /// What is given out of it: the same as a part of the subnet, and as its first and last address.
    range: (&'static str, &'static str, &'static str),
    pub gateway: &'static str,
    /// One that is free.
    pub address: &'static str,
    /// Its containers' payload, with the option that says it to the driver; a macvlan has its parent's.
    pub mtu: (u32, &'static [(&'static str, &'static str)]),
    /// The host leads ports to it; a macvlan is on the cable itself.
    pub publishes: bool,
}

pub const BRIDGE: Way = Way {
    kind: KINDS[0],
    plugin: "jackfield",
    subnet: "10.91.1.0/24",
    range: ("10.91.1.64/26", "10.91.1.64", "10.91.1.127"),
    gateway: "10.91.1.1",
    address: "10.91.1.77",
    mtu: (1400, &[("mtu", "1400")]),
    publishes: true,
};
pub const PTP: Way = Way {
    kind: KINDS[1],
    plugin: "jackfield-ptp",
    subnet: "10.91.2.0/24",
    range: ("10.91.2.64/26", "10.91.2.64", "10.91.2.127"),
    gateway: "10.91.2.1",
    address: "10.91.2.77",
    mtu: (1400, &[("mtu", "1400")]),
    publishes: true,
};
pub const MACVLAN: Way = Way {
    kind: KINDS[3],
    plugin: "jackfield-macvlan",
    subnet: "198.51.100.0/24",
    range: ("198.51.100.128/25", "198.51.100.128", "198.51.100.254"),
    gateway: OUTSIDE,
    address: "198.51.100.177",
    mtu: (1500, &[]),
    publishes: false,
};

impl Way {
    /// Whether that is an address of its networks, which have 24 bits.
    pub fn has(&self, address: IpAddr) -> bool {
        let prefix = self.address.rsplit_once('.').unwrap().0;
        address.to_string().starts_with(&format!("{prefix}."))
    }
}

/// What a network is made with besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct With {
    pub ipv6: bool,
    pub internal: bool,
    pub options: &'static [(&'static str, &'static str)],
}

pub struct Scene<'a> {
    pub lab: &'a Lab,
    pub outside: Namespace,
    pub host: Host<'a>,
    pub podman: Podman<'a>,
    before: Dump,
}

/// The backend, where it can be had here; says why where not.
pub fn possible(backend: Result<Backend, String>) -> Option<Backend> {
    backend.inspect_err(|why| println!("skipped: {why}")).ok()
}

/// Both cables' ends have addresses, forwarding is off, and bridges' packets pass iptables. Answers with the other host.
fn lay_cable(lab: &Lab) -> Result<Namespace> {
    let outside = lab.uplink("up0", "outside")?;
    let end = |address: &str, length: u8| format!("{address}/{length}").parse().unwrap();
    let cables = [
        (end(HOST, 24), end(OUTSIDE, 24)),
        (end(HOST_IPV6, 64), end(OUTSIDE_IPV6, 64)),
    ];
    lab.address_uplink(&outside, &cables)?;
    lab.within(lab.realm(), || {
        for (file, value) in [("ipv4/ip_forward", "0"), ("bridge/bridge-nf-call-iptables", "1")] {
            let path = format!("/proc/sys/net/{file}");
            if let Err(error) = std::fs::write(&path, value) {
                println!("{path} stays as it is: {error}");
            }
        }
    })?;
    // Not every driver hides its sandboxes behind the host's address.
    let links = lab.dump_of(&outside)?.links;
    let cable = links.iter().find(|l| l.name.as_str() == "eth0").unwrap().index;
    let back = [("10.91.0.0/16", HOST), ("fd00:91::/64", HOST_IPV6)];
    let route =
        |(there, by): (&str, &str)| Request::AddRoute(Route::via(there.parse().unwrap(), by.parse().unwrap(), cable));
    lab.send(&outside, &back.map(route))?;
    Ok(outside)
}

fn options(podman: &Podman<'_>) -> HostOptions {
    HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: vec!["--forwarding".into(), "uplinks".into()],
        machine: Some(podman.machine().first()),
        ..HostOptions::default()
    }
}

impl<'a> Scene<'a> {
    pub fn new(lab: &'a Lab, backend: &Backend, kinds: &[Kind]) -> Result<Self> {
        let outside = lay_cable(lab)?;
        let podman = Podman::start(lab, backend)?;
        let before = lab.dump()?;
        let host = Host::start(lab, options(&podman))?;
        for kind in kinds {
            load(&mut host.client()?, kind)?;
        }
        Ok(Self {
            lab,
            outside,
            host,
            podman,
            before,
        })
    }

    pub fn podman(&self, line: &str) -> Result<String> {
        self.podman.podman(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn refused(&self, line: &str) -> Result<String> {
        self.podman.refusal(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// What runs a container that waits, with these arguments of `podman run`.
    pub fn run_line(&self, name: &str, arguments: &str) -> String {
        let cgroup = self.podman.machine().cgroup();
        format!("run -d --name {name} --cgroup-parent /{cgroup} --cap-add NET_RAW {arguments} {IMAGE} sleep 100000")
    }

    pub fn run(&self, name: &str, arguments: &str) -> Result<Namespace> {
        self.podman(&self.run_line(name, arguments))?;
        self.podman.namespace(name)
    }

    /// Ends containers at once.
    pub fn remove(&self, containers: &str) -> Result<()> {
        self.podman(&format!("rm -f -t 0 {containers}")).map(drop)
    }

    /// Makes a network of ours known to Podman: for CNI the host has it already and prints its list, for netavark it is made on first use.
    pub fn create(&self, way: &Way, name: &str, with: With) -> Result<()> {
        let (file, content) = match self.podman.backend() {
            Backend::Cni => {
                self.host.cli(&words(&arguments(way, name, with)))?;
                let list = self.host.cli(&["network", "inspect", "--cni", name])?;
                (format!("{name}.conflist"), list)
            }
            Backend::Netavark(_) => {
                let mut described = described(way, name, with);
                // A list of the host's says it as well.
                described["options"]["jackfield.socket"] = json!(self.lab.path("shim.sock"));
                (format!("{name}.json"), described.to_string())
            }
        };
        let path = format!("{}/{file}", self.podman.backend().networks());
        self.podman.machine().write(&path, &content)
    }

    /// Podman forgets it, and then the host.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.podman(&format!("network rm {name}"))?;
        self.host.cli(&["network", "rm", name]).map(drop)
    }

    /// Somebody outside reaches that port of the host, and so comes to that one inside.
    pub fn reached(&self, server: &Namespace, inside: u16, outside: u16) -> Result<()> {
        let host = SocketAddr::new(HOST.parse().unwrap(), outside);
        self.reached_from(&self.outside, server, inside, host)
    }

    pub fn reached_from(&self, from: &Namespace, server: &Namespace, inside: u16, to: SocketAddr) -> Result<()> {
        probe::tcp(self.lab, from, server, SocketAddr::new(any(to), inside), to).map(drop)
    }

    pub fn reached_by_udp(&self, from: &Namespace, server: &Namespace, inside: u16, to: SocketAddr) -> Result<()> {
        probe::udp(self.lab, from, server, SocketAddr::new(any(to), inside), to).map(drop)
    }

    /// How many of those the host has.
    pub fn count(&self, what: &str) -> Result<usize> {
        let listed = self.host.client()?.get(&format!("/v1/{what}"))?.ok(what)?;
        Ok(listed.as_array().map_or(0, Vec::len))
    }

    /// Starts it again as it was.
    pub fn start_host(&mut self) -> Result<()> {
        self.host.restart(options(&self.podman))
    }

    /// Everything is gone: nothing on record, and with the host stopped the realm is what it was.
    pub fn end(self) -> Result<()> {
        for what in ["networks", "endpoints", "sandboxes"] {
            assert_eq!(self.count(what)?, 0, "{what}");
        }
        self.host.stop()?;
        let begun = Instant::now();
        loop {
            let after = self.lab.dump()?;
            if after == self.before {
                return self.lab.passed();
            }
            if begun.elapsed() > PATIENCE {
                return Err(LabError::new("nothing is left", difference(&self.before, &after)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn any(to: SocketAddr) -> IpAddr {
    match Family::of(to.ip()) {
        Family::Ipv4 => [0; 4].into(),
        Family::Ipv6 => [0; 16].into(),
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What makes a network on the host's own command line.
fn arguments(way: &Way, name: &str, with: With) -> String {
    let options = way.kind.options.iter().chain(with.options);
    let options: String = options.map(|(key, value)| format!(" -o {key}={value}")).collect();
    let internal = if with.internal { " --internal" } else { "" };
    let ipv6 = if with.ipv6 { " --subnet fd00:91::/64" } else { "" };
    let (driver, subnet, range, gateway) = (way.kind.driver, way.subnet, way.range.0, way.gateway);
    format!(
        "network create -d {driver} --subnet {subnet} --ip-range {range} --gateway {gateway}{ipv6}{options}{internal} {name}"
    )
}

/// The same as Podman keeps a network for netavark.
fn described(way: &Way, name: &str, with: With) -> Value {
    let options = way.kind.options.iter().chain(with.options);
    let options: serde_json::Map<_, _> = options.map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let id: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (_, first, last) = way.range;
    let mut subnets = vec![json!({
        "subnet": way.subnet, "gateway": way.gateway, "lease_range": { "start_ip": first, "end_ip": last },
    })];
    subnets.extend(
        with.ipv6
            .then(|| json!({ "subnet": "fd00:91::/64", "gateway": "fd00:91::1" })),
    );
    json!({
        "name": name, "id": format!("{id:0<64}"), "driver": way.plugin, "network_interface": "", "options": options,
        "created": "2026-01-01T00:00:00Z", "subnets": subnets, "ipv6_enabled": with.ipv6, "internal": with.internal,
        "dns_enabled": false, "ipam_options": { "driver": "host-local" },
    })
}

/// A container's interface, as a line: its MAC address, its payload, its addresses.
pub fn interface(lab: &Lab, namespace: &Namespace, name: &str) -> Result<Option<String>> {
    let named = name.parse().unwrap();
    let found = lab.kernel().link(namespace, LinkQuery::Name(&named));
    let Some(link) = found.map_err(|cause| LabError::new("read an interface", cause))? else {
        return Ok(None);
    };
    let dump = lab.dump_of(namespace)?;
    let addresses = dump.addresses.iter().filter(|a| a.index == link.index);
    let addresses: Vec<String> = addresses.map(|a| a.address.to_string()).collect();
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    Ok(Some(format!("{mac} {} {}", link.mtu, addresses.join(" "))))
}

/// The first IPv4 address of a container's interface.
pub fn address(lab: &Lab, namespace: &Namespace, name: &str) -> Result<IpAddr> {
    let line = interface(lab, namespace, name)?.unwrap_or_default();
    let address = line.split_whitespace().nth(2).and_then(|a| a.split('/').next());
    let parsed = address.and_then(|a| a.parse().ok());
    parsed.ok_or_else(|| LabError::new("read an address", format!("{name} has none: {line:?}")))
}

//! What scenarios with real runtimes share: a machine with the runtime and a host of ours, and another host at the end of a cable.
//!
//! The scene is an honest one: forwarding is off before anybody begins, and bridges' packets pass iptables where the kernel has that.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use jackfield_kernel::{Dump, Kernel, LinkQuery, Namespace, Request, plan::Route};
use jackfield_lab::{Host, HostOptions, Lab, LabError, Machine, Result, component, probe};
use jackfield_model::{Family, IpNetwork};
use serde_json::Value;

use crate::{KINDS, Kind, difference, load};

/// The host's address on the cable.
pub const HOST: &str = "198.51.100.1";
/// And its IPv6 address.
pub const HOST_IPV6: &str = "fd00:51::1";
/// The other host's.
pub const OUTSIDE: &str = "198.51.100.2";
/// And its IPv6 address.
pub const OUTSIDE_IPV6: &str = "fd00:51::2";
/// How long what comes by itself may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// After how long nothing more is expected of what is there already.
const QUIET: Duration = Duration::from_millis(500);

/// A kind of network as runtimes have it.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its driver.
    pub kind: Kind,
    /// Its subnet.
    pub subnet: &'static str,
    /// What is given out of it: the same as a part of the subnet, and as its first and last address.
    pub range: (&'static str, &'static str, &'static str),
    /// Its gateway.
    pub gateway: &'static str,
    /// One that is free.
    pub address: &'static str,
    /// Its containers' payload, with the option that says it to the driver; a macvlan has its parent's.
    pub mtu: (u32, &'static [(&'static str, &'static str)]),
    /// The host leads ports to it; a macvlan is on the cable itself.
    pub publishes: bool,
}

/// The built-in bridge.
pub const BRIDGE: Way = Way {
    kind: KINDS[0],
    subnet: "10.91.1.0/24",
    range: ("10.91.1.64/26", "10.91.1.64", "10.91.1.127"),
    gateway: "10.91.1.1",
    address: "10.91.1.77",
    mtu: (1400, &[("mtu", "1400")]),
    publishes: true,
};
/// The `ptp` component.
pub const PTP: Way = Way {
    kind: KINDS[1],
    subnet: "10.91.2.0/24",
    range: ("10.91.2.64/26", "10.91.2.64", "10.91.2.127"),
    gateway: "10.91.2.1",
    address: "10.91.2.77",
    mtu: (1400, &[("mtu", "1400")]),
    publishes: true,
};
/// The `macvlan` component, on the cable.
pub const MACVLAN: Way = Way {
    kind: KINDS[3],
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
        let prefix = self.address.rsplit_once('.').map_or("", |(prefix, _)| prefix);
        address.to_string().starts_with(&format!("{prefix}."))
    }

    /// The host's own command line for a network of it.
    fn create(&self, name: &str, with: With) -> String {
        let options = self.kind.options.iter().chain(with.options);
        let options: String = options.map(|(key, value)| format!(" -o {key}={value}")).collect();
        let internal = if with.internal { " --internal" } else { "" };
        let ipv6 = if with.ipv6 { " --subnet fd00:91::/64" } else { "" };
        let (driver, subnet, range, gateway) = (self.kind.driver, self.subnet, self.range.0, self.gateway);
        format!(
            "network create -d {driver} --subnet {subnet} --ip-range {range} --gateway {gateway}{ipv6}{options}{internal} {name}"
        )
    }
}

/// What a network is made with besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct With {
    /// An IPv6 subnet.
    pub ipv6: bool,
    /// No way in or out.
    pub internal: bool,
    /// Options of the driver.
    pub options: &'static [(&'static str, &'static str)],
}

/// A host on a runtime's machine.
#[derive(Debug)]
pub struct Beside<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The other host.
    pub outside: Namespace,
    /// Ours.
    pub host: Host<'a>,
    options: HostOptions,
    before: Dump,
}

/// Lays the cable before the runtime starts; answers with the other host.
///
/// # Errors
/// When the kernel refuses.
pub fn lay_cable(lab: &Lab) -> Result<Namespace> {
    let outside = lab.uplink("up0", "outside")?;
    let cables = [
        (network(HOST, 24)?, network(OUTSIDE, 24)?),
        (network(HOST_IPV6, 64)?, network(OUTSIDE_IPV6, 64)?),
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
    let cable = links.iter().find(|l| l.name.as_str() == "eth0").map(|l| l.index);
    let cable = cable.ok_or_else(|| LabError::new("lay a cable", "its far end is not there"))?;
    let back = [
        (network("10.91.0.0", 16)?, address(HOST)?),
        (network("fd00:91::", 64)?, address(HOST_IPV6)?),
    ];
    let route = |(there, by)| Request::AddRoute(Route::via(there, by, cable));
    lab.send(&outside, &back.map(route))?;
    Ok(outside)
}

fn network(address: &str, length: u8) -> Result<IpNetwork> {
    let parsed = format!("{address}/{length}").parse();
    parsed.map_err(|cause| LabError::new("lay a cable", cause))
}

fn address(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|cause| LabError::new("lay a cable", cause))
}

/// A host that may forward, with these further arguments, and on the machine of a runtime that names containers by paths.
pub fn options(machine: Option<&Machine<'_>>, arguments: &[&str]) -> HostOptions {
    let arguments = ["--forwarding", "uplinks"].iter().chain(arguments);
    HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: arguments.map(ToString::to_string).collect(),
        machine: machine.map(Machine::first),
        ..HostOptions::default()
    }
}

/// Does that with all of them at once; answers in their order.
///
/// # Errors
/// With the first that fails, when all have ended.
pub fn at_once<A: Send, B: Send>(all: Vec<A>, act: impl Fn(A) -> Result<B> + Sync) -> Result<Vec<B>> {
    let act = &act;
    let done: Vec<_> = std::thread::scope(|threads| {
        let begun: Vec<_> = all.into_iter().map(|one| threads.spawn(move || act(one))).collect();
        begun.into_iter().map(|thread| thread.join()).collect()
    });
    let done = done.into_iter();
    done.map(|one| one.map_err(|_| LabError::new("act at once", "a thread panicked"))?)
        .collect()
}

impl<'a> Beside<'a> {
    /// Starts a host beside a runtime that runs, with these drivers loaded.
    ///
    /// # Errors
    /// When it does not start or refuses a driver.
    pub fn start(lab: &'a Lab, outside: Namespace, options: HostOptions, kinds: &[Kind]) -> Result<Self> {
        let before = lab.dump()?;
        let host = Host::start(lab, options.clone())?;
        for kind in kinds {
            load(&mut host.client()?, kind)?;
        }
        Ok(Self {
            lab,
            outside,
            host,
            options,
            before,
        })
    }

    /// Makes a network, and answers with the list that the host prints of it for CNI.
    ///
    /// # Errors
    /// With the host's words.
    pub fn create_network(&self, way: &Way, name: &str, with: With) -> Result<String> {
        let line = way.create(name, with);
        self.host.cli(&line.split_whitespace().collect::<Vec<_>>())?;
        self.host.cli(&["network", "inspect", "--cni", name])
    }

    /// Somebody outside reaches that port of the host, and so comes to that one inside.
    pub fn reached(&self, server: &Namespace, inside: u16, outside: u16) -> Result<()> {
        let host = SocketAddr::new(address(HOST)?, outside);
        self.reached_from(&self.outside, server, inside, host)
    }

    /// Somebody reaches that, and so comes to that port inside.
    pub fn reached_from(&self, from: &Namespace, server: &Namespace, inside: u16, to: SocketAddr) -> Result<()> {
        probe::tcp(self.lab, from, server, SocketAddr::new(any(to), inside), to).map(drop)
    }

    /// The same by UDP.
    pub fn reached_by_udp(&self, from: &Namespace, server: &Namespace, inside: u16, to: SocketAddr) -> Result<()> {
        probe::udp(self.lab, from, server, SocketAddr::new(any(to), inside), to).map(drop)
    }

    /// How many of those the host has.
    pub fn count(&self, what: &str) -> Result<usize> {
        let listed = self.host.client()?.get(&format!("/v1/{what}"))?.ok(what)?;
        Ok(listed.as_array().map_or(0, Vec::len))
    }

    /// What has happened since the host started: all events that it gives without being waited for.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn events(&self) -> Result<Vec<Value>> {
        let broken = |cause: std::io::Error| LabError::new("read events", cause);
        let mut socket = UnixStream::connect(self.lab.socket()).map_err(broken)?;
        socket.set_read_timeout(Some(QUIET)).map_err(broken)?;
        let request = b"GET /v1/events?since=0 HTTP/1.1\r\nHost: jackfield\r\n\r\n";
        socket.write_all(request).map_err(broken)?;
        let mut heard = Vec::new();
        // It goes on for ever, and ends here when nothing comes.
        let _ = socket.read_to_end(&mut heard);
        let text = String::from_utf8_lossy(&heard);
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect())
    }

    /// Starts it again as it was.
    pub fn start_host(&mut self) -> Result<()> {
        self.host.restart(self.options.clone())
    }

    /// Waits until it is so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !is_so()? {
            if begun.elapsed() > PATIENCE {
                return Err(LabError::new(what, format!("it never is so\n{}", self.host.log_end())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Everything is gone: nothing on record, and with the host stopped the realm is what it was.
    pub fn end(self) -> Result<()> {
        self.end_but(|_| false)
    }

    /// The same, whatever has become of these lines of the firewall, which the runtime changes by itself.
    pub fn end_but(mut self, changes: impl Fn(&str) -> bool) -> Result<()> {
        for what in ["networks", "endpoints", "sandboxes"] {
            let left = self.count(what)?;
            if left > 0 {
                return Err(LabError::new("nothing is left", format!("{left} {what}")));
            }
        }
        self.host.stop()?;
        self.before.firewall.retain(|line| !changes(line));
        let begun = Instant::now();
        loop {
            let mut after = self.lab.dump()?;
            after.firewall.retain(|line| !changes(line));
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

/// A container's interface, as a line: its MAC address, its payload, its addresses.
pub fn interface(lab: &Lab, namespace: &Namespace, name: &str) -> Result<Option<String>> {
    let broken = |cause: &dyn std::fmt::Display| LabError::new("read an interface", cause);
    let named = name.parse().map_err(|e| broken(&e))?;
    let found = lab.kernel().link(namespace, LinkQuery::Name(&named));
    let Some(link) = found.map_err(|e| broken(&e))? else {
        return Ok(None);
    };
    let dump = lab.dump_of(namespace)?;
    let addresses = dump.addresses.iter().filter(|a| a.index == link.index);
    let addresses: Vec<String> = addresses.map(|a| a.address.to_string()).collect();
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    Ok(Some(format!("{mac} {} {}", link.mtu, addresses.join(" "))))
}

/// The first IPv4 address of a container's interface.
pub fn address_of(lab: &Lab, namespace: &Namespace, name: &str) -> Result<IpAddr> {
    let line = interface(lab, namespace, name)?.unwrap_or_default();
    let address = line.split_whitespace().nth(2).and_then(|a| a.split('/').next());
    let parsed = address.and_then(|a| a.parse().ok());
    parsed.ok_or_else(|| LabError::new("read an address", format!("{name} has none: {line:?}")))
}

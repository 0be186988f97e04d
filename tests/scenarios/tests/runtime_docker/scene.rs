//! A host of ours and a dockerd side by side in one realm, with another host at the end of a cable.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jackfield_kernel::{Dump, Namespace, Request, plan::Route};
use jackfield_lab::{
    Host, HostOptions, Lab, LabError, Result, component,
    dockerd::{self, Dockerd, IMAGE},
    probe,
};
use jackfield_model::Family;
use jackfield_scenarios::{KINDS, Kind, difference, load};

pub const HOST: &str = "198.51.100.1";
pub const HOST_IPV6: &str = "fd00:51::1";
pub const OUTSIDE: &str = "198.51.100.2";
const OUTSIDE_IPV6: &str = "fd00:51::2";
/// How long what comes by itself may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A kind of network as Docker makes it.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub kind: Kind,
    /// What its driver is called there.
    pub driver: &'static str,
    /// Arguments that make the network.
    network: &'static str,
    /// What every address of it begins with.
    pub prefix: &'static str,
    pub gateway: &'static str,
    /// One that is free.
    pub address: &'static str,
    /// The host leads ports to it; a macvlan is on the cable itself.
    pub publishes: bool,
}

pub const BRIDGE: Way = Way {
    kind: KINDS[0],
    driver: "jackfield-bridge",
    network: "--subnet 10.91.1.0/24",
    prefix: "10.91.1.",
    gateway: "10.91.1.1",
    address: "10.91.1.77",
    publishes: true,
};
pub const PTP: Way = Way {
    kind: KINDS[1],
    driver: "ptp",
    network: "--subnet 10.91.2.0/24",
    prefix: "10.91.2.",
    gateway: "10.91.2.1",
    address: "10.91.2.77",
    publishes: true,
};
pub const MACVLAN: Way = Way {
    kind: KINDS[3],
    driver: "jackfield-macvlan",
    network: "--subnet 198.51.100.0/24 --ip-range 198.51.100.128/25 --gateway 198.51.100.2 -o parent=up0",
    prefix: "198.51.100.",
    gateway: OUTSIDE,
    address: "198.51.100.177",
    publishes: false,
};

impl Way {
    /// What makes network `name`, with these arguments besides.
    pub fn create(&self, name: &str, more: &str) -> String {
        format!("network create -d {} {} {more} {name}", self.driver, self.network)
    }
}

pub struct Scene<'a> {
    pub lab: &'a Lab,
    pub outside: Namespace,
    pub host: Host<'a>,
    pub dockerd: Dockerd<'a>,
    before: Dump,
}

/// Whether scenarios can be run here; says why where not.
pub fn possible() -> bool {
    let missing = dockerd::missing();
    if let Some(missing) = missing {
        println!("skipped: this machine has no {missing}, which Docker needs");
    }
    missing.is_none()
}

fn options(lab: &Lab) -> HostOptions {
    let plugins = lab.path("plugins").display().to_string();
    let arguments = ["--docker-plugins", &plugins, "--forwarding", "uplinks"];
    HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: arguments.map(String::from).to_vec(),
        ..HostOptions::default()
    }
}

impl<'a> Scene<'a> {
    pub fn new(lab: &'a Lab, kind: &Kind) -> Result<Self> {
        Self::with(lab, kind, &[])
    }

    /// With these arguments of dockerd's.
    pub fn with(lab: &'a Lab, kind: &Kind, arguments: &[&str]) -> Result<Self> {
        let outside = lab.uplink("up0", "outside")?;
        let cable = |here: &str, there: &str, length| {
            let end = |address: &str| format!("{address}/{length}").parse().unwrap();
            (end(here), end(there))
        };
        lab.address_uplink(
            &outside,
            &[cable(HOST, OUTSIDE, 24), cable(HOST_IPV6, OUTSIDE_IPV6, 64)],
        )?;
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
        lab.send(
            &outside,
            &back.map(|(there, by)| Request::AddRoute(Route::via(there.parse().unwrap(), by.parse().unwrap(), cable))),
        )?;
        let dockerd = Dockerd::start(lab, arguments)?;
        let before = lab.dump()?;
        let host = Host::start(lab, options(lab))?;
        load(&mut host.client()?, kind)?;
        Ok(Self {
            lab,
            outside,
            host,
            dockerd,
            before,
        })
    }

    pub fn docker(&self, line: &str) -> Result<String> {
        self.dockerd.docker(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn refused(&self, line: &str) -> Result<String> {
        self.dockerd.refusal(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// A container that waits, with these arguments of `docker run`.
    pub fn run(&self, name: &str, arguments: &str) -> Result<Namespace> {
        self.docker(&format!("run -d --name {name} {arguments} {IMAGE} sleep 100000"))?;
        self.dockerd.namespace(name)
    }

    /// Somebody outside reaches that port of the host, and so comes to that one inside.
    pub fn reached(&self, server: &Namespace, inside: u16, outside: u16) -> Result<()> {
        self.reached_from(
            &self.outside,
            server,
            inside,
            SocketAddr::new(HOST.parse().unwrap(), outside),
        )
    }

    pub fn reached_from(&self, from: &Namespace, server: &Namespace, inside: u16, to: SocketAddr) -> Result<()> {
        let any: IpAddr = match Family::of(to.ip()) {
            Family::Ipv4 => [0; 4].into(),
            Family::Ipv6 => [0; 16].into(),
        };
        probe::tcp(self.lab, from, server, SocketAddr::new(any, inside), to).map(drop)
    }

    pub fn restart_host(&mut self) -> Result<()> {
        self.host.kill()?;
        self.host.restart(options(self.lab))
    }

    /// Everything is gone: nothing of ours in the realm, and nothing on record.
    pub fn expect_nothing_left(&self) -> Result<()> {
        let mut client = self.host.client()?;
        for list in ["/v1/networks", "/v1/endpoints", "/v1/sandboxes"] {
            let left = client.get(list)?.ok(list)?;
            if left.as_array().is_none_or(|left| !left.is_empty()) {
                return Err(LabError::new("nothing is left", format!("{list}: {left}")));
            }
        }
        let (begun, ours) = (Instant::now(), |dump: &Dump| {
            let links: Vec<_> = dump.links.iter().map(|l| l.name.to_string()).collect();
            let routes: Vec<_> = dump.routes.iter().map(|r| format!("{r:?}")).collect();
            (links, routes)
        });
        loop {
            let after = self.lab.dump()?;
            if ours(&after) == ours(&self.before) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let difference = difference(&ours(&self.before), &ours(&after));
                return Err(LabError::new("nothing is left", difference));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until it is so.
    pub fn until(&self, what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !so()? {
            if begun.elapsed() > PATIENCE {
                return Err(LabError::new(what, format!("it never is so\n{}", self.host.log_end())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

//! What a realm promises, on the simulated kernel.

mod crash;
mod faults;
mod life;

use std::{path::Path, sync::Arc};

use jackfield_model::{Family, PortMapping, Transport};

use super::*;
use crate::{
    Dump, LinkInfo, Make, Simulated,
    faulty::Faulty,
    fixtures::*,
    plan::{FirewallRule, LinkKind, LinkSetting, MacvlanMode, Route, SysctlKey, SysctlTable},
};

/// The realm's network card.
const UPLINK: u32 = 2;

/// A machine with an uplink, one sandbox, and a directory for the journal.
struct World {
    sim: Arc<Simulated>,
    faulty: Arc<Faulty>,
    own: Namespace,
    sandbox: SandboxAt,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let sim = Arc::new(Simulated::new());
        let own = sim.open_namespace(&NamespaceSource::Own).unwrap();
        let (address, gateway) = ("192.0.2.2/24".parse().unwrap(), "192.0.2.1".parse().unwrap());
        sim.add_uplink(&own, index(UPLINK), name("uplink"), address, gateway)
            .unwrap();
        let faulty = Arc::new(Faulty::new(sim.clone()));
        let dir = tempfile::tempdir().unwrap();
        let sandbox = pinned(&sim, "/run/netns/one");
        Self {
            sim,
            faulty,
            own,
            sandbox,
            dir,
        }
    }

    /// A host process starts, on a kernel that obeys.
    fn start(&mut self) -> Arc<Realm> {
        self.faulty = Arc::new(Faulty::new(self.sim.clone()));
        let (journal, _) = Journal::open_for_boot(self.dir.path(), "boot").unwrap();
        Realm::open(self.faulty.clone(), self.own.clone(), Arc::new(journal)).unwrap()
    }

    fn realm_dump(&self) -> Dump {
        self.sim.dump(&self.own).unwrap()
    }

    /// Everything.
    fn dumps(&self) -> (Dump, Option<Dump>) {
        (self.realm_dump(), self.sim.dump(&self.sandbox.namespace).ok())
    }

    fn link(&self, n: u32) -> Option<LinkInfo> {
        self.realm_dump().links.into_iter().find(|l| l.index == index(n))
    }

    fn sandbox_link(&self, text: &str) -> Option<LinkInfo> {
        let links = self.sim.dump(&self.sandbox.namespace).unwrap().links;
        links.into_iter().find(|l| l.name == name(text))
    }
}

fn pinned(sim: &Simulated, path: &str) -> SandboxAt {
    let namespace = sim.create_namespace().unwrap();
    sim.pin(&namespace, Path::new(path)).unwrap();
    SandboxAt {
        namespace,
        source: Some(NamespaceSource::Path(path.into())),
    }
}

/// A dump without the loopback and what came up with it: a committed plan leaves that up.
fn without_loopback(dump: Option<Dump>) -> Option<Dump> {
    dump.map(|mut dump| {
        dump.links.retain(|l| l.index.get() != 1);
        dump.addresses.retain(|a| a.index.get() != 1);
        dump.routes.retain(|r| r.route.link != Some(index(1)));
        dump
    })
}

fn publish(port: u16) -> Make {
    let mapping = PortMapping {
        transport: Transport::Tcp,
        container_port: 7000,
        host_address: "0.0.0.0".parse().unwrap(),
        host_port: port,
        count: 1,
    };
    Make::Firewall(FirewallRule::Publish {
        mapping,
        target: "10.0.0.2".parse().unwrap(),
    })
}

fn masquerade(subnet: &str) -> Make {
    Make::Firewall(FirewallRule::Masquerade {
        subnet: subnet.parse().unwrap(),
        link: name("br0"),
    })
}

/// Turns forwarding of the uplink on, from what it was.
fn forward_uplink(was: &str) -> Make {
    let key = SysctlKey {
        family: Family::Ipv4,
        table: SysctlTable::Conf,
        key: "forwarding".into(),
    };
    Make::Sysctl {
        link: realm(UPLINK),
        key,
        value: "1".into(),
        was: Some(was.into()),
    }
}

/// Everything that a plan can do, to a sandbox by a pair that is a port of OURS, and to the uplink.
fn rich_join(n: u32) -> Plan {
    let mut plan = join(n, 0, "eth0", "10.0.0.2/24", "10.0.0.1");
    let key = SysctlKey {
        family: Family::Ipv4,
        table: SysctlTable::Conf,
        key: "arp_ignore".into(),
    };
    plan.makes.extend([
        set(sandbox(OURS + n + 1), LinkSetting::Mtu(1400)),
        Make::Sysctl {
            link: realm(OURS + n),
            key,
            value: "1".into(),
            was: None,
        },
        forward_uplink("0"),
        address(realm(UPLINK), "192.0.2.77/32"),
        Make::ProxyNeighbour {
            link: realm(UPLINK),
            address: "192.0.2.78".parse().unwrap(),
        },
        Make::Neighbour {
            link: realm(UPLINK),
            address: "192.0.2.9".parse().unwrap(),
            mac: mac(9),
        },
        connected(realm(UPLINK), "198.51.100.0/24"),
        Make::Set {
            link: realm(UPLINK),
            to: LinkSetting::Mtu(1450),
            was: Some(LinkSetting::Mtu(1500)),
        },
        masquerade("10.0.0.0/24"),
        publish(8080),
    ]);
    plan
}

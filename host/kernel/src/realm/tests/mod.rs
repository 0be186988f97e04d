//! What a realm promises, on the simulated kernel.

mod amend;
mod crash;
mod faults;
mod life;
mod real;

use std::{path::Path, sync::Arc};

use jackfield_model::{Family, PortMapping, Transport};

use super::*;
use crate::{
    Dump, LinkInfo, Make, Request, Simulated,
    compile::{Context, compile},
    faulty::Faulty,
    fixtures::*,
    journal::Fact,
    plan::{FirewallRule, LinkKind, LinkSetting, MacvlanMode, Route, SysctlKey, SysctlTable},
};

/// The realm's network card.
const UPLINK: u32 = 2;

/// A machine with an uplink, one sandbox, and a directory for the journal.
struct World {
    kernel: Arc<dyn Kernel>,
    /// The same kernel, where it is the simulated one.
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
        let sandbox = pinned(&*sim, Path::new("/run/netns/one"));
        Self::of(sim.clone(), sim, own, sandbox, tempfile::tempdir().unwrap())
    }

    /// The same on the kernel that the tests run on. None, and the reason printed, where that is not allowed.
    fn real() -> Option<Self> {
        let kernel: Arc<dyn Kernel> = Arc::new(crate::Linux::new().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let own = match kernel.create_namespace() {
            Ok(own) => own,
            Err(error) => {
                eprintln!(
                    "skipped: making a network namespace needs root or a user namespace (unshare -Urnm): {error}"
                );
                return None;
            }
        };
        let path = dir.path().join("sandbox");
        let namespace = kernel.create_namespace().unwrap();
        if let Err(error) = kernel.pin(&namespace, &path) {
            eprintln!(
                "skipped: giving a namespace a file needs a mount namespace of one's own (unshare -Urnm): {error}"
            );
            return None;
        }
        send(&*kernel, &own, real_uplink());
        let sandbox = SandboxAt {
            namespace,
            source: Some(NamespaceSource::Path(path)),
        };
        Some(Self::of(kernel, Arc::default(), own, sandbox, dir))
    }

    fn of(
        kernel: Arc<dyn Kernel>,
        sim: Arc<Simulated>,
        own: Namespace,
        sandbox: SandboxAt,
        dir: tempfile::TempDir,
    ) -> Self {
        let faulty = Arc::new(Faulty::new(kernel.clone()));
        Self {
            kernel,
            sim,
            faulty,
            own,
            sandbox,
            dir,
        }
    }

    /// A host process starts, on a kernel that obeys.
    fn start(&mut self) -> Arc<Realm> {
        self.faulty = Arc::new(Faulty::new(self.kernel.clone()));
        let (journal, _) = Journal::open_for_boot(self.dir.path(), "boot").unwrap();
        Realm::open(self.faulty.clone(), self.own.clone(), Arc::new(journal)).unwrap()
    }

    fn realm_dump(&self) -> Dump {
        self.kernel.dump(&self.own).unwrap()
    }

    /// Everything.
    fn dumps(&self) -> (Dump, Option<Dump>) {
        (self.realm_dump(), self.kernel.dump(&self.sandbox.namespace).ok())
    }

    fn link(&self, n: u32) -> Option<LinkInfo> {
        self.realm_dump().links.into_iter().find(|l| l.index == index(n))
    }

    fn sandbox_link(&self, text: &str) -> Option<LinkInfo> {
        let links = self.kernel.dump(&self.sandbox.namespace).unwrap().links;
        links.into_iter().find(|l| l.name == name(text))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(NamespaceSource::Path(path)) = &self.sandbox.source {
            self.kernel.unpin(path).unwrap();
        }
    }
}

/// Worlds to run a test in: a simulated one, and a real one where that is allowed.
fn everywhere(run: impl Fn(&dyn Fn() -> World)) {
    run(&World::new);
    if World::real().is_some() {
        run(&|| World::real().unwrap());
    }
}

fn pinned(kernel: &dyn Kernel, path: &Path) -> SandboxAt {
    let namespace = kernel.create_namespace().unwrap();
    kernel.pin(&namespace, path).unwrap();
    SandboxAt {
        namespace,
        source: Some(NamespaceSource::Path(path.into())),
    }
}

fn send(kernel: &dyn Kernel, namespace: &Namespace, requests: Vec<Request>) {
    let answers = kernel.send(namespace, &requests).unwrap();
    requests
        .iter()
        .zip(answers)
        .for_each(|(request, answer)| answer.unwrap_or_else(|e| panic!("{request:?}: {e}")));
}

/// A pair that is as good as a network card and its wire.
fn real_uplink() -> Vec<Request> {
    let plan = plan(vec![
        veth(realm(UPLINK), "uplink", realm(UPLINK + 1), "wire"),
        up(realm(UPLINK + 1)),
        address(realm(UPLINK), "192.0.2.2/24"),
        up(realm(UPLINK)),
        via(realm(UPLINK), "0.0.0.0/0", "192.0.2.1"),
    ]);
    let context = Context {
        operation: &operation('0'),
        sandbox: None,
        raise_loopback: false,
        deaf: false,
        first_port: &|_| false,
    };
    compile(&plan, &context)
        .into_iter()
        .flat_map(|stage| stage.batch.requests)
        .collect()
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

/// The same with its default route as a rider: taken back by itself, before the rest.
fn join_with_rider(n: u32) -> (Plan, [Rider; 1]) {
    let mut join = rich_join(n);
    let is_default = |make: &Make| {
        matches!(
            make,
            Make::Route {
                place: crate::Place::Sandbox,
                ..
            }
        )
    };
    let at = join.makes.iter().position(is_default).unwrap();
    let rider = Rider {
        operation: operation('c'),
        plan: plan(vec![join.makes.remove(at)]),
    };
    (join, [rider])
}

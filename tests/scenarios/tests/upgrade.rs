//! A driver is replaced while clients join without a pause: no call fails, and each is answered by exactly one version.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use jackfield_lab::{Client, Lab, LabError, Result, Sandbox, component};
use jackfield_scenarios::{KINDS, expect_as_before, host, load};

const CLIENTS: usize = 64;
/// Versions that follow the first one, each of as many bytes.
const NEWER: [&str; 3] = ["9.0.1", "9.0.2", "9.0.3"];

struct Crowd {
    joins: AtomicUsize,
    over: AtomicBool,
}

impl Crowd {
    /// Joins and leaves until told to stop; answers with the versions it met.
    fn member(&self, lab: &Lab, sandbox: &Sandbox) -> Result<BTreeSet<String>> {
        let mut client = lab.client()?;
        let mut met = BTreeSet::new();
        while !self.over.load(Ordering::Relaxed) {
            met.insert(
                sandbox
                    .connect(&mut client, "blue")
                    .inspect_err(|_| self.over.store(true, Ordering::Relaxed))?
                    .driver,
            );
            self.joins.fetch_add(1, Ordering::Relaxed);
            sandbox
                .disconnect(&mut client, "blue")
                .inspect_err(|_| self.over.store(true, Ordering::Relaxed))?;
        }
        Ok(met)
    }

    /// Until everybody has joined once more, on average.
    fn await_a_round(&self) {
        let until = self.joins.load(Ordering::Relaxed) + CLIENTS;
        while self.joins.load(Ordering::Relaxed) < until && !self.over.load(Ordering::Relaxed) {
            thread::yield_now();
        }
    }

    fn upgrade_each(&self, client: &mut Client, bytes: &[u8]) -> Result<()> {
        for version in NEWER {
            self.await_a_round();
            let newer = component::with_version(bytes, version)?;
            client
                .component("PUT", "/v1/drivers/ptp", &newer)?
                .ok(&format!("upgrade to {version}"))?;
        }
        self.await_a_round();
        Ok(())
    }
}

#[test]
fn no_call_fails_while_a_driver_is_upgraded_under_64_clients() -> Result<()> {
    let lab = Lab::new("upgrade")?;
    let before = lab.dump()?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    load(&mut client, &KINDS[1])?;
    client
        .post("/v1/networks", &KINDS[1].network("blue", 3))?
        .ok("create network")?;
    let sandboxes = (0..CLIENTS)
        .map(|i| Sandbox::create(&lab, &mut client, &format!("s{i}")))
        .collect::<Result<Vec<_>>>()?;
    let bytes = component::read("ptp")?;
    let crowd = Crowd {
        joins: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };

    let met = thread::scope(|scope| {
        let members: Vec<_> = sandboxes
            .iter()
            .map(|s| scope.spawn(|| crowd.member(&lab, s)))
            .collect();
        let upgraded = crowd.upgrade_each(&mut client, &bytes);
        crowd.over.store(true, Ordering::Relaxed);
        let met: Result<Vec<_>> = members
            .into_iter()
            .map(|m| {
                m.join()
                    .unwrap_or_else(|_| Err(LabError::new("join", "a client panicked")))
            })
            .collect();
        upgraded.and(met)
    })?;

    let all: BTreeSet<_> = met.into_iter().flatten().collect();
    for version in NEWER {
        assert!(
            all.contains(&format!("ptp {version}")),
            "{version} answered somebody: {all:?}"
        );
    }
    sandboxes.iter().try_for_each(|s| s.delete(&mut client).map(drop))?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn a_failed_upgrade_leaves_the_old_version_at_work() -> Result<()> {
    let lab = Lab::new("upgrade-failed")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    load(&mut client, &KINDS[1])?;
    let whole = component::read("ptp")?;
    for bad in [&whole[..whole.len() / 2], b"", b"\0asm\x01\0\0\0"] {
        let answer = client.component("PUT", "/v1/drivers/ptp", bad)?;
        assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.body);
    }
    let driver = client.get("/v1/drivers/ptp")?.ok("inspect ptp")?;
    assert_eq!(driver["version"], "0.1.0");
    client
        .post("/v1/networks", &KINDS[1].network("blue", 4))?
        .ok("create network")?;
    let sandbox = Sandbox::create(&lab, &mut client, "a")?;
    assert_eq!(sandbox.connect(&mut client, "blue")?.driver, "ptp 0.1.0");
    lab.passed()
}

//! Sandboxes that join and leave all the while, and a driver that is replaced in the middle of it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use jackfield_lab::{Lab, LabError, Result, Sandbox, component};

use super::steps::Teller;

/// Sandboxes at work at once.
const CROWD: usize = 8;
/// Joins that must have been answered before the upgrade, and by the new version after it.
const ENOUGH: usize = 20;

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicUsize,
    by_version: Mutex<BTreeMap<String, usize>>,
    failures: Mutex<Vec<LabError>>,
    over: AtomicBool,
}

/// Upgrades ptp to a newer build while the crowd joins and leaves; every call must succeed, answered by one version or the other.
pub fn upgrade_under_load(lab: &Lab, tell: &mut Teller, bytes: &[u8]) -> Result<()> {
    let newer = component::with_version(bytes, "9.9.9")?;
    let mut client = lab.client()?;
    let crowd = (0..CROWD)
        .map(|i| Sandbox::create(lab, &mut client, &format!("crowd{i}")))
        .collect::<Result<Vec<_>>>()?;
    let tally = Tally::default();
    thread::scope(|scope| {
        for sandbox in &crowd {
            scope.spawn(|| come_and_go(lab, sandbox, &tally));
        }
        let upgraded = tally.wait_for(ENOUGH).and_then(|()| {
            let words = format!("ptp is upgraded to 9.9.9 while {CROWD} sandboxes join and leave");
            tell.step(&words, || {
                client.component("PUT", "/v1/drivers/ptp", &newer)?.ok("upgrade ptp")
            })
        });
        let more = tally.answered.load(Ordering::Relaxed) + ENOUGH;
        let outcome = upgraded.and_then(|_| tally.wait_for(more));
        tally.over.store(true, Ordering::Relaxed);
        outcome
    })?;
    crowd.iter().try_for_each(|s| s.delete(&mut client).map(drop))?;
    tally.report(tell)
}

fn come_and_go(lab: &Lab, sandbox: &Sandbox, tally: &Tally) {
    let outcome = lab.client().and_then(|mut client| {
        while !tally.over.load(Ordering::Relaxed) {
            tally.count(sandbox.connect(&mut client, "blue")?.driver);
            sandbox.disconnect(&mut client, "blue")?;
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        tally.over.store(true, Ordering::Relaxed);
        tally.lock_failures().push(failure);
    }
}

impl Tally {
    fn count(&self, driver: String) {
        *self
            .by_version
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .entry(driver)
            .or_default() += 1;
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn lock_failures(&self) -> std::sync::MutexGuard<'_, Vec<LabError>> {
        self.failures.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Until that many joins were answered, or one failed.
    fn wait_for(&self, joins: usize) -> Result<()> {
        while self.answered.load(Ordering::Relaxed) < joins {
            if let Some(failure) = self.lock_failures().pop() {
                return Err(failure);
            }
            thread::yield_now();
        }
        Ok(())
    }

    fn report(&self, tell: &Teller) -> Result<()> {
        if let Some(failure) = self.lock_failures().pop() {
            return Err(failure);
        }
        let versions = self.by_version.lock().unwrap_or_else(|e| e.into_inner());
        let words: Vec<_> = versions
            .iter()
            .map(|(version, joins)| format!("{joins} by {version}"))
            .collect();
        tell.fact(&format!("joins answered: {}; failed: none", words.join(", ")));
        if versions.len() == 2 {
            Ok(())
        } else {
            Err(LabError::new(
                "upgrade under load",
                format!("expected two versions to answer: {words:?}"),
            ))
        }
    }
}

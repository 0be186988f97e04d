//! Keeping the firewall as it should be, whoever flushes it: one thread a realm.
//!
//! ```text
//!   start --> mend --> wait --somebody changed what concerns us, or the table is there now--> mend --+
//!                       ^                                                                           |
//!                       +---------------------------------------------------------------------------+     (the realm is dropped: the thread ends)
//!
//!   another firewall that takes no rule of the host's:   not seen --Blocked--> seen --Freed--> not seen
//! ```
//!
//! What should be there is on record: the firewall rules of every operation that stands. Nobody else writes to the realm while it is mended.

use std::{
    fmt,
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{Arc, PoisonError},
    thread::{self, JoinHandle},
};

use jackfield_model::OperationId;

use super::{core::Core, tally::Shared};
use crate::{
    FirewallWatch, KernelError, Result,
    compile::firewall_rules,
    journal::{Entry, Phase},
    nft::{Blocked, Mended},
    plan::{FirewallRule, Removal},
};

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallNews {
    /// This was put back.
    Mended(Mended),
    /// Another firewall is in the way. Told once, for as long as it is.
    Blocked(Blocked),
    /// It is not any more.
    Freed(Blocked),
}

/// Told of all that.
pub type Tell = Box<dyn Fn(&FirewallNews) + Send>;

/// The thread, and what ends it: it ends when this is dropped.
pub struct Watcher {
    core: Arc<Core>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.core.watched_by(None);
        // A panic of it has been reported by the panic hook.
        if let Some(thread) = self.thread.take().filter(|t| t.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

/// Starts it; None where the kernel has nobody to watch.
pub fn start(core: Arc<Core>, tell: Tell) -> Result<Option<Watcher>> {
    let failed = |cause: io::Error| KernelError::System {
        operation: "watch the firewall of",
        object: core.namespace.id().to_string(),
        cause,
    };
    let (until, ending) = UnixStream::pair().map_err(failed)?;
    let Some(watch) = core.kernel.watch_firewall(&core.namespace, ending)? else {
        return Ok(None);
    };
    until.set_nonblocking(true).map_err(failed)?;
    core.watched_by(Some(until));
    let thread = thread::Builder::new().name("firewall".into());
    let watching = core.clone();
    let thread = thread.spawn(move || watching.keep(watch, &tell)).map_err(failed)?;
    Ok(Some(Watcher {
        core,
        thread: Some(thread),
    }))
}

impl Core {
    fn keep(&self, mut watch: Box<dyn FirewallWatch>, tell: &Tell) {
        let mut seen = Vec::new();
        loop {
            match self.mend_firewall() {
                Ok(None) => {}
                Ok(Some(mended)) => {
                    news(&mut seen, mended).iter().for_each(tell);
                }
                Err(error) => {
                    tracing::warn!(%error, "the firewall is not as it should be; looking again at its next change")
                }
            }
            match watch.next() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "nobody watches the firewall any more: what is flushed stays so until the host is restarted");
                    return;
                }
            }
        }
    }

    /// None where the host has no table: then nothing of it is missing, and nobody is in its way.
    fn mend_firewall(&self) -> Result<Option<Mended>> {
        let shared = self.write();
        let operations = self.journal.operations(self.namespace.id());
        let rules = standing(&operations, &shared);
        let mended = self.kernel.mend_firewall(&self.namespace, &rules)?;
        Ok((!rules.is_empty()).then_some(mended))
    }

    /// The one who watches is asked by this, and ends with it.
    fn watched_by(&self, asking: Option<UnixStream>) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = asking;
    }

    /// The host's table has just been made: whoever watches looks who is in its way. It has been asked already where that fails.
    pub fn look_at_firewall(&self) {
        if let Some(asking) = &mut *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = asking.write(&[1]);
        }
    }
}

/// What is new of that, and from now on seen.
fn news(seen: &mut Vec<Blocked>, mended: Mended) -> Vec<FirewallNews> {
    let gone = seen.extract_if(.., |there| !mended.blocked.contains(there));
    let mut news: Vec<FirewallNews> = gone.map(FirewallNews::Freed).collect();
    for blocked in &mended.blocked {
        if !seen.contains(blocked) {
            seen.push(blocked.clone());
            news.push(FirewallNews::Blocked(blocked.clone()));
        }
    }
    if !mended.is_nothing() {
        news.push(FirewallNews::Mended(mended));
    }
    news
}

/// The firewall rules that should stand, in the order in which they were made.
fn standing(operations: &[(OperationId, Entry)], shared: &Shared) -> Vec<FirewallRule> {
    let stands = |operation, entry: &Entry| match entry.phase {
        Phase::Committed => true,
        Phase::Begun => shared.applied.contains(operation),
        Phase::Releasing => false,
    };
    let mut rules: Vec<FirewallRule> = Vec::new();
    for (_, entry) in operations.iter().filter(|(operation, entry)| stands(operation, entry)) {
        for removal in entry.plan.removals.iter().filter(|_| entry.phase == Phase::Committed) {
            if let Removal::Firewall(gone) = removal {
                rules.retain(|rule| rule != gone);
            }
        }
        rules.extend(firewall_rules(&entry.plan).map(|(_, rule)| rule.clone()));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_told_once_and_that_it_is_gone_as_well() {
        let [a, b] = ["iptables-legacy", "ip6tables-legacy"].map(Blocked::by_legacy);
        let found = |blocked: &[&Blocked]| Mended {
            blocked: blocked.iter().map(|b| (*b).clone()).collect(),
            ..Mended::default()
        };
        let mut seen = Vec::new();
        let mut told = |mended| news(&mut seen, mended);
        assert_eq!(told(found(&[&a])), [FirewallNews::Blocked(a.clone())]);
        assert_eq!(told(found(&[&a])), []);
        assert_eq!(told(found(&[&a, &b])), [FirewallNews::Blocked(b.clone())]);
        let healed = Mended {
            table: Some("the whole table".to_owned()),
            ..found(&[&b])
        };
        assert_eq!(
            told(healed.clone()),
            [FirewallNews::Freed(a), FirewallNews::Mended(healed)]
        );
        assert_eq!(told(found(&[])), [FirewallNews::Freed(b)]);
    }
}

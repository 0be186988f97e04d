//! Keeping the firewall as it should be, whoever flushes it: one thread a realm.
//!
//! ```text
//!   start --> mend --> wait --somebody changed what concerns us--> mend --+
//!                       ^                                                |
//!                       +------------------------------------------------+     (the realm is dropped: the thread ends)
//! ```
//!
//! What should be there is on record: the firewall rules of every operation that stands. Nobody else writes to the realm while it is mended.

use std::{
    fmt, io,
    os::unix::net::UnixStream,
    sync::Arc,
    thread::{self, JoinHandle},
};

use jackfield_model::OperationId;

use super::{core::Core, tally::Shared};
use crate::{
    FirewallWatch, KernelError, Result,
    compile::firewall_rules,
    journal::{Entry, Phase},
    nft::Mended,
    plan::{FirewallRule, Removal},
};

/// Told of everything that was put back.
pub type Tell = Box<dyn Fn(&Mended) + Send>;

/// The thread, and what ends it: it ends when this is dropped.
pub struct Watcher {
    until: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.until.take());
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
    let thread = thread::Builder::new().name("firewall".into());
    let watching = core.clone();
    let thread = thread.spawn(move || watching.keep(watch, &tell)).map_err(failed)?;
    Ok(Some(Watcher {
        until: Some(until),
        thread: Some(thread),
    }))
}

impl Core {
    fn keep(&self, mut watch: Box<dyn FirewallWatch>, tell: &Tell) {
        loop {
            match self.mend_firewall() {
                Ok(mended) if mended.is_nothing() => {}
                Ok(mended) => tell(&mended),
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

    fn mend_firewall(&self) -> Result<Mended> {
        let shared = self.write();
        let operations = self.journal.operations(self.namespace.id());
        self.kernel
            .mend_firewall(&self.namespace, &standing(&operations, &shared))
    }
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

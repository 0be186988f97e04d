//! A realm: a network namespace that serves as host, and the one place where plans are applied to it and taken back.
//!
//! It may not know what a plan is for. It promises that a plan is applied whole or not at all, that a crash at any moment is made good by
//! [`Realm::recover`], and that nothing is touched that cannot be shown to be ours.
//!
//! ```text
//!   apply ----> Begin on record ----> stages ----> Applied --commit--> committed --release--> out of the way --reaper--> gone
//!                                       |             |                    |                       |
//!                                    refused     abort, drop          (crash: looked for,     (crash: taken out
//!                                       |             |                left as it is)          of the way again)
//!                                       +-> undone <--+
//!                                             ^
//!                        (crash before the commit: undone at the next start)
//! ```
//! A committed operation's part in the firewall may be amended, in the same way: on record, one transaction, on record; or taken back.
//!
//! One thread at a time writes to a realm: the kernel's own lock is one for all, so more would only wait elsewhere.

mod amend;
mod applied;
mod apply;
mod core;
mod evidence;
mod indexes;
mod queue;
mod reaper;
mod recover;
mod tally;
mod watch;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use jackfield_model::OperationId;

use crate::{
    Ifindex, Kernel, KernelError, Make, Namespace, NamespaceId, NamespaceSource, Plan, Result,
    journal::{Journal, Note, Phase, Record},
    takedown::{Stands, Style},
};

pub use applied::Applied;
pub use apply::Rider;
pub use recover::{Recovered, RecoveredState};
pub use watch::FirewallNews;

use self::{apply::Joint, core::Core, indexes::Indexes, queue::Work};

/// How long a shutdown waits for the reaper; what is left by then is done at the next start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A sandbox as an operation reaches it: open for the length of the call, and how recovery finds it again.
#[derive(Clone, Debug)]
pub struct SandboxAt {
    /// The open namespace.
    pub namespace: Namespace,
    /// For release and recovery; None when only the caller could open it.
    pub source: Option<NamespaceSource>,
}

/// A namespace that serves as host.
#[derive(Debug)]
pub struct Realm {
    core: Arc<Core>,
    indexes: Indexes,
    reaper: Mutex<Option<JoinHandle<()>>>,
    watcher: Mutex<Option<watch::Watcher>>,
}

impl Realm {
    /// Opens a namespace as a realm and starts its reaper. What an earlier process left is not touched before [`Realm::recover`].
    ///
    /// # Errors
    /// When the namespace cannot be read, or no thread can be started.
    pub fn open(kernel: Arc<dyn Kernel>, namespace: Namespace, journal: Arc<Journal>) -> Result<Arc<Self>> {
        let there = kernel
            .dump(&namespace)?
            .links
            .into_iter()
            .map(|link| link.index)
            .filter(|i| indexes::is_reserved(*i));
        let highest = there.chain(journal.highest_index(namespace.id())).max();
        let core = Arc::new(Core::new(kernel, namespace, journal));
        let reaper = reaper::start(core.clone()).map_err(|cause| KernelError::System {
            operation: "start the reaper of",
            object: core.namespace.id().to_string(),
            cause,
        })?;
        Ok(Arc::new(Self {
            core,
            indexes: Indexes::above(highest),
            reaper: Mutex::new(Some(reaper)),
            watcher: Mutex::default(),
        }))
    }

    /// The kernel behind it.
    pub fn kernel(&self) -> &Arc<dyn Kernel> {
        &self.core.kernel
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.core.namespace
    }

    /// Its identity.
    pub fn id(&self) -> NamespaceId {
        self.core.namespace.id()
    }

    /// A new namespace for a sandbox, its loopback up and its links deaf to router advertisements from the first: that is 25 to 36 µs, and some
    /// 20, which no join has to wait for.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn make_sandbox(&self) -> Result<Namespace> {
        let namespace = self.core.kernel.create_deaf_namespace()?;
        self.core.raise_loopback(&namespace)?;
        self.core.write().born.insert(namespace.id());
        Ok(namespace)
    }

    /// A sandbox of [`Realm::make_sandbox`] goes.
    pub fn drop_sandbox(&self, namespace: &Namespace) {
        self.core.write().born.remove(&namespace.id());
        self.core.kernel.forget(namespace);
    }

    /// A link index that nobody has and that is not handed out again in this boot, as far as a plan on record had it.
    pub fn reserve_index(&self) -> Ifindex {
        self.indexes.next()
    }

    /// Journals the plan, then makes all of it or nothing. Each realm's kernel work is done in turn; several plans may be applied and not
    /// yet committed side by side.
    ///
    /// # Errors
    /// The first refusal; everything made before it is taken back by then.
    pub fn apply(&self, operation: &OperationId, plan: &Plan, sandbox: Option<&SandboxAt>) -> Result<Applied> {
        self.apply_with(operation, plan, &[], sandbox)
    }

    /// The same with riders: what belongs to the plan now and may be taken back before it. Each of them is released by itself.
    ///
    /// # Errors
    /// As [`Realm::apply`], for the plan and its riders as one.
    pub fn apply_with(
        &self,
        operation: &OperationId,
        plan: &Plan,
        riders: &[Rider],
        sandbox: Option<&SandboxAt>,
    ) -> Result<Applied> {
        let joint = Joint {
            operation,
            plan,
            riders,
        };
        self.core.apply(&joint, sandbox)?;
        let namespace = sandbox.map(|s| s.namespace.clone());
        Ok(Applied::new(self.core.clone(), &joint, namespace))
    }

    /// Changes what a committed operation has in the firewall, where it has nothing else, into that of another plan: in one transaction, so
    /// that each packet sees all of the one or all of the other. Its notes are journalled when it stands.
    ///
    /// # Errors
    /// The kernel's refusal, or that there is no such operation, or more than the firewall to change: then all is as it was.
    pub fn amend(&self, operation: &OperationId, plan: &Plan, notes: Vec<Note>) -> Result<()> {
        self.core.amend(operation, plan, notes)
    }

    /// Takes back a committed operation, last make first, on the state the journal has; journals `notes` with the beginning of it.
    /// Links are out of the sandbox's and the realm's way when this returns; the reaper deletes them afterwards. Idempotent: an unknown
    /// operation is done already, and then the notes are journalled alone.
    ///
    /// # Errors
    /// When the journal cannot be written, or the operation is applied and not committed yet. What the kernel does not let go of yet is
    /// retried by the reaper.
    pub fn release(&self, operation: &OperationId, notes: Vec<Note>) -> Result<()> {
        self.release_from(operation, notes, None)
    }

    /// The same, where the caller keeps the operation's sandbox open anyway: then it need not be opened, and stays as it is.
    ///
    /// # Errors
    /// As [`Realm::release`].
    pub fn release_from(&self, operation: &OperationId, notes: Vec<Note>, kept: Option<&Namespace>) -> Result<()> {
        let core = &self.core;
        let mut shared = core.write();
        core.queue.busy();
        let (phase, inherited) = match core.journal.entry(operation) {
            Some(entry) if entry.phase != Phase::Releasing => (entry.phase, entry.inherited),
            _ if notes.is_empty() => return Ok(()),
            _ => return core.journal.append(Record::Notes { notes }),
        };
        if phase == Phase::Begun && !inherited {
            return Err(KernelError::Malformed {
                operation: "release",
                object: format!("operation {}", operation.short()),
                problem: "it is still being applied".into(),
            });
        }
        core.journal.append(Record::Release {
            operation: operation.clone(),
            notes,
        })?;
        let Some(entry) = core.journal.entry(operation) else {
            return Ok(());
        };
        let kept = kept.filter(|kept| entry.sandbox.as_ref().is_some_and(|s| s.id == kept.id()));
        let reached = kept.map_or_else(|| core.reach(entry.sandbox.as_ref()), |kept| Ok(Some(kept.clone())));
        let Ok(sandbox) = reached else {
            core.queue.push(Work::TakeBack(operation.clone()));
            return Ok(());
        };
        let sure = if phase == Phase::Committed {
            Stands::Yes
        } else {
            Stands::Maybe
        };
        let style = Style::Retire {
            group: core.groups.next(entry.plan.new_links().count()),
        };
        let undone = core.take_back(&mut shared, operation, &entry, |_| sure, style, sandbox.as_ref());
        // An open socket would keep a sandbox alive that dies now.
        if kept.is_none() {
            sandbox.iter().for_each(|s| core.kernel.forget(s));
        }
        core.conclude(operation, undone);
        Ok(())
    }

    /// Takes a resolver off the record whose sandbox goes next: all that it made is in there and goes with it, so that nothing is sent and its
    /// end is on record at once, with `notes`. Idempotent, as [`Realm::release`].
    ///
    /// # Errors
    /// When the journal cannot be written, or the operation made something else, or is not committed.
    pub fn strike(&self, operation: &OperationId, notes: Vec<Note>) -> Result<()> {
        let core = &self.core;
        let mut shared = core.write();
        let Some(entry) = core.journal.entry(operation) else {
            return core.journal.append(Record::Notes { notes });
        };
        let goes_along = |make: &Make| matches!(make, Make::Resolver { .. });
        if entry.phase == Phase::Begun || !entry.plan.makes.iter().all(goes_along) {
            return Err(KernelError::Malformed {
                operation: "strike",
                object: format!("operation {}", operation.short()),
                problem: "more than its sandbox has to go for it to be gone".into(),
            });
        }
        let done = Record::Done {
            operation: operation.clone(),
        };
        core.journal
            .append(Record::together(vec![Record::Notes { notes }, done]))?;
        shared.gone(operation, &entry.plan, entry.sandbox.as_ref().map(|s| s.id));
        Ok(())
    }

    /// Deals with what an earlier host process left, see the diagram in `recover.rs`; says of each committed operation whether it stands.
    /// To be called once, before or while other operations are applied.
    ///
    /// # Errors
    /// When the kernel cannot be read. What could be dealt with is.
    pub fn recover(&self) -> Result<Vec<Recovered>> {
        self.core.recover()
    }

    /// From now on puts back, within moments, what anybody else takes out of the firewall; what was put back is told, and who is in the way. To be called once, after
    /// [`Realm::recover`]: what the journal has on record is taken for what should be there.
    ///
    /// # Errors
    /// When the firewall cannot be watched.
    pub fn watch_firewall(&self, tell: watch::Tell) -> Result<()> {
        let watcher = watch::start(self.core.clone(), tell)?;
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
        Ok(())
    }

    /// Waits until the reaper has nothing left to do: for shutdown, and for tests. False when that took too long; then the journal keeps it.
    pub fn quiesce(&self) -> bool {
        self.core.queue.drained(PATIENCE)
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        drop(self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.core.queue.close();
        let reaper = self.reaper.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The reaper holds no realm, so this is never its own thread; a panic of it has been reported by the panic hook.
        if let Some(reaper) = reaper {
            let _ = reaper.join();
        }
    }
}

#[cfg(test)]
mod tests;

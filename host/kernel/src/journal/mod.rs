//! The boot-long journal: what the host is about to do, has done and is taking back, so that kill -9 at any moment loses nothing.
//!
//! One file on tmpfs, valid for one boot. Each record is one write: length, CRC-32 and JSON. A torn or corrupt tail ends the file's
//! meaning there and is cut off; a write to tmpfs is not lost by the death of the process that made it, so nothing is fsynced.
//! Records carry *notes* besides: the controller's own boot-long facts (endpoints, leases, drivers' keys), opaque here, so that one write
//! commits the plan and what it means.
//!
//! ```text
//!            Begin ----------> Commit ----------> Release ----------> Done
//!   (plan is on record,   (all makes stand,   (being taken back)  (nothing is left)
//!    makes under way)      removals to run)
//!      | refused, or the host died before Commit
//!      +---------------------------------> makes taken back ------> Done
//! ```
//!
//! The journal holds in memory what its records amount to ([`Entry`] for each operation that is not done), because whoever takes an
//! operation back needs its plan, and because a file that is mostly dead is rewritten from it.

mod file;
mod frame;
#[cfg(feature = "fault-points")]
mod kill;
mod observer;
mod record;
mod state;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jackfield_model::OperationId;

use crate::{Ifindex, KernelError, NamespaceId, Result};

pub use observer::Observer;
pub use record::{Fact, Note, Record, SandboxRef};
pub use state::{Entry, Phase};

use file::JournalFile;
use state::State;

/// A file below this size is never rewritten: about three thousand joins.
const REWRITE_FROM: u64 = 4 << 20;
/// It is rewritten when it is this many times as long as after the last rewriting: then three quarters of it are dead.
const REWRITE_AT: u64 = 4;

/// What the journal said when it was opened.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// Operations that are not done, in the order in which they began.
    pub operations: Vec<(OperationId, Entry)>,
    /// Notes, by key.
    pub notes: BTreeMap<String, Fact>,
}

/// The open journal. All methods may be called from many threads; records are written one after the other.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: JournalFile,
    state: State,
    rewrite_at: u64,
    observer: Option<Arc<dyn Observer>>,
}

impl Journal {
    /// Opens the journal of this boot in a directory, alone: a second host is refused. A journal of an earlier boot is set aside.
    ///
    /// # Errors
    /// When another host has it, when it cannot be read or written, or when another version of the host wrote what this one cannot read.
    pub fn open(dir: &Path) -> Result<(Self, Replayed)> {
        Self::open_for_boot(dir, &boot_id()?)
    }

    /// The same for a given boot id, so that a test can restart the machine.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_for_boot(dir: &Path, boot: &str) -> Result<(Self, Replayed)> {
        let (file, state) = JournalFile::open(dir, boot)?;
        let replayed = Replayed {
            operations: state.operations(),
            notes: state.notes().clone(),
        };
        let rewrite_at = next_rewriting(file.len());
        Ok((
            Self {
                inner: Mutex::new(Inner {
                    file,
                    state,
                    rewrite_at,
                    observer: fault_point(),
                }),
            },
            replayed,
        ))
    }

    /// Writes a record. When this returns the record survives the process.
    ///
    /// # Errors
    /// When it could not be written; then it is not in the file.
    pub fn append(&self, record: Record) -> Result<()> {
        self.lock().append(record)
    }

    /// Lets somebody look on.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.lock().observer = Some(observer);
    }

    /// An operation that is not done.
    pub fn entry(&self, operation: &OperationId) -> Option<Entry> {
        self.lock().state.get(operation).cloned()
    }

    /// Operations of a realm that are not done, in the order in which they began.
    pub fn operations(&self, realm: NamespaceId) -> Vec<(OperationId, Entry)> {
        self.lock()
            .state
            .operations()
            .into_iter()
            .filter(|(_, entry)| entry.realm == realm)
            .collect()
    }

    /// A realm is closed: whoever opens it again finds its operations as those of an earlier host.
    pub fn bequeath(&self, realm: NamespaceId) {
        self.lock().state.bequeath(realm);
    }

    /// Journals the end of every operation of a realm whose namespace is gone: the kernel took down all that was in it.
    ///
    /// # Errors
    /// When a record could not be written.
    pub fn abandon(&self, realm: NamespaceId) -> Result<()> {
        let operations = self.operations(realm);
        operations
            .into_iter()
            .try_for_each(|(operation, _)| self.append(Record::Done { operation }))
    }

    /// Whether any operation but this one is there that `which` holds for.
    pub(crate) fn any_other(&self, operation: &OperationId, which: impl Fn(&OperationId, &Entry) -> bool) -> bool {
        self.lock().state.any_other(operation, which)
    }

    /// Passes on the values that the operation would restore; see [`State::retract`].
    pub(crate) fn retract(&self, operation: &OperationId) -> Option<Entry> {
        let mut inner = self.lock();
        inner.state.retract(operation);
        inner.state.get(operation).cloned()
    }

    /// The highest link index that is on record for a realm.
    pub(crate) fn highest_index(&self, realm: NamespaceId) -> Option<Ifindex> {
        self.lock().state.highest_index(realm)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change; a poisoned lock only says that a caller's thread died.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, record: Record) -> Result<()> {
        let observer = self.observer.clone();
        if let Some(observer) = &observer {
            observer.before(&record).map_err(interrupted)?;
        }
        self.file.append(&record)?;
        let seen = observer.map(|o| (o, record.clone()));
        self.state.apply(record);
        if self.file.len() >= self.rewrite_at {
            self.rewrite();
        }
        seen.map_or(Ok(()), |(observer, record)| observer.after(&record))
            .map_err(interrupted)
    }

    /// A failure leaves the old file, which is as good, only longer.
    fn rewrite(&mut self) {
        if let Err(error) = self.file.rewrite(&self.state) {
            tracing::warn!(%error, "the journal stays as long as it is");
        }
        self.rewrite_at = next_rewriting(self.file.len());
    }
}

fn next_rewriting(length: u64) -> u64 {
    REWRITE_FROM.max(length.saturating_mul(REWRITE_AT))
}

fn interrupted(cause: std::io::Error) -> KernelError {
    KernelError::System {
        operation: "append to",
        object: "the journal".into(),
        cause,
    }
}

#[cfg(feature = "fault-points")]
fn fault_point() -> Option<Arc<dyn Observer>> {
    kill::Kill::from_environment().map(|kill| Arc::new(kill) as Arc<dyn Observer>)
}

#[cfg(not(feature = "fault-points"))]
fn fault_point() -> Option<Arc<dyn Observer>> {
    None
}

/// This boot, as the kernel names it.
fn boot_id() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(PATH).map_err(|cause| KernelError::System {
        operation: "read",
        object: PATH.into(),
        cause,
    })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;

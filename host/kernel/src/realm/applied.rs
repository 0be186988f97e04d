//! A plan that stands and is not committed yet.

use std::sync::Arc;

use jackfield_model::OperationId;

use super::{core::Core, queue::Work};
use crate::{
    Namespace, Result,
    journal::{Note, Record},
};

/// A plan that was applied but is not yet committed: `commit` it with the notes that belong to it, or `abort` it. Dropping it aborts.
///
/// ```text
///   Applied --commit--> committed: removals done, or left to the reaper
///      |
///      +--abort, drop, or the commit could not be journalled--> nothing is left
/// ```
#[derive(Debug)]
#[must_use = "dropping it takes everything back"]
pub struct Applied {
    core: Arc<Core>,
    operation: OperationId,
    sandbox: Option<Namespace>,
    settled: bool,
}

impl Applied {
    pub(super) fn new(core: Arc<Core>, operation: OperationId, sandbox: Option<Namespace>) -> Self {
        Self {
            core,
            operation,
            sandbox,
            settled: false,
        }
    }

    /// Its operation.
    pub fn operation(&self) -> &OperationId {
        &self.operation
    }

    /// Makes it last: from here on only a release takes it back. Then does the plan's removals; one that fails is repeated in the background.
    ///
    /// # Errors
    /// When the journal cannot be written; then everything is taken back.
    pub fn commit(mut self, notes: Vec<Note>) -> Result<()> {
        let mut shared = self.core.write();
        self.core.journal.append(Record::Commit {
            operation: self.operation.clone(),
            notes,
        })?;
        shared.applied.remove(&self.operation);
        self.settled = true;
        if let Some(entry) = self
            .core
            .journal
            .entry(&self.operation)
            .filter(|e| !e.plan.removals.is_empty())
            && !self
                .core
                .remove(&shared, &self.operation, &entry, false, self.sandbox.as_ref())
        {
            self.core.queue.push(Work::Removals(self.operation.clone()));
        }
        Ok(())
    }

    /// Takes everything back.
    pub fn abort(self) {
        drop(self);
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        if !self.settled {
            self.core.abort(&self.operation, self.sandbox.as_ref());
        }
    }
}

//! A plan that stands and is not committed yet.

use std::sync::Arc;

use jackfield_model::OperationId;

use super::{apply::Joint, core::Core, queue::Work};
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
    riders: Vec<OperationId>,
    sandbox: Option<Namespace>,
    settled: bool,
}

impl Applied {
    pub(super) fn new(core: Arc<Core>, joint: &Joint<'_>, sandbox: Option<Namespace>) -> Self {
        Self {
            core,
            operation: joint.operation.clone(),
            riders: joint.riders.iter().map(|rider| rider.operation.clone()).collect(),
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
        let mut commits = vec![commit(&self.operation, notes)];
        commits.extend(self.riders.iter().map(|rider| commit(rider, Vec::new())));
        self.core.journal.append(Record::together(commits))?;
        self.settled = true;
        for operation in std::iter::once(&self.operation).chain(&self.riders) {
            shared.applied.remove(operation);
            let entry = self.core.journal.entry(operation);
            if let Some(entry) = entry.filter(|e| !e.plan.removals.is_empty())
                && !self
                    .core
                    .remove(&shared, operation, &entry, false, self.sandbox.as_ref())
            {
                self.core.queue.push(Work::Removals(operation.clone()));
            }
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
            let last_first = self.riders.iter().rev().chain([&self.operation]);
            last_first.for_each(|operation| self.core.abort(operation, self.sandbox.as_ref()));
        }
    }
}

fn commit(operation: &OperationId, notes: Vec<Note>) -> Record {
    Record::Commit {
        operation: operation.clone(),
        notes,
    }
}

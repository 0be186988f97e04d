//! After a start: what the host process before this one left is finished, taken back or found to stand.
//!
//! ```text
//!   Begun      --> taken back --> Done
//!   Releasing  --> taken back again, on evidence --> reaper (links, connections) --> Done
//!   Committed, being amended --> the firewall as it was --> Committed
//!   Committed  --> looked for: Standing, or Lost because ...; its removals done again where their end is not on record
//!   a link of ours that no operation knows --> reaper
//! ```
//! Nothing that stands is touched: traffic goes on.

use std::collections::HashSet;

use jackfield_model::OperationId;

use super::{core::Core, indexes::is_reserved, queue::Work};
use crate::{
    Ifindex, LinkInfo, LinkQuery, Namespace, Place, Request, Result,
    compile::{ALIAS_PREFIX, End, PlannedLink, planned_links},
    journal::{Entry, Phase},
    takedown::{Leftover, is_ours, waiting_name},
};

/// A committed operation after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Which.
    pub operation: OperationId,
    /// Whether it is still what it was.
    pub state: RecoveredState,
}

/// Whether an operation's links are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveredState {
    /// As it was.
    Standing,
    /// Why not. What is left of it goes with a release.
    Lost(String),
}

impl Core {
    /// See [`super::Realm::recover`].
    pub fn recover(&self) -> Result<Vec<Recovered>> {
        let operations = self.journal.operations(self.namespace.id());
        let inherited = operations.iter().filter(|(_, entry)| entry.inherited);
        // The last one first: it may rest on an earlier one.
        inherited
            .clone()
            .rev()
            .for_each(|(operation, entry)| self.resume(operation, entry));
        let committed = inherited.filter(|(_, entry)| entry.phase == Phase::Committed);
        let recovered = committed
            .map(|(operation, entry)| self.look_for(operation, entry))
            .collect::<Result<_>>()?;
        self.collect_orphans()?;
        Ok(recovered)
    }

    fn resume(&self, operation: &OperationId, entry: &Entry) {
        if entry.next.is_some() {
            let _writing = self.write();
            self.unamend(operation);
        }
        match entry.phase {
            Phase::Committed if entry.removed || entry.plan.removals.is_empty() => {}
            Phase::Committed => self.queue.push(Work::Removals(operation.clone())),
            Phase::Releasing | Phase::Begun => self.take_back_inherited(operation),
        }
    }

    /// At once, so that a caller may do the same again when this returns: what was to go would be in its way. Links are no more than out of
    /// the way then, as after a release.
    fn take_back_inherited(&self, operation: &OperationId) {
        if !self.take_back_again(operation) {
            self.queue.push(Work::TakeBack(operation.clone()));
        }
    }

    fn look_for(&self, operation: &OperationId, entry: &Entry) -> Result<Recovered> {
        let mut state = RecoveredState::Standing;
        for planned in planned_links(&entry.plan) {
            if !self.is_there(&planned, entry)? {
                state = RecoveredState::Lost(format!(
                    "its {} {} is gone",
                    planned.link.kind.name(),
                    planned.link.name
                ));
                break;
            }
        }
        Ok(Recovered {
            operation: operation.clone(),
            state,
        })
    }

    /// A pair dies as one, and with either's namespace: the realm's end stands for both. So a thousand sandboxes need not be opened, and
    /// a pair is not lost because a runtime moved and renamed its other end.
    fn is_there(&self, planned: &PlannedLink, entry: &Entry) -> Result<bool> {
        let Some(end) = planned.ends().next() else {
            return Ok(true);
        };
        if end.at.place == Place::Realm {
            return self.has(&self.namespace, planned, &end);
        }
        match entry.sandbox.as_ref() {
            // Only the caller could open it: he has to look himself.
            Some(sandbox) if sandbox.source.is_none() => Ok(true),
            sandbox => match self.reach(sandbox)? {
                Some(sandbox) => {
                    let there = self.has(&sandbox, planned, &end);
                    self.kernel.forget(&sandbox);
                    there
                }
                None => Ok(false),
            },
        }
    }

    fn has(&self, namespace: &Namespace, planned: &PlannedLink, end: &End) -> Result<bool> {
        let info = self.kernel.link(namespace, LinkQuery::Index(end.at.index))?;
        Ok(info.is_some_and(|info| is_ours(&info, planned, end)))
    }

    /// Links in our range of indexes that carry our alias, and that no operation on record made.
    fn collect_orphans(&self) -> Result<()> {
        let shared = self.write();
        let known = self.known_indexes();
        let is_ours = |link: &LinkInfo| link.alias.as_ref().is_some_and(|alias| alias.starts_with(ALIAS_PREFIX));
        let links = self.kernel.dump(&self.namespace)?.links;
        let orphans = links
            .iter()
            .filter(|l| is_reserved(l.index) && is_ours(l) && !known.contains(&l.index));
        for orphan in orphans {
            tracing::info!(link = %orphan.name, "belongs to no operation any more and is deleted");
            let index = orphan.index;
            let group = self.groups.next(1);
            let mut requests = vec![Request::Retire { index, group }];
            requests.extend(waiting_name(index).map(|name| Request::RenameLink { index, name }));
            self.kernel.send(&self.namespace, &requests)?;
            self.queue.push(Work::Delete(None, vec![Leftover::Group(group)]));
        }
        drop(shared);
        Ok(())
    }

    fn known_indexes(&self) -> HashSet<Ifindex> {
        let operations = self.journal.operations(self.namespace.id());
        operations
            .iter()
            .flat_map(|(_, entry)| entry.plan.new_links().map(|at| at.index).collect::<Vec<_>>())
            .collect()
    }
}

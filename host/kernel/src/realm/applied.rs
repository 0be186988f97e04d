//! A plan that stands and is not committed yet.

use std::{net::Ipv6Addr, sync::Arc};

use jackfield_model::{IpNetwork, OperationId};

use super::{apply::Joint, core::Core, queue::Work};
use crate::{
    LinkAt, Make, Namespace, Place, Plan, Result,
    journal::{Note, Record},
    plan::LinkSetting,
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
    /// New IPv6 addresses, which the kernel needs a moment for.
    fresh: Vec<(Place, Ipv6Addr)>,
    settled: bool,
}

impl Applied {
    pub(super) fn new(core: Arc<Core>, joint: &Joint<'_>, sandbox: Option<Namespace>) -> Self {
        Self {
            core,
            operation: joint.operation.clone(),
            riders: joint.riders.iter().map(|rider| rider.operation.clone()).collect(),
            sandbox,
            fresh: joint.parts().flat_map(|(_, plan)| fresh(plan)).collect(),
            settled: false,
        }
    }

    /// Its operation.
    pub fn operation(&self) -> &OperationId {
        &self.operation
    }

    /// Makes it last: from here on only a release takes it back. Then does the plan's removals; one that fails is repeated in the background.
    /// When this returns, the plan's new IPv6 addresses can be used.
    ///
    /// # Errors
    /// When the journal cannot be written; then everything is taken back.
    pub fn commit(mut self, notes: Vec<Note>) -> Result<()> {
        self.record(notes)?;
        self.await_addresses();
        Ok(())
    }

    fn record(&mut self, notes: Vec<Note>) -> Result<()> {
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

    /// Nobody else has to wait for it: the right to change the realm is given back by now. Late addresses are no failure: they will come.
    fn await_addresses(&self) {
        for (place, namespace) in [
            (Place::Realm, Some(&self.core.namespace)),
            (Place::Sandbox, self.sandbox.as_ref()),
        ] {
            let here = self.fresh.iter().filter(|(at, _)| *at == place);
            let addresses: Vec<Ipv6Addr> = here.map(|(_, address)| *address).collect();
            let Some(namespace) = namespace.filter(|_| !addresses.is_empty()) else {
                continue;
            };
            match self.core.kernel.await_addresses(namespace, &addresses) {
                Ok(true) => {}
                Ok(false) => tracing::warn!(?addresses, "the kernel takes long to make IPv6 addresses usable"),
                Err(error) => tracing::warn!(?addresses, %error, "it is not known whether IPv6 addresses are usable"),
            }
        }
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

/// The plan's IPv6 addresses that are to be used at once: on links that it sets up. A link-local one is the same to every link, and comes along.
fn fresh(plan: &Plan) -> impl Iterator<Item = (Place, Ipv6Addr)> {
    let up = |at: LinkAt| {
        let sets_up = |make: &Make| matches!(make, Make::Set { link, to: LinkSetting::Up(true), .. } if *link == at);
        plan.makes.iter().any(sets_up)
    };
    plan.makes.iter().filter_map(move |make| match make {
        Make::Address {
            link,
            address: IpNetwork::V6(address),
        } if !address.ip().is_unicast_link_local() && up(*link) => Some((link.place, address.ip())),
        _ => None,
    })
}

fn commit(operation: &OperationId, notes: Vec<Note>) -> Record {
    Record::Commit {
        operation: operation.clone(),
        notes,
    }
}

//! The reaper: one thread a realm that deletes what is out of the way already, many links at a time, and repeats what failed.
//!
//! It holds the right to write only while it repeats a takedown: a deletion takes 16 to 20 ms, in which joins must go on.

use std::{
    collections::BTreeSet,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use jackfield_model::OperationId;

use super::{
    core::{Core, is_missing},
    evidence::FromKernel,
    queue::{Chore, Work},
};
use crate::{
    Ifindex, KernelError, LinkQuery, Request, StaleConnections,
    journal::{Phase, Record},
    takedown::{Leftover, Stands, Style, removals},
};

/// Starts it. It ends when the queue is closed.
pub fn start(core: Arc<Core>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("reaper".into()).spawn(move || {
        while let Some(chores) = core.queue.take() {
            core.reap(chores);
            core.queue.finish();
        }
    })
}

impl Core {
    fn reap(&self, chores: Vec<Chore>) {
        let failed = self.delete_groups(&groups(&chores));
        let forgotten = self.forget_connections(&chores);
        for chore in chores {
            let done = match &chore.work {
                Work::Delete(operation, leftovers) => self.delete(operation.as_ref(), leftovers, &failed, forgotten),
                Work::TakeBack(operation) => self.take_back_again(operation),
                Work::Removals(operation) => self.remove_again(operation),
            };
            if !done {
                self.queue.push_again(chore);
            }
        }
    }

    /// Deletes each group; answers with those that are still there.
    fn delete_groups(&self, groups: &BTreeSet<u32>) -> BTreeSet<u32> {
        let gone = |group: &u32| self.delete_quietly(&self.namespace, Request::DeleteGroup { group: *group });
        groups.iter().filter(|group| !gone(group)).copied().collect()
    }

    fn delete_quietly(&self, namespace: &crate::Namespace, request: Request) -> bool {
        let error = match self.kernel.send(namespace, &[request]) {
            Ok(answers) => answers.into_iter().find_map(Result::err),
            Err(error) => Some(error),
        };
        match error {
            None | Some(crate::KernelError::NamespaceGone(_)) => true,
            Some(error) if error.errno().is_some_and(is_missing) => true,
            Some(error) => {
                tracing::warn!(%error, "links wait for their deletion; trying again later");
                false
            }
        }
    }

    /// Forgets those of all chores at once, since each look through the kernel's connections takes as long as this one.
    fn forget_connections(&self, chores: &[Chore]) -> bool {
        let stale = |leftover: &Leftover| match leftover {
            Leftover::Connections(stale) => Some(stale.clone()),
            _ => None,
        };
        let stale: Vec<StaleConnections> = leftovers(chores).filter_map(stale).collect();
        if stale.is_empty() {
            return true;
        }
        let error = match self.kernel.send(&self.namespace, &[Request::FlushPorts(stale)]) {
            Ok(answers) => answers.into_iter().find_map(Result::err),
            Err(error) => Some(error),
        };
        match error {
            // Where connections cannot be listed, they end by themselves.
            None | Some(KernelError::Unsupported(_) | KernelError::NamespaceGone(_)) => true,
            Some(error) => {
                tracing::warn!(%error, "connections to ports that are published no more go on; trying again later");
                false
            }
        }
    }

    fn delete(
        &self,
        operation: Option<&OperationId>,
        leftovers: &[Leftover],
        failed: &BTreeSet<u32>,
        forgotten: bool,
    ) -> bool {
        let gone = |leftover: &Leftover| match leftover {
            Leftover::Connections(_) => forgotten,
            Leftover::Group(group) => !failed.contains(group),
            Leftover::InSandbox { index, mac } => operation.is_none_or(|o| self.delete_in_sandbox(o, *index, *mac)),
        };
        leftovers.iter().all(gone) && operation.is_none_or(|operation| self.done(operation))
    }

    fn delete_in_sandbox(
        &self,
        operation: &OperationId,
        index: Ifindex,
        mac: Option<jackfield_model::MacAddr>,
    ) -> bool {
        let Some(entry) = self.journal.entry(operation) else {
            return true;
        };
        let sandbox = match self.reach(entry.sandbox.as_ref()) {
            Ok(Some(sandbox)) => sandbox,
            Ok(None) => return true,
            Err(_) => return false,
        };
        let gone = match self.kernel.link(&sandbox, LinkQuery::Index(index)) {
            Ok(Some(info)) if mac.is_none_or(|mac| info.mac == Some(mac)) => {
                self.delete_quietly(&sandbox, Request::DeleteLink { index })
            }
            Ok(_) => true,
            Err(_) => false,
        };
        self.kernel.forget(&sandbox);
        gone
    }

    fn done(&self, operation: &OperationId) -> bool {
        self.journal
            .append(Record::Done {
                operation: operation.clone(),
            })
            .is_ok()
    }

    /// An attempt that was incomplete, or cut off, is repeated on evidence alone: what it did is not known any more. False where it has to be
    /// repeated once more.
    pub fn take_back_again(&self, operation: &OperationId) -> bool {
        let mut shared = self.write();
        let Some(entry) = self.journal.retract(operation) else {
            return true;
        };
        let Ok(sandbox) = self.reach(entry.sandbox.as_ref()) else {
            return false;
        };
        let style = match entry.phase {
            Phase::Begun => Style::Delete,
            _ => Style::Retire {
                group: self.groups.next(entry.plan.new_links().count()),
            },
        };
        let undone = self.take_back(
            &mut shared,
            operation,
            &entry,
            |_| Stands::Maybe,
            style,
            sandbox.as_ref(),
        );
        sandbox.iter().for_each(|s| self.kernel.forget(s));
        if !undone.complete {
            return false;
        }
        self.conclude(operation, undone);
        true
    }

    fn remove_again(&self, operation: &OperationId) -> bool {
        let shared = self.write();
        match self.journal.entry(operation) {
            Some(entry) if entry.phase == Phase::Committed && !entry.removed => {
                self.remove(&shared, operation, &entry, true, None)
            }
            _ => true,
        }
    }

    /// Does the removals of a committed plan and journals that they are done.
    pub fn remove(
        &self,
        shared: &super::tally::Shared,
        operation: &OperationId,
        entry: &crate::journal::Entry,
        again: bool,
        sandbox: Option<&crate::Namespace>,
    ) -> bool {
        let opened = match sandbox {
            Some(_) => Ok(None),
            None => self.reach(entry.sandbox.as_ref()),
        };
        let Ok(opened) = opened else { return false };
        let sandbox = sandbox.or(opened.as_ref());
        let evidence = FromKernel::new(self, shared, operation, entry, sandbox);
        let Ok(away) = removals(&entry.plan, again, &evidence) else {
            return false;
        };
        let in_sandbox = sandbox.is_none_or(|s| self.send_all(operation, s, &away.sandbox));
        let in_realm = self.send_all(operation, &self.namespace, &away.realm);
        let in_table = self.remove_elements(operation, &away.firewall);
        opened.iter().for_each(|s| self.kernel.forget(s));
        in_sandbox
            && in_realm
            && in_table
            && self
                .journal
                .append(Record::Removed {
                    operation: operation.clone(),
                })
                .is_ok()
    }
}

fn leftovers(chores: &[Chore]) -> impl Iterator<Item = &Leftover> {
    let leftovers = chores.iter().filter_map(|chore| match &chore.work {
        Work::Delete(_, leftovers) => Some(leftovers),
        _ => None,
    });
    leftovers.flatten()
}

fn groups(chores: &[Chore]) -> BTreeSet<u32> {
    let group = |leftover: &Leftover| match leftover {
        Leftover::Group(group) => Some(*group),
        _ => None,
    };
    leftovers(chores).filter_map(group).collect()
}

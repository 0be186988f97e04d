//! What the callers' threads and the reaper share: the kernel, the journal, and the right to write.

use std::{
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jackfield_model::OperationId;
use nix::errno::Errno;

use super::{
    evidence::FromKernel,
    indexes::Groups,
    queue::{Queue, Work},
    tally::Shared,
};
use crate::{
    FirewallChange, Ifindex, Kernel, KernelError, Leading, Namespace, Plan, Request, Result, StaleConnections,
    compile::{LOOPBACK, firewall_rules},
    journal::{Entry, Journal, Phase, Record, SandboxRef},
    plan::{FirewallRule, LinkSetting},
    takedown::{Leftover, Stands, Style, Takedown, takedown},
};

/// The inside of a realm.
#[derive(Debug)]
pub struct Core {
    pub kernel: Arc<dyn Kernel>,
    pub namespace: Namespace,
    pub journal: Arc<Journal>,
    pub groups: Groups,
    pub queue: Queue,
    writer: Mutex<Shared>,
    /// How the one who watches the firewall is asked to look at it.
    pub watcher: Mutex<Option<UnixStream>>,
}

/// What became of a takedown.
#[derive(Debug, Default)]
pub struct Undone {
    /// Nothing is left but the leftovers.
    pub complete: bool,
    /// Links that are out of the way and have yet to be deleted.
    pub leftovers: Vec<Leftover>,
}

impl Core {
    pub fn new(kernel: Arc<dyn Kernel>, namespace: Namespace, journal: Arc<Journal>) -> Self {
        let shared = Shared::of(&journal.operations(namespace.id()));
        let (groups, queue) = Default::default();
        Self {
            kernel,
            namespace,
            journal,
            groups,
            queue,
            writer: Mutex::new(shared),
            watcher: Mutex::default(),
        }
    }

    /// The right to change the realm: one at a time, since the kernel's own lock is one for all.
    pub fn write(&self) -> MutexGuard<'_, Shared> {
        // What is counted here is changed in single steps; after a panic of another caller it is as true as before.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In a namespace that nobody else knows yet.
    pub fn raise_loopback(&self, namespace: &Namespace) -> Result<()> {
        let Some(index) = Ifindex::new(LOOPBACK) else {
            return Ok(());
        };
        let up = Request::SetLink {
            index,
            setting: LinkSetting::Up(true),
        };
        self.kernel.send(namespace, &[up])?.into_iter().collect()
    }

    /// Opens the sandbox of an operation. None when there is none any more, or it cannot be reached: what was in it is gone, or goes with
    /// the realm's ends.
    ///
    /// # Errors
    /// When it may be there and could not be opened for another reason.
    pub fn reach(&self, sandbox: Option<&SandboxRef>) -> Result<Option<Namespace>> {
        let Some(SandboxRef {
            id,
            source: Some(source),
        }) = sandbox
        else {
            return Ok(None);
        };
        match self.kernel.open_namespace(source) {
            Ok(namespace) => Ok(Some(namespace).filter(|n| n.id() == *id)),
            Err(KernelError::NamespaceGone(_) | KernelError::Malformed { .. }) => Ok(None),
            Err(error) if error.errno().is_some_and(is_missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes back what stands of an operation. Whatever could not be done is said in a warning, once, and left to the reaper.
    pub fn take_back(
        &self,
        shared: &mut Shared,
        operation: &OperationId,
        entry: &Entry,
        stands: impl Fn(usize) -> Stands,
        style: Style,
        sandbox: Option<&Namespace>,
    ) -> Undone {
        let evidence = FromKernel::new(self, shared, operation, entry, sandbox);
        match takedown(&entry.plan, stands, style, &evidence) {
            Ok(down) => self.send_down(shared, operation, entry, down, sandbox),
            Err(error) => {
                tracing::warn!(operation = operation.short(), %error, "it is not known what to take back; trying again later");
                Undone::default()
            }
        }
    }

    fn send_down(
        &self,
        shared: &mut Shared,
        operation: &OperationId,
        entry: &Entry,
        mut down: Takedown,
        sandbox: Option<&Namespace>,
    ) -> Undone {
        let sandbox_id = entry.sandbox.as_ref().map(|s| s.id);
        let alone = sandbox_id.is_some_and(|id| !shared.sandboxes.has_other(&id, operation));
        if entry.phase == Phase::Begun && entry.raises_loopback && alone {
            down.sandbox.extend(lower_loopback());
        }
        let in_sandbox = sandbox.is_none_or(|namespace| self.send_all(operation, namespace, &down.sandbox));
        let in_realm = self.send_all(operation, &self.namespace, &down.realm);
        let in_table = self.empty_table(shared, operation, &down.firewall);
        let complete = in_sandbox && in_realm && in_table;
        // What came to nothing has led nobody anywhere.
        if entry.phase != Phase::Begun {
            let stale = stale_connections(&entry.plan, Leading::There);
            down.leftovers.extend(stale.into_iter().map(Leftover::Connections));
        }
        if complete {
            shared.gone(operation, &entry.plan, sandbox_id);
        }
        Undone {
            complete,
            leftovers: down.leftovers,
        }
    }

    /// Sends requests that take something away: what is missing already is as good as done.
    pub fn send_all(&self, operation: &OperationId, namespace: &Namespace, requests: &[Request]) -> bool {
        if requests.is_empty() {
            return true;
        }
        let answers = match self.kernel.send(namespace, requests) {
            Ok(answers) => answers,
            Err(KernelError::NamespaceGone(_)) => return true,
            Err(error) => vec![Err(error)],
        };
        let mut done = true;
        for error in answers
            .into_iter()
            .filter_map(Result::err)
            .filter(|e| !e.errno().is_some_and(is_missing))
        {
            tracing::warn!(operation = operation.short(), %error, "not taken back yet; trying again later");
            done = false;
        }
        done
    }

    /// Takes elements out of the table, and the table away with the last operation that had any.
    pub fn empty_table(&self, shared: &Shared, operation: &OperationId, rules: &[FirewallRule]) -> bool {
        if rules.is_empty() {
            return true;
        }
        if !shared.table.has_other(&(), operation) {
            return self.send_all(
                operation,
                &self.namespace,
                &[Request::Firewall(vec![FirewallChange::DropTable])],
            );
        }
        self.remove_elements(operation, rules)
    }

    /// One transaction; where an element is missing it refuses all of them, so then each goes alone.
    pub fn remove_elements(&self, operation: &OperationId, rules: &[FirewallRule]) -> bool {
        if rules.is_empty() {
            return true;
        }
        let together = Request::Firewall(rules.iter().cloned().map(FirewallChange::Remove).collect());
        let answer = self.kernel.send(&self.namespace, &[together]);
        if matches!(answer.as_deref(), Ok([Ok(())])) {
            return true;
        }
        let alone: Vec<_> = rules
            .iter()
            .map(|rule| Request::Firewall(vec![FirewallChange::Remove(rule.clone())]))
            .collect();
        self.send_all(operation, &self.namespace, &alone)
    }

    /// Journals the end of an operation of which nothing is left; hands to the reaper what is not at its end.
    pub fn conclude(&self, operation: &OperationId, undone: Undone) {
        let Undone { complete, leftovers } = undone;
        if !complete {
            self.queue.push(Work::TakeBack(operation.clone()));
        } else if !leftovers.is_empty() {
            self.queue.push(Work::Delete(Some(operation.clone()), leftovers));
        } else if let Err(error) = self.journal.append(Record::Done {
            operation: operation.clone(),
        }) {
            tracing::warn!(operation = operation.short(), %error, "its end could not be journalled; trying again later");
            self.queue.push(Work::TakeBack(operation.clone()));
        }
    }
}

/// The connections to the ports that a plan publishes.
pub fn stale_connections(plan: &Plan, leading: Leading) -> Vec<StaleConnections> {
    let stale = |(_, rule): (usize, &FirewallRule)| match rule {
        FirewallRule::Publish { mapping, target } => Some(StaleConnections {
            mapping: mapping.clone(),
            target: *target,
            leading,
        }),
        _ => None,
    };
    firewall_rules(plan).filter_map(stale).collect()
}

/// The kernel gives 127.0.0.1 to a loopback that comes up without an address, and does not take it away again by itself.
fn lower_loopback() -> Vec<Request> {
    let (Some(index), Ok(address)) = (Ifindex::new(LOOPBACK), "127.0.0.1/8".parse()) else {
        return vec![];
    };
    vec![
        Request::SetLink {
            index,
            setting: LinkSetting::Up(false),
        },
        Request::DeleteAddress { index, address },
    ]
}

/// What the kernel answers about something that is not there.
pub fn is_missing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ENODEV | Errno::ENOENT | Errno::ESRCH | Errno::EADDRNOTAVAIL
    )
}

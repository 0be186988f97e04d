//! A plan made real, stage by stage; the first refusal takes everything back.

use std::borrow::Cow;

use jackfield_model::{OperationId, Transport};
use nix::errno::Errno;

use super::{
    SandboxAt,
    core::{Core, stale_connections},
    queue::Work,
    tally::Shared,
};
use crate::{
    Ifindex, KernelError, Leading, LinkQuery, Namespace, Place, Plan, Request, Result, StaleConnections,
    compile::{Context, DEAF, LOOPBACK, Stage, accept_ra, compile, reaches_sandbox},
    journal::{Record, SandboxRef},
    plan::LinkSetting,
    takedown::{Leftover, Stands, Style},
};

/// A plan that rides along with another one's: journalled, applied and committed with it, and taken back by itself.
#[derive(Clone, Debug)]
pub struct Rider {
    /// Its operation.
    pub operation: OperationId,
    /// Its steps. They may name the links of the plan that it rides along with.
    pub plan: Plan,
}

/// A plan and its riders.
pub struct Joint<'a> {
    pub operation: &'a OperationId,
    pub plan: &'a Plan,
    pub riders: &'a [Rider],
}

impl Joint<'_> {
    /// In the order in which they are made.
    pub fn parts(&self) -> impl Iterator<Item = (&OperationId, &Plan)> {
        let riders = self.riders.iter().map(|rider| (&rider.operation, &rider.plan));
        std::iter::once((self.operation, self.plan)).chain(riders)
    }

    /// All of it as one plan, its makes part by part.
    fn whole(&self) -> Cow<'_, Plan> {
        if self.riders.is_empty() {
            return Cow::Borrowed(self.plan);
        }
        let mut whole = self.plan.clone();
        for Rider { plan, .. } in self.riders {
            whole.makes.extend(plan.makes.iter().cloned());
            whole.removals.extend(plan.removals.iter().cloned());
        }
        Cow::Owned(whole)
    }
}

impl Core {
    /// See [`super::Realm::apply_with`].
    pub fn apply(&self, joint: &Joint<'_>, sandbox: Option<&SandboxAt>) -> Result<()> {
        let mut shared = self.write();
        self.queue.busy();
        joint
            .parts()
            .try_for_each(|(operation, plan)| self.check(operation, plan, sandbox))?;
        let (operation, whole) = (joint.operation, joint.whole());
        let raise_loopback = self.loopback_is_down(&shared, operation, &whole, sandbox)?;
        self.journal.append(self.begin(joint, sandbox, raise_loopback))?;
        let had_table = !shared.table.is_empty();
        joint
            .parts()
            .for_each(|(operation, plan)| shared.begins(operation, plan));
        let sandbox = sandbox.map(|s| &s.namespace);
        let deaf = sandbox.is_some_and(|namespace| shared.born.contains(&namespace.id()));
        let first_port = |bridge: Ifindex| !shared.bridges.has_other(&bridge, operation);
        let stages = compile(
            &whole,
            &Context {
                operation,
                sandbox,
                raise_loopback,
                deaf,
                first_port: &first_port,
            },
        );
        let (stands, refusal) = self.run(stages, whole.makes.len(), sandbox);
        match refusal {
            None => {
                joint.parts().for_each(|(operation, plan)| {
                    shared.stands(operation, plan, sandbox.map(Namespace::id));
                    shared.applied.insert(operation.clone());
                });
                self.let_go_of(stale_connections(&whole, Leading::Elsewhere));
                if !had_table && !shared.table.is_empty() {
                    self.look_at_firewall();
                }
                Ok(())
            }
            Some(refusal) => {
                self.abandon_all(&mut shared, joint, &stands, sandbox);
                Err(refusal)
            }
        }
    }

    /// A client that keeps its socket is on a connection that was there before the port: its packets would go on to where they went.
    /// They are looked for behind the caller's back; a host that is killed meanwhile leaves them to their own end, half a minute later.
    fn let_go_of(&self, stale: Vec<StaleConnections>) {
        let udp = |stale: &StaleConnections| stale.mapping.transport == Transport::Udp;
        let leftovers: Vec<Leftover> = stale.into_iter().filter(udp).map(Leftover::Connections).collect();
        if !leftovers.is_empty() {
            self.queue.push(Work::Delete(None, leftovers));
        }
    }

    fn begin(&self, joint: &Joint<'_>, sandbox: Option<&SandboxAt>, raises_loopback: bool) -> Record {
        let begin = |(operation, plan): (&OperationId, &Plan)| Record::Begin {
            operation: operation.clone(),
            realm: self.namespace.id(),
            sandbox: sandbox.map(|s| SandboxRef {
                id: s.namespace.id(),
                source: s.source.clone(),
            }),
            raises_loopback: raises_loopback && operation == joint.operation,
            plan: plan.clone(),
        };
        Record::together(joint.parts().map(begin).collect())
    }

    /// See [`super::Applied::abort`].
    pub fn abort(&self, operation: &OperationId, sandbox: Option<&Namespace>) {
        self.abandon(&mut self.write(), operation, |_| Stands::Yes, sandbox);
    }

    /// The last part first: it may rest on an earlier one.
    fn abandon_all(&self, shared: &mut Shared, joint: &Joint<'_>, stands: &[Stands], sandbox: Option<&Namespace>) {
        let (parts, mut rest): (Vec<_>, _) = (joint.parts().collect(), stands);
        for (operation, plan) in parts.into_iter().rev() {
            let (earlier, own) = rest.split_at(rest.len() - plan.makes.len());
            self.abandon(shared, operation, |make| own[make], sandbox);
            rest = earlier;
        }
    }

    fn abandon(
        &self,
        shared: &mut Shared,
        operation: &OperationId,
        stands: impl Fn(usize) -> Stands,
        sandbox: Option<&Namespace>,
    ) {
        shared.applied.remove(operation);
        if let Some(entry) = self.journal.retract(operation) {
            let undone = self.take_back(shared, operation, &entry, stands, Style::Delete, sandbox);
            self.conclude(operation, undone);
        }
    }

    fn check(&self, operation: &OperationId, plan: &Plan, sandbox: Option<&SandboxAt>) -> Result<()> {
        let problem = if sandbox.is_none() && reaches_sandbox(plan) {
            "its plan reaches into a sandbox, but none was given"
        } else if self.journal.entry(operation).is_some() {
            "an operation of that id is under way or stands already"
        } else {
            return Ok(());
        };
        Err(KernelError::Malformed {
            operation: "apply",
            object: format!("operation {}", operation.short()),
            problem: problem.into(),
        })
    }

    /// The first operation in a sandbox brings its loopback up: whether that has to be undone is read before anything is done.
    fn loopback_is_down(
        &self,
        shared: &Shared,
        operation: &OperationId,
        plan: &Plan,
        sandbox: Option<&SandboxAt>,
    ) -> Result<bool> {
        let Some((sandbox, index)) = sandbox.zip(Ifindex::new(LOOPBACK)) else {
            return Ok(false);
        };
        let id = sandbox.namespace.id();
        if shared.born.contains(&id) || shared.sandboxes.has_other(&id, operation) || !reaches_sandbox(plan) {
            return Ok(false);
        }
        let loopback = self.kernel.link(&sandbox.namespace, LinkQuery::Index(index))?;
        Ok(loopback.is_some_and(|link| !link.up))
    }

    /// Sends stage after stage until one is refused. Says of each make whether it stands.
    fn run(&self, stages: Vec<Stage>, makes: usize, sandbox: Option<&Namespace>) -> (Vec<Stands>, Option<KernelError>) {
        let mut stands = vec![Stands::No; makes];
        for stage in stages {
            let namespace = match stage.batch.place {
                Place::Realm => &self.namespace,
                Place::Sandbox => sandbox.unwrap_or(&self.namespace),
            };
            if let Some(refusal) = self.send_stage(namespace, &stage, &mut stands) {
                return (stands, Some(refusal));
            }
        }
        (stands, None)
    }

    fn send_stage(&self, namespace: &Namespace, stage: &Stage, stands: &mut [Stands]) -> Option<KernelError> {
        let answers = match self.kernel.send(namespace, &stage.batch.requests) {
            Ok(answers) if answers.len() == stage.batch.requests.len() => answers,
            other => {
                stage
                    .realises
                    .iter()
                    .flatten()
                    .for_each(|make| stands[*make] = Stands::Maybe);
                return Some(other.err().unwrap_or_else(unanswered));
            }
        };
        let mut refusal = None;
        for ((answer, request), makes) in answers.into_iter().zip(&stage.batch.requests).zip(&stage.realises) {
            match answer {
                Err(error) if !is_so_anyway(request, &error) => {
                    if matches!(request, Request::MoveLink { .. }) {
                        // Refused for its name it may have moved all the same.
                        makes.iter().for_each(|make| stands[*make] = Stands::Maybe);
                    }
                    refusal = refusal.or(Some(error));
                }
                _ => makes.iter().for_each(|make| stands[*make] = Stands::Yes),
            }
        }
        refusal
    }
}

/// A link without IPv6 makes no link-local addresses and hears no router advertisements; it cannot be told not to.
fn is_so_anyway(request: &Request, error: &KernelError) -> bool {
    match request {
        Request::SetLink {
            setting: LinkSetting::AddressGeneration(false),
            ..
        } => matches!(error.errno(), Some(Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP)),
        Request::WriteSysctl { key, value, .. } => {
            let deaf = value == DEAF && *key == accept_ra();
            deaf && error.errno() == Some(Errno::ENOENT)
        }
        _ => false,
    }
}

fn unanswered() -> KernelError {
    KernelError::Malformed {
        operation: "send",
        object: "a batch".into(),
        problem: "not every request was answered".into(),
    }
}

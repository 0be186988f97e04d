//! A committed operation's part in the firewall, changed in place.
//!
//! ```text
//!   committed --Amend on record--> one transaction --Amended--> committed, with the new plan
//!                                       |
//!                     refused, or a crash: taken back --Unamended--> committed, with the old one
//! ```

use jackfield_model::OperationId;
use nix::errno::Errno;

use super::core::{Core, is_missing};
use crate::{
    FirewallChange, KernelError, Make, Plan, Request, Result,
    compile::firewall_rules,
    journal::{Entry, Note, Phase, Record},
    plan::FirewallRule,
};

impl Core {
    /// See [`super::Realm::amend`].
    pub fn amend(&self, operation: &OperationId, plan: &Plan, notes: Vec<Note>) -> Result<()> {
        let mut shared = self.write();
        self.queue.busy();
        let entry = self.amendable(operation, plan)?;
        self.journal.append(Record::Amend {
            operation: operation.clone(),
            plan: plan.clone(),
        })?;
        let amended = || Record::Amended {
            operation: operation.clone(),
            notes,
        };
        match self
            .send_change(&entry.plan, plan)
            .and_then(|()| self.journal.append(amended()))
        {
            Ok(()) => {
                shared.begins(operation, plan);
                Ok(())
            }
            Err(refusal) => {
                self.unamend(operation);
                Err(refusal)
            }
        }
    }

    /// Makes the firewall what the operation's plan says, where that was about to be changed. What cannot be told to the kernel or the journal
    /// now is done at the next start.
    pub fn unamend(&self, operation: &OperationId) {
        let Some((entry, next)) = self.journal.entry(operation).and_then(|entry| {
            let next = entry.next.clone()?;
            Some((entry, next))
        }) else {
            return;
        };
        let back = match self.send_change(&next, &entry.plan) {
            // The change back does not fit: there was no change.
            Err(error) if error.errno().is_some_and(|e| is_missing(e) || e == Errno::EEXIST) => Ok(()),
            other => other,
        };
        let unamended = Record::Unamended {
            operation: operation.clone(),
        };
        if let Err(error) = back.and_then(|()| self.journal.append(unamended)) {
            tracing::warn!(operation = operation.short(), %error, "a change of the firewall is not taken back yet; trying again at the next start");
        }
    }

    fn amendable(&self, operation: &OperationId, plan: &Plan) -> Result<Entry> {
        let refuse = |problem: &str| {
            Err(KernelError::Malformed {
                operation: "amend",
                object: format!("operation {}", operation.short()),
                problem: problem.into(),
            })
        };
        match self.journal.entry(operation) {
            Some(entry) if entry.phase == Phase::Committed => {
                let only_firewall =
                    |plan: &Plan| plan.removals.is_empty() && plan.makes.iter().all(|m| matches!(m, Make::Firewall(_)));
                if only_firewall(&entry.plan) && only_firewall(plan) {
                    Ok(entry)
                } else {
                    refuse("only what it has in the firewall can be changed, and it has more")
                }
            }
            _ => refuse("it does not stand"),
        }
    }

    /// What only the one plan has goes, and what only the other has comes.
    fn send_change(&self, from: &Plan, to: &Plan) -> Result<()> {
        let rules = |plan| {
            firewall_rules(plan)
                .map(|(_, rule)| rule.clone())
                .collect::<Vec<FirewallRule>>()
        };
        let (from, to) = (rules(from), rules(to));
        let gone = from.iter().filter(|rule| !to.contains(rule)).cloned();
        let new = to.iter().filter(|rule| !from.contains(rule)).cloned();
        let changes = std::iter::once(FirewallChange::EnsureTable)
            .chain(gone.map(FirewallChange::Remove))
            .chain(new.map(FirewallChange::Add))
            .collect();
        self.kernel
            .send(&self.namespace, &[Request::Firewall(changes)])?
            .into_iter()
            .collect()
    }
}

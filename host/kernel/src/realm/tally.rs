//! Who shares what: things of the realm that are there as long as some operation needs them.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use jackfield_model::OperationId;

use crate::{
    Ifindex, Make, NamespaceId, Place, Plan,
    compile::firewall_rules,
    journal::{Entry, Phase},
    plan::LinkSetting,
};

/// The operations that share each thing.
#[derive(Debug)]
pub struct Tally<K>(HashMap<K, HashSet<OperationId>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// One more needs it.
    pub fn add(&mut self, key: K, operation: &OperationId) {
        self.0.entry(key).or_default().insert(operation.clone());
    }

    /// That operation needs nothing any more.
    pub fn remove(&mut self, key: &K, operation: &OperationId) {
        if let Some(holders) = self.0.get_mut(key) {
            holders.remove(operation);
            if holders.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Whether nobody needs anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any operation but this one needs it.
    pub fn has_other(&self, key: &K, operation: &OperationId) -> bool {
        self.0
            .get(key)
            .is_some_and(|holders| holders.iter().any(|holder| holder != operation))
    }
}

/// What the writer of a realm keeps count of, so that no join has to look through all others.
#[derive(Debug, Default)]
pub struct Shared {
    /// The nftables table: it goes with the last one that has elements in it.
    pub table: Tally<()>,
    /// Bridges, by who has ports there: the first port needs the bridge settled too.
    pub bridges: Tally<Ifindex>,
    /// Sandboxes, by who made something in them: the first one brings the loopback up.
    pub sandboxes: Tally<NamespaceId>,
    /// Sandboxes that this process made: their loopback is up and their links are deaf, and nobody has to be asked.
    pub born: HashSet<NamespaceId>,
    /// Operations whose makes all stand and that are not committed yet.
    pub applied: HashSet<OperationId>,
}

impl Shared {
    /// What operations that are on record share.
    pub fn of(operations: &[(OperationId, Entry)]) -> Self {
        let mut shared = Self::default();
        for (operation, entry) in operations {
            shared.begins(operation, &entry.plan);
            if entry.phase == Phase::Committed {
                shared.stands(operation, &entry.plan, entry.sandbox.as_ref().map(|s| s.id));
            }
        }
        shared
    }

    /// The plan is about to be applied.
    pub fn begins(&mut self, operation: &OperationId, plan: &Plan) {
        if firewall_rules(plan).next().is_some() {
            self.table.add((), operation);
        }
    }

    /// All of the plan stands.
    pub fn stands(&mut self, operation: &OperationId, plan: &Plan, sandbox: Option<NamespaceId>) {
        bridges_joined(plan).for_each(|bridge| self.bridges.add(bridge, operation));
        if let Some(sandbox) = sandbox {
            self.sandboxes.add(sandbox, operation);
        }
    }

    /// Nothing of the plan stands.
    pub fn gone(&mut self, operation: &OperationId, plan: &Plan, sandbox: Option<NamespaceId>) {
        self.table.remove(&(), operation);
        bridges_joined(plan).for_each(|bridge| self.bridges.remove(&bridge, operation));
        if let Some(sandbox) = sandbox {
            self.sandboxes.remove(&sandbox, operation);
        }
        self.applied.remove(operation);
    }
}

fn bridges_joined(plan: &Plan) -> impl Iterator<Item = Ifindex> + '_ {
    plan.makes.iter().filter_map(|make| match make {
        Make::Set {
            link,
            to: LinkSetting::Controller(bridge),
            ..
        } if link.place == Place::Realm => *bridge,
        _ => None,
    })
}

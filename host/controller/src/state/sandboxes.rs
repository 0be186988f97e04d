//! What may happen to sandboxes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jackfield_kernel::NamespaceId;
use jackfield_model::{DnsSettings, Name, Options, SandboxId};

use super::{Begin, Denied, Ground, Kind, RealmState, Sandbox, SandboxPhase, SandboxRecord};

impl RealmState {
    /// A sandbox is to come: its id and name are taken from here on.
    pub fn begin_sandbox(
        &mut self,
        id: Option<SandboxId>,
        name: Option<Name>,
        labels: &Options,
        dns: &DnsSettings,
        ground: Ground,
    ) -> Result<Begin<SandboxId>, Denied> {
        if let Some(existing) = id.as_ref().and_then(|id| self.sandboxes.get(id)) {
            return existing.answer_again(name.as_ref(), (labels, dns), &ground);
        }
        let id = id.unwrap_or_else(SandboxId::random);
        let name = match name {
            Some(name) => name,
            // Twelve hexadecimal digits are a name by every rule; should that change, the whole id is tried.
            None => id
                .short()
                .parse()
                .or_else(|_| id.as_str().parse())
                .map_err(|_| Denied::IdTaken {
                    kind: Kind::Sandbox,
                    id: id.to_string(),
                })?,
        };
        if let Some(other) = self.sandbox_names.get(&name) {
            return Err(Denied::NameTaken {
                kind: Kind::Sandbox,
                name: name.to_string(),
                id: other.short().to_owned(),
            });
        }
        if let Some(other) = ground.namespace().and_then(|n| self.sandbox_of(n)) {
            return Err(Denied::NamespaceTaken { sandbox: other.name() });
        }
        self.insert_sandbox(
            SandboxRecord {
                id: id.clone(),
                name,
                ground,
                labels: labels.clone(),
                dns: dns.clone(),
                resolver: None,
                files: None,
            },
            SandboxPhase::Creating,
        );
        Ok(Begin::Go(id))
    }

    /// Takes up a sandbox, new or from the journal.
    pub fn insert_sandbox(&mut self, record: SandboxRecord, phase: SandboxPhase) {
        let id = record.id.clone();
        self.sandbox_names.insert(record.name.clone(), id.clone());
        let sandbox = Sandbox {
            record,
            phase,
            endpoints: BTreeSet::new(),
            interfaces: BTreeMap::new(),
            settling: false,
            naming: false,
        };
        self.sandboxes.insert(id, sandbox);
    }

    /// The sandbox whose namespace that is.
    pub fn sandbox_of(&self, namespace: NamespaceId) -> Option<&Sandbox> {
        self.sandboxes
            .values()
            .find(|s| s.record.ground.namespace() == Some(namespace))
    }

    /// The sandbox is there.
    pub fn finish_sandbox(&mut self, id: &SandboxId, ground: Ground) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.record.ground = ground;
            sandbox.phase = SandboxPhase::Ready;
        }
    }

    /// Where its files for /etc are.
    pub fn set_files(&mut self, id: &SandboxId, files: Option<PathBuf>) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.record.files = files;
        }
    }

    /// The sandbox could not be made, or is deleted.
    pub fn remove_sandbox(&mut self, id: &SandboxId) {
        if let Some(sandbox) = self.sandboxes.remove(id) {
            self.sandbox_names.remove(&sandbox.record.name);
        }
    }

    /// The sandbox could not be deleted after all.
    pub fn reopen_sandbox(&mut self, id: &SandboxId) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.phase = SandboxPhase::Ready;
        }
    }

    /// A sandbox is to go: nobody may join it from here on. What is in it leaves first.
    pub fn begin_delete_sandbox(&mut self, reference: &str) -> Result<SandboxId, Denied> {
        let id = self.find_sandbox(reference)?;
        let unknown = || Denied::Unknown {
            kind: Kind::Sandbox,
            reference: reference.to_owned(),
        };
        let sandbox = self.sandboxes.get_mut(&id).ok_or_else(unknown)?;
        if sandbox.phase != SandboxPhase::Ready {
            return Err(sandbox.busy());
        }
        sandbox.phase = SandboxPhase::Deleting;
        Ok(id)
    }

    /// The same for one that is to go unless somebody is in it, or on the way in: None then.
    pub fn begin_delete_empty_sandbox(&mut self, id: &SandboxId) -> Result<Option<SandboxId>, Denied> {
        match self.sandboxes.get(id) {
            Some(sandbox) if sandbox.endpoints.is_empty() => self.begin_delete_sandbox(id.as_str()).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether the runtime moves the interfaces there.
    pub fn is_foreign(&self, id: &SandboxId) -> bool {
        let sandbox = self.sandboxes.get(id);
        sandbox.is_some_and(|s| matches!(s.record.ground, Ground::Foreign { .. }))
    }

    /// The runtime's key of a foreign sandbox was seen to lead somewhere; answers with its record, where that is new.
    pub fn see_foreign(&mut self, id: &SandboxId) -> Option<SandboxRecord> {
        let record = &mut self.sandboxes.get_mut(id)?.record;
        let Ground::Foreign { seen, .. } = &mut record.ground else {
            return None;
        };
        let new = !std::mem::replace(seen, true);
        new.then(|| record.clone())
    }
}

impl Sandbox {
    /// As a person would say it.
    pub fn name(&self) -> String {
        self.record.name.to_string()
    }

    pub(super) fn busy(&self) -> Denied {
        let doing = match self.phase {
            SandboxPhase::Creating => "creating",
            SandboxPhase::Ready => "settling its default routes",
            SandboxPhase::Deleting => "deleting",
        };
        Denied::Busy {
            kind: Kind::Sandbox,
            name: self.name(),
            doing,
        }
    }

    /// The answer to a second request with the same id.
    fn answer_again(
        &self,
        name: Option<&Name>,
        (labels, dns): (&Options, &DnsSettings),
        ground: &Ground,
    ) -> Result<Begin<SandboxId>, Denied> {
        let record = &self.record;
        let same_name = name.is_none_or(|n| *n == record.name);
        if !same_name || record.labels != *labels || record.dns != *dns || !record.ground.same_place(ground) {
            return Err(Denied::IdTaken {
                kind: Kind::Sandbox,
                id: record.id.short().to_owned(),
            });
        }
        if self.phase != SandboxPhase::Ready {
            return Err(self.busy());
        }
        Ok(Begin::AlreadySo(record.id.clone()))
    }
}

impl Ground {
    /// Whether a second request means the same: the same kind, and the same namespace where both name one.
    fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Made { .. }, Self::Made { .. }) => true,
            (Self::Adopted { namespace: a, .. }, Self::Adopted { namespace: b, .. }) => a == b,
            (Self::Foreign { path: a, .. }, Self::Foreign { path: b, .. }) => a == b,
            _ => false,
        }
    }
}

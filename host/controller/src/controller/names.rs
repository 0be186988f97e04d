//! Keeps the name service up to date: who is where, and which sandboxes have a resolver.
//!
//! A resolver is an operation of its own, since it belongs to a sandbox and not to the endpoint that came first: its sockets are opened, the
//! plan leads the sandbox's questions to them, and both are on record together. A sandbox of the host's own comes on record with its resolver
//! and goes with it, so that neither a join nor a delete waits for one. Where a kernel cannot do it endpoints join all the same, and an event
//! says that they have no names.

use std::sync::Arc;

use jackfield_kernel::{Make, Namespace, Plan, SandboxAt};
use jackfield_model::{EndpointId, Error, ErrorCode, OperationId, Options, Result, SandboxId};

use super::{Inner, place::Place};
use crate::{
    names::{NameService, ResolverRequest, hostname},
    state::{EndpointPhase, Ground, Naming, Resolver, SandboxRecord, ServiceKey},
    store::notes,
};

impl Inner {
    /// An endpoint arrived: its names are known from here on.
    pub(super) fn name_endpoint(&self, place: &Place, endpoint: &EndpointId) {
        let Some(names) = &self.names else { return };
        if let Some(member) = place.look(|s| s.member_of(endpoint)) {
            names.joined(member);
        }
    }

    /// What is known of it changed while it stays. Whoever takes it out meanwhile calls it `Leaving` first and takes its names away then: this
    /// looks afterwards, so that one of the two has the last word.
    pub(super) fn name_anew(&self, place: &Place, endpoint: &EndpointId) {
        self.name_endpoint(place, endpoint);
        let leaves = |phase| matches!(phase, EndpointPhase::Leaving | EndpointPhase::Created);
        if place.look(|s| s.endpoints.get(endpoint).is_none_or(|e| leaves(e.phase))) {
            self.unname_endpoint(endpoint);
        }
    }

    /// It left.
    pub(super) fn unname_endpoint(&self, endpoint: &EndpointId) {
        if let Some(names) = &self.names {
            names.left(endpoint);
        }
    }

    /// What a service's name leads to, as the service is by now.
    pub(super) fn name_service(&self, place: &Place, key: &ServiceKey) {
        let Some(names) = &self.names else { return };
        match place.look(|s| s.service_names(key)) {
            Some(service) => names.service_stands(service),
            None => {
                let name = key.1.as_str().parse();
                name.iter().for_each(|name| names.service_gone(&key.0, name));
            }
        }
    }

    /// Opens or closes a sandbox's resolver, as its endpoints want it by now.
    pub(super) fn settle_names(&self, place: &Place, sandbox: &SandboxId) {
        let Some(names) = &self.names else { return };
        while let Some(naming) = place.change(|s| s.begin_naming(sandbox)) {
            let (before, result) = match naming {
                Naming::Open(record) => (None, self.open_resolver(place, &**names, record).map(Some)),
                Naming::Close(record) => (
                    record.resolver.clone(),
                    self.close_resolver(place, &**names, record).map(|()| None),
                ),
            };
            let failed = result
                .as_ref()
                .err()
                .map(|error| self.say_nameless(place, sandbox, error));
            place.change(|s| s.end_naming(sandbox, result.unwrap_or(before)));
            if failed.is_some() {
                return;
            }
        }
    }

    /// Puts a new sandbox on record, and one of the host's own with its resolver. Without that it is a sandbox all the same, and the first
    /// endpoint with names tries again.
    pub(super) fn record_sandbox(
        &self,
        place: &Place,
        record: &mut SandboxRecord,
        namespace: Option<&Namespace>,
    ) -> Result<()> {
        let own = matches!(record.ground, Ground::Made { .. }) && !record.dns.off;
        if let (Some(names), Some(namespace)) = (&self.names, namespace.filter(|_| own)) {
            let at = SandboxAt {
                namespace: namespace.clone(),
                source: record.ground.source(),
            };
            match self.open_resolver_at(place, &**names, record, &at) {
                Ok(resolver) => {
                    record.resolver = Some(resolver);
                    return Ok(());
                }
                Err(error) => self.say_nameless(place, &record.id, &error),
            }
        }
        self.append_notes(vec![notes::sandbox(place.id(), record)])
    }

    /// Takes a sandbox off the record. Where its namespace is the host's own all of its resolver goes with that, so that both are one record.
    pub(super) fn strike_sandbox(&self, place: &Place, record: &SandboxRecord) -> Result<()> {
        let gone = vec![notes::no_sandbox(place.id(), &record.id)];
        match (&record.ground, &record.resolver) {
            (Ground::Made { .. }, Some(resolver)) => Ok(place.realm.strike(&resolver.operation, gone)?),
            _ => self.append_notes(gone),
        }
    }

    fn say_nameless(&self, place: &Place, sandbox: &SandboxId, error: &Error) {
        let words = "a sandbox has no name service, or keeps it longer than it should";
        tracing::warn!(sandbox = sandbox.short(), %error, words);
        let name = place.of_sandbox(sandbox, |s| s.name()).ok();
        let why = Options::from([("error".to_owned(), error.to_string())]);
        self.events
            .say("sandbox", "names-failed", sandbox.as_str(), name.as_deref(), why);
    }

    fn open_resolver(&self, place: &Place, names: &dyn NameService, record: SandboxRecord) -> Result<Resolver> {
        let opened = self.open_sandbox(place, &record.id)?;
        let foreign = || Error::internal("a foreign sandbox has no resolver");
        self.open_resolver_at(place, names, &record, opened.at.as_ref().ok_or_else(foreign)?)
    }

    /// What is on record then is the sandbox with its resolver.
    fn open_resolver_at(
        &self,
        place: &Place,
        names: &dyn NameService,
        record: &SandboxRecord,
        at: &SandboxAt,
    ) -> Result<Resolver> {
        let port = names.open(request(place, record, at.namespace.clone(), None))?;
        let operation = OperationId::random();
        let plan = Plan {
            makes: vec![Make::Resolver { port }],
            removals: Vec::new(),
        };
        let resolver = Resolver {
            port,
            operation: operation.clone(),
        };
        let note = notes::sandbox(
            place.id(),
            &SandboxRecord {
                resolver: Some(resolver.clone()),
                ..record.clone()
            },
        );
        let applied = place
            .realm
            .apply(&operation, &plan, Some(at))
            .and_then(|applied| applied.commit(vec![note]));
        if let Err(error) = applied {
            names.close(&record.id);
            return Err(error.into());
        }
        Ok(resolver)
    }

    /// The sockets first: with them goes what may be the last reference to the namespace.
    fn close_resolver(&self, place: &Place, names: &dyn NameService, record: SandboxRecord) -> Result<()> {
        names.close(&record.id);
        let Some(resolver) = &record.resolver else {
            return Ok(());
        };
        let note = notes::sandbox(
            place.id(),
            &SandboxRecord {
                resolver: None,
                ..record.clone()
            },
        );
        self.release_inside(place, &resolver.operation, vec![note], &record.id)
    }

    /// A sandbox is gone, and what is left of its resolver is taken off the record.
    pub(super) fn drop_names(&self, place: &Place, record: &SandboxRecord) -> Result<()> {
        if let Some(names) = &self.names {
            names.close(&record.id);
            if record.files.is_some() {
                names.remove_files(&record.id);
            }
        }
        let operation = record.resolver.as_ref().map(|r| &r.operation);
        operation.map_or(Ok(()), |operation| self.release(place, Some(operation), Vec::new()))
    }

    /// Writes a new sandbox's files. Without them it is a sandbox all the same.
    pub(super) fn write_files(&self, record: &mut SandboxRecord) {
        let Some(names) = &self.names else { return };
        let Some(hostname) = hostname(&record.id, &record.name, &record.dns) else {
            return;
        };
        // Who adopts a sandbox without names has its own files for it.
        let others = matches!(record.ground, Ground::Adopted { .. }) && record.dns.off;
        if others || matches!(record.ground, Ground::Foreign { .. }) {
            return;
        }
        match names.write_files(&record.id, &hostname, &record.dns) {
            Ok(folder) => record.files = Some(folder),
            Err(error) => tracing::warn!(sandbox = record.id.short(), %error, "a sandbox has no files for /etc"),
        }
    }

    /// After a restart: what an earlier host had open is opened again, at the same ports; then what is missing.
    pub(super) fn name_again(self: &Arc<Self>, place: &Place) {
        let Some(names) = &self.names else { return };
        let endpoints: Vec<EndpointId> = place.look(|s| s.endpoints.keys().cloned().collect());
        endpoints
            .iter()
            .for_each(|endpoint| self.name_endpoint(place, endpoint));
        let sandboxes: Vec<SandboxRecord> = place.look(|s| s.sandboxes.values().map(|b| b.record.clone()).collect());
        for mut record in sandboxes {
            self.write_files(&mut record);
            place.change(|s| s.set_files(&record.id, record.files.clone()));
            if record.resolver.is_some()
                && let Err(error) = self.reopen_resolver(place, &**names, &record)
            {
                self.say_nameless(place, &record.id, &error);
            }
            self.settle_names(place, &record.id);
        }
        self.events.flush();
    }

    /// A port that somebody in the sandbox took meanwhile is given up for another one.
    fn reopen_resolver(&self, place: &Place, names: &dyn NameService, record: &SandboxRecord) -> Result<()> {
        let opened = self.open_sandbox(place, &record.id)?;
        let (Some(at), Some(resolver)) = (&opened.at, &record.resolver) else {
            return Ok(());
        };
        match names.open(request(place, record, at.namespace.clone(), Some(resolver.port))) {
            Err(error) if error.code == ErrorCode::InUse => {}
            other => return other.map(drop),
        }
        self.close_resolver(place, names, record.clone())?;
        place.change(|s| s.end_naming(&record.id, None));
        Ok(())
    }
}

fn request(
    place: &Place,
    record: &SandboxRecord,
    namespace: jackfield_kernel::Namespace,
    port: Option<u16>,
) -> ResolverRequest {
    let own = matches!(record.ground, Ground::Made { .. });
    ResolverRequest {
        sandbox: record.id.clone(),
        namespace,
        source: record.ground.source().filter(|_| !own),
        realm: place.realm.namespace().clone(),
        settings: record.dns.clone(),
        port,
    }
}

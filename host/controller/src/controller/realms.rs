//! Callers' realms come and go: opened by a call, closed when nobody is in them, forgotten when their namespace is gone.
//!
//! ```text
//!              open                     nobody in it, no request for a while
//!   (unknown) ------> open ------------------------------------------------> dormant ---- open ----> open
//!                       ^                                                       |
//!                       |   while it is open the host keeps the namespace       | the kernel forgot its mark: the namespace is gone
//!                       +-- alive: others may have gone                         v
//!                                                                           forgotten, with networks, reservations, journal
//! ```
//! What was in a namespace that is gone the kernel has taken down; what is left to do is to forget it, and to tell the drivers.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use jackfield_kernel::{Namespace, NamespaceId, journal::Note};
use jackfield_model::{Error, ErrorCode, Result};

use super::{
    Inner,
    open::{Dormant, Remains},
    place::Place,
};
use crate::{
    letter::{Call, Letter},
    request::{Done, RealmRef},
    state::EndpointRecord,
    store::{Change, RealmKey, notes},
};

impl Inner {
    /// From now on the kernel says when that realm is gone. Where it cannot, the realm is forgotten with the next boot.
    pub(super) fn mark_realm(&self, dormant: &mut Dormant, namespace: &Namespace) -> Result<()> {
        match self.kernel.mark(namespace) {
            Ok(mark) if dormant.set_marked(namespace.id(), mark) => {
                self.append_notes(vec![notes::realm(namespace.id(), mark)])
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(realm = %namespace.id(), %error, "it will not be known when a realm is gone");
                Ok(())
            }
        }
    }

    pub(super) fn close_realm(&self, realm: RealmRef) -> Result<Done<()>> {
        let id = match realm {
            RealmRef::Own => return Err(Error::invalid("the host's own realm cannot be closed: stop the host")),
            RealmRef::Caller(id) => id,
        };
        match self.take_idle(id, Duration::ZERO)? {
            None => Ok(Done::AlreadySo(())),
            Some(place) => {
                self.let_realm_go(place);
                Ok(Done::Done(()))
            }
        }
    }

    pub(super) fn close_idle_realms(&self, rest: Duration) -> usize {
        let idle = |place: &Arc<Place>| match place.key {
            RealmKey::Caller(id) if place.is_idle(rest) => Some(id),
            _ => None,
        };
        let ids: Vec<NamespaceId> = self.places().iter().filter_map(idle).collect();
        let close = |id: &NamespaceId| match self.take_idle(*id, rest) {
            Ok(place) => place.map(|place| self.let_realm_go(place)).is_some(),
            Err(error) => {
                tracing::debug!(realm = %id, %error, "a realm is not idle after all");
                false
            }
        };
        ids.iter().filter(|id| close(id)).count()
    }

    /// Takes a realm off the list when nobody is in it and nobody holds it. None: it is not open.
    fn take_idle(&self, id: NamespaceId, rest: Duration) -> Result<Option<Arc<Place>>> {
        let in_use = || Error::new(ErrorCode::InUse, format!("realm {id} is in use: try again later")).retryable();
        let found = self.places().into_iter().find(|place| place.id() == id);
        let Some(realm) = found.map(|place| place.realm.clone()) else {
            return Ok(None);
        };
        // What its reaper has left is done before, since the next to open it would have to wait for that.
        if !realm.quiesce() {
            return Err(in_use());
        }
        drop(realm);
        let mut dormant = self.dormant.lock().unwrap_or_else(PoisonError::into_inner);
        let mut realms = self.realms.write().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = realms.get(&id) else { return Ok(None) };
        // Whoever has a request under way has it by this list, which is locked.
        if Arc::strong_count(place) > 1 || !place.is_idle(rest) {
            return Err(in_use());
        }
        dormant.put_back(place.key, self.durable.load()?);
        self.journal.bequeath(id);
        Ok(realms.remove(&id))
    }

    /// An open socket would keep the namespace alive.
    fn let_realm_go(&self, place: Arc<Place>) {
        let namespace = place.realm.namespace().clone();
        drop(place);
        self.kernel.forget(&namespace);
    }

    pub(super) fn forget_dead_realms(&self) -> Result<usize> {
        let marked = self.dormant.lock().unwrap_or_else(PoisonError::into_inner).marked();
        let mut forgotten = 0;
        for (id, mark) in marked {
            // The host itself keeps an open one alive.
            let open = self.places().iter().any(|place| place.id() == id);
            if !open && !self.kernel.lives(mark)? {
                self.forget_realm(id)?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    fn forget_realm(&self, id: NamespaceId) -> Result<()> {
        let mut dormant = self.dormant.lock().unwrap_or_else(PoisonError::into_inner);
        self.journal.abandon(id)?;
        let remains = dormant.forget(id);
        drop(dormant);
        for network in &remains.networks {
            self.durable.commit(&Change {
                network: Some((RealmKey::Caller(id), &network.spec.id, None)),
                keys: None,
            })?;
        }
        for leased in &remains.leased {
            self.durable
                .keep_lease(RealmKey::Caller(id), leased.plan.subnet, None)?;
        }
        let letters = self.farewells(&remains);
        let mut all = forgotten(id, &remains);
        all.extend(letters.iter().map(notes::letter));
        all.extend(self.readdress(id));
        self.append_notes(all)?;
        self.post(letters);
        let files = remains.sandboxes.iter().filter(|sandbox| sandbox.files.is_some());
        for (names, sandbox) in self.names.iter().zip(files) {
            names.remove_files(&sandbox.id);
        }
        tracing::info!(realm = %id, networks = remains.networks.len(), "a caller's namespace is gone and forgotten");
        Ok(())
    }

    /// What the drivers have to be told.
    fn farewells(&self, remains: &Remains) -> Vec<Letter> {
        let own = self.own.id();
        let of_endpoint = |record: &EndpointRecord| {
            let driver = record.driver.as_ref().map(|driver| driver.name.clone());
            let calls = [record.stay.as_ref().map(|_| Call::Leave), Some(Call::DeleteEndpoint)];
            let calls: Vec<Call> = calls.into_iter().flatten().filter(|_| driver.is_some()).collect();
            let (network, endpoint) = (record.spec.network.clone(), record.spec.id.clone());
            calls.into_iter().map(move |call| {
                Letter::new(
                    own,
                    driver.as_deref().unwrap_or_default(),
                    call,
                    &network,
                    Some(&endpoint),
                )
            })
        };
        let endpoints = remains.endpoints.iter().flat_map(of_endpoint);
        let networks = remains.networks.iter();
        let deleted = networks.map(|n| Letter::new(own, &n.driver, Call::DeleteNetwork, &n.spec.id, None));
        endpoints.chain(deleted).collect()
    }
}

fn forgotten(id: NamespaceId, remains: &Remains) -> Vec<Note> {
    let endpoints = remains.endpoints.iter().map(|e| notes::no_endpoint(id, &e.spec.id));
    let sandboxes = remains.sandboxes.iter().map(|s| notes::no_sandbox(id, &s.id));
    let services = remains.services.iter().map(|s| notes::no_service(id, s));
    let leases = remains.leases.iter().map(|address| notes::lease(id, *address, false));
    endpoints
        .chain(sandboxes)
        .chain(services)
        .chain(leases)
        .chain([notes::no_realm(id)])
        .collect()
}

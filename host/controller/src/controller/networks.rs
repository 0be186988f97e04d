//! Networks: making, deleting, and applying again those whose parent has come.

use std::sync::Arc;

use jackfield_driver::{LoadedDriver, Outcome, Phase};
use jackfield_model::{Error, ErrorCode, NetworkId, OperationId, Options, Result, SandboxId};

use super::{
    Inner, RERUNS,
    drive::{About, guarded},
    now,
    place::Place,
    reached::reached,
};
use crate::{
    builtin,
    ipam::Manager,
    letter::{Call, Letter},
    request::{CreateNetwork, Done, NetworkInfo},
    state::{Asked, Begin, Network, NetworkPhase, NetworkRecord, Standing},
    store::{Change, Layer, RealmKey, Reservation},
};

/// Who manages the addresses of a network with that driver.
fn manager(request: &CreateNetwork, driver: &dyn LoadedDriver) -> Result<Manager> {
    const KNOWN: [&str; 3] = ["default", "null", "runtime"];
    match request.ipam.as_deref() {
        None if driver.features().ipam => Ok(Manager::Driver),
        None | Some("default") => Ok(Manager::BuiltIn),
        Some("null") => Ok(Manager::Null),
        Some("runtime") => Ok(Manager::Runtime),
        Some(other) => {
            let near = jackfield_model::nearest(other, &KNOWN).map(|n| format!(", did you mean \"{n}\"?"));
            Err(Error::not_found(format!(
                "nothing that manages addresses is called \"{}\"{}: expected default, null or runtime",
                other.escape_default(),
                near.unwrap_or_default()
            )))
        }
    }
}

impl Inner {
    /// Runs an attempt until its keys could be taken: the driver's calls come again when another operation changed what they saw.
    pub(super) fn reserving<T>(
        self: &Arc<Self>,
        driver: &str,
        layer: Layer,
        mut attempt: impl FnMut() -> Result<(T, Outcome)>,
    ) -> Result<(T, Outcome, Reservation)> {
        for _ in 0..RERUNS {
            let (value, mut outcome) = attempt()?;
            let writes = std::mem::take(&mut outcome.writes);
            match self.keys.reserve(driver, &outcome.reads, writes, layer) {
                Some(reservation) => return Ok((value, outcome, reservation)),
                None => self.keys.wait_for_others(driver),
            }
        }
        let message =
            format!("other operations of driver {driver} kept changing the state that this one saw: try again");
        Err(Error::new(ErrorCode::Unavailable, message).retryable())
    }

    pub(super) fn create_network(
        self: &Arc<Self>,
        place: &Place,
        request: &CreateNetwork,
    ) -> Result<Done<NetworkInfo>> {
        let driver = self.driver(request.driver.as_deref().unwrap_or(builtin::DEFAULT))?;
        let manager = manager(request, &*driver)?;
        let reached = reached(&self.kernel.dump(place.realm.namespace())?, &request.options);
        let name = driver.identity().name.as_str();
        let asked = Asked {
            request,
            driver: name,
            manager,
            only_one: builtin::only_one(name),
            reached: &reached,
            now: now(),
        };
        let id = match place.decide(|s| s.begin_network(&asked))? {
            Begin::AlreadySo(id) => return place.network_info(id.as_str()).map(Done::AlreadySo),
            Begin::Go(id) => id,
        };
        let unwind = place.unwind(|s| s.remove_network(&id));
        let standing = self
            .make_network(place, &*driver, &id)
            .map_err(|e| e.object(format!("network {}", request.name)))?;
        unwind.disarm();
        place.change(|s| {
            s.finish_network(&id, standing);
            self.say_network(s.networks.get(&id), "create");
        });
        self.settle_uplinks(place);
        self.events.flush();
        place.network_info(id.as_str()).map(Done::Done)
    }

    /// The driver's call, its plan and the commit.
    fn make_network(self: &Arc<Self>, place: &Place, driver: &dyn LoadedDriver, id: &NetworkId) -> Result<Standing> {
        let network = place.network(id)?;
        let identity = driver.identity();
        let attempt = || {
            let about = About {
                network: Some(network.record.spec.clone()),
                ..About::default()
            };
            let mut operation = self.operation(place, driver, Phase::CreateNetwork, about);
            let mut instance = driver.instance()?;
            guarded(identity, Phase::CreateNetwork, || {
                instance.create_network(&mut operation, &network.record.spec)
            })?;
            Ok(((), operation.finish()))
        };
        let ((), mut outcome, reservation) = self.reserving(&identity.name, Layer::Durable, attempt)?;
        let ports = std::mem::take(&mut outcome.ports);
        let standing = standing(outcome);
        let record = NetworkRecord {
            standing: Some(standing.clone()),
            boot: self.boot_of(place),
            ..network.record
        };
        if let Err(error) = self.commit_network(place, &record, reservation) {
            self.tell_or_post(
                place,
                vec![Letter::new(place.id(), &identity.name, Call::DeleteNetwork, id, None)],
            );
            return Err(error.driver(identity.to_string()));
        }
        place.hold_ports(&standing.operation, ports);
        Ok(standing)
    }

    /// Kernel, disk, journal, in this order. A crash in between is settled by recovery: what is not on disk is taken back, and what is on disk
    /// and does not stand is applied again.
    fn commit_network(&self, place: &Place, record: &NetworkRecord, reservation: Reservation) -> Result<()> {
        let Some(standing) = &record.standing else {
            return Err(Error::internal("a network without plan cannot be committed"));
        };
        let id = &record.spec.id;
        let applied = place.realm.apply(&standing.operation, &standing.plan, None)?;
        self.durable.commit(&Change {
            network: Some((place.key, id, Some(record))),
            keys: reservation.durable(),
        })?;
        if let Err(error) = applied.commit(reservation.notes()) {
            let before = reservation.before();
            let back = Change {
                network: Some((place.key, id, None)),
                keys: Some((reservation.driver(), &before)),
            };
            // Should this fail too, recovery applies the network's plan again: a network that nobody was promised, but whole.
            self.durable
                .commit(&back)
                .unwrap_or_else(|e| tracing::error!(network = %id, error = %e, "cannot take a network off the disk"));
            return Err(error.into());
        }
        reservation.publish();
        Ok(())
    }

    /// The boot that a caller's network belongs to.
    fn boot_of(&self, place: &Place) -> Option<String> {
        matches!(place.key, RealmKey::Caller(_)).then(|| self.boot.clone())
    }

    pub(super) fn delete_network(self: &Arc<Self>, place: &Place, reference: &str) -> Result<Done<()>> {
        let (id, was) = place.decide(|s| s.begin_delete_network(reference))?;
        let unwind = place.unwind(|s| s.set_network_phase(&id, was));
        let network = place.network(&id)?;
        let letter = Letter::new(place.id(), &network.record.driver, Call::DeleteNetwork, &id, None);
        let told = self.tell(place, vec![letter], Layer::Durable);
        self.durable.commit(&Change {
            network: Some((place.key, &id, None)),
            keys: told.durable(),
        })?;
        // It is off the disk: from here on it is gone, whatever else fails.
        unwind.disarm();
        let operation = network.record.standing.as_ref().map(|s| &s.operation);
        let released = self.release(place, operation, told.notes());
        released.unwrap_or_else(
            |e| tracing::error!(network = %id, error = %e, "a deleted network is taken back at the next start only"),
        );
        self.post(told.publish());
        place.change(|s| {
            self.say_network(s.networks.get(&id), "delete");
            s.remove_network(&id);
        });
        self.settle_uplinks(place);
        self.events.flush();
        Ok(Done::Done(()))
    }

    /// Takes back an operation, if there is one, and journals the notes.
    pub(super) fn release(
        &self,
        place: &Place,
        operation: Option<&OperationId>,
        notes: Vec<jackfield_kernel::journal::Note>,
    ) -> Result<()> {
        match operation {
            Some(operation) => {
                place.realm.release(operation, notes)?;
                place.free_ports(operation);
                Ok(())
            }
            None => self.append_notes(notes),
        }
    }

    /// The same for what reaches into a sandbox, which need not be opened for it where the host keeps it open.
    pub(super) fn release_inside(
        &self,
        place: &Place,
        operation: &OperationId,
        notes: Vec<jackfield_kernel::journal::Note>,
        sandbox: &SandboxId,
    ) -> Result<()> {
        let kept = place.kept(sandbox);
        place.realm.release_from(operation, notes, kept.as_ref())?;
        place.free_ports(operation);
        Ok(())
    }

    pub(super) fn prune_networks(self: &Arc<Self>, place: &Place) -> Result<Vec<String>> {
        let unused =
            |n: &Network| n.endpoints.is_empty() && matches!(n.phase, NetworkPhase::Ready | NetworkPhase::Waiting(_));
        let unused: Vec<NetworkId> = place.look(|s| {
            let nothing_kept = |id: &NetworkId| s.ipam.reservations(id).next().is_none();
            s.networks
                .iter()
                .filter(|(id, n)| unused(n) && nothing_kept(id))
                .map(|(id, _)| id.clone())
                .collect()
        });
        let mut pruned = Vec::new();
        for id in unused {
            let Ok(network) = place.network(&id) else { continue };
            match self.delete_network(place, id.as_str()) {
                Ok(_) => pruned.push(network.name()),
                // Somebody began to use it, or deleted it first.
                Err(e) if matches!(e.code, ErrorCode::InUse | ErrorCode::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(pruned)
    }

    pub(super) fn retry_waiting(self: &Arc<Self>) {
        for place in self.places() {
            let waiting = place.change(|s| s.begin_retry_waiting());
            waiting.iter().for_each(|id| self.reapply(&place, id));
            if !waiting.is_empty() {
                self.update_services(&place);
            }
            self.settle_uplinks(&place);
            self.retry_ports(&place);
        }
        self.events.flush();
    }

    /// Applies a network's stored plan again, and says where that leaves it. The network is `Applying`.
    pub(super) fn reapply(&self, place: &Place, id: &NetworkId) {
        let phase = match self.try_reapply(place, id) {
            Ok(()) => NetworkPhase::Ready,
            Err(why) => NetworkPhase::Waiting(why.to_string()),
        };
        place.change(|s| {
            let action = if phase == NetworkPhase::Ready {
                "recovered"
            } else {
                "waiting"
            };
            s.set_network_phase(id, phase);
            self.say_network(s.networks.get(id), action);
        });
    }

    fn try_reapply(&self, place: &Place, id: &NetworkId) -> Result<()> {
        let network = place.network(id)?;
        let Some(stored) = &network.record.standing else {
            return Err(Error::internal("its plan was never recorded: delete it"));
        };
        let (standing, indexes) = super::replan::renew(&place.realm, stored)?;
        let record = NetworkRecord {
            standing: Some(standing.clone()),
            ..network.record
        };
        let applied = place.realm.apply(&standing.operation, &standing.plan, None)?;
        self.durable.commit(&Change {
            network: Some((place.key, id, Some(&record))),
            keys: None,
        })?;
        applied.commit(Vec::new())?;
        self.follow_network(place, &record, &indexes)?;
        place.change(|s| s.finish_network(id, standing));
        Ok(())
    }

    pub(super) fn say_network(&self, network: Option<&Network>, action: &str) {
        let Some(network) = network else { return };
        let mut attributes = Options::from([("driver".to_owned(), network.record.driver.clone())]);
        if let NetworkPhase::Waiting(why) = &network.phase {
            attributes.insert("why".into(), why.clone());
        }
        self.events.say(
            "network",
            action,
            network.record.spec.id.as_str(),
            Some(&network.name()),
            attributes,
        );
    }
}

fn standing(outcome: Outcome) -> Standing {
    Standing {
        operation: OperationId::random(),
        plan: Arc::new(outcome.plan),
        links: outcome.links,
        parents: outcome.parents.into_iter().collect(),
        host_bindings: outcome.host_bindings,
    }
}

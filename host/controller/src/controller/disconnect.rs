//! Endpoints on their way out. Nothing here can be refused by a driver, and everything may be asked for again.

use std::sync::Arc;

use jackfield_model::Result;

use super::{Inner, place::Place};
use crate::{
    letter::{Call, Letter},
    request::Done,
    state::{Begin, EndpointRecord, Placement, Stay},
    store::{Layer, notes},
};

impl Inner {
    pub(super) fn leave(self: &Arc<Self>, place: &Place, endpoint: &str) -> Result<Done<()>> {
        let placement = match place.decide(|s| s.begin_leave(endpoint))? {
            Begin::AlreadySo(_) => return Ok(Done::AlreadySo(())),
            Begin::Go(placement) => placement,
        };
        self.depart(place, vec![placement], false)?;
        Ok(Done::Done(()))
    }

    pub(super) fn disconnect(self: &Arc<Self>, place: &Place, network: &str, sandbox: &str) -> Result<Done<()>> {
        let leaving = place.decide(|s| s.begin_disconnect(network, sandbox))?;
        if leaving.is_empty() {
            return Ok(Done::AlreadySo(()));
        }
        self.depart(place, leaving, true)?;
        Ok(Done::Done(()))
    }

    /// Takes endpoints that are `Leaving` out of their sandbox, and sees to the default routes of who stays.
    pub(super) fn depart(self: &Arc<Self>, place: &Place, leaving: Vec<Placement>, delete: bool) -> Result<()> {
        let mut first = Ok(());
        for placement in &leaving {
            let unwind = place.unwind(|s| s.abandon_leave(&placement.endpoint));
            match self.take_out(place, placement, delete) {
                Ok(()) => unwind.disarm(),
                Err(error) => first = first.and(Err(error)),
            }
        }
        for sandbox in leaving.iter().filter_map(|p| p.sandbox.as_ref()) {
            self.settle_default_routes(place, sandbox)?;
            self.settle_names(place, sandbox);
        }
        self.events.flush();
        first
    }

    /// Takes an endpoint out of its sandbox, if it is in one, and deletes it if that is wanted: driver, journal with kernel, state.
    pub(super) fn take_out(self: &Arc<Self>, place: &Place, placement: &Placement, delete: bool) -> Result<()> {
        let id = &placement.endpoint;
        let record = place.endpoint(id)?.record;
        self.unname_endpoint(id);
        // It cannot stay because of this: the next change of the service, or the next start, makes up for it.
        self.update_service_of(place, &placement.network, record.stay.as_ref())
            .unwrap_or_else(|error| tracing::error!(endpoint = %id, %error, "a service keeps an endpoint that left"));
        let told = self.tell(place, self.letters(place, &record, delete), Layer::BootLong);
        let mut all = told.notes();
        all.push(if delete {
            notes::no_endpoint(place.id(), id)
        } else {
            notes::endpoint(
                place.id(),
                &EndpointRecord {
                    stay: None,
                    ..record.clone()
                },
            )
        });
        match &record.stay {
            Some(stay) => {
                for (_, operation) in &stay.defaults {
                    self.release_inside(place, operation, Vec::new(), &stay.sandbox)?;
                }
                self.release_inside(place, &stay.operation, all, &stay.sandbox)?;
                // From here on no record has them: a host that is killed in between takes them back when it starts.
                self.release_ports(place, &stay.ports)?;
            }
            None => self.append_notes(all)?,
        }
        self.post(told.publish());
        place.change(|s| {
            if record.stay.is_some() {
                self.say_endpoint(s.endpoints.get(id), "leave");
            }
            if delete {
                self.say_endpoint(s.endpoints.get(id), "delete");
                s.remove_endpoint(id);
            } else {
                s.finish_leave(id);
            }
        });
        Ok(())
    }

    fn letters(&self, place: &Place, record: &EndpointRecord, delete: bool) -> Vec<Letter> {
        // The network's record names the driver; an endpoint without one belongs to nobody who could be told.
        let Ok(network) = place.network(&record.spec.network) else {
            return Vec::new();
        };
        let left = record.stay.is_some().then_some(Call::Leave);
        let programmed = |stay: &Stay| stay.ports.iter().any(|p| p.by_driver);
        let revoked = record.stay.as_ref().is_some_and(programmed).then_some(Call::Revoke);
        let deleted = delete.then_some(Call::DeleteEndpoint);
        let calls = revoked.into_iter().chain(left).chain(deleted);
        let letter = |call| {
            Letter::new(
                place.id(),
                &network.record.driver,
                call,
                &record.spec.network,
                Some(&record.spec.id),
            )
        };
        calls.map(letter).collect()
    }
}

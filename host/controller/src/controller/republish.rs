//! Published ports that change while their endpoint stays where it is.
//!
//! ```text
//!   what stays is not touched; what is new is published beside what goes, then that goes
//!
//!   where the two want the same host port, and where the driver programs:
//!
//!     there --on record: they gave way--> taken back --> the new are published, and nothing gave way any more
//!                      |                      |               |
//!                   (killed: there as       (killed)       refused
//!                    they were)               |               |
//!                                             +-> published again, on the host ports that they had
//! ```

use std::sync::Arc;

use jackfield_kernel::{Rider, journal::Note};
use jackfield_model::{ErrorCode, Publish, Result};

use super::{
    Inner,
    outbox::Merged,
    place::Place,
    publish::{Prepared, Publisher, publications},
};
use crate::{
    letter::{Call, Letter},
    request::{Done, EndpointInfo},
    state::{Begin, EndpointRecord, Placement, PortChange, Publication},
    store::{Layer, notes},
};

/// Ports to be published.
struct Wanted {
    ask: Vec<Publish>,
    /// The words of each that are kept on record, where the host was asked in others.
    words: Vec<Vec<Publish>>,
}

impl Wanted {
    fn anew(asked: &[Publish]) -> Self {
        Self {
            ask: asked.to_vec(),
            words: Vec::new(),
        }
    }

    /// On the host ports that they had.
    fn again(publications: &[Publication]) -> Self {
        Self {
            ask: publications.iter().flat_map(Publication::as_it_was).collect(),
            words: publications.iter().map(|p| p.asked.clone()).collect(),
        }
    }
}

impl Inner {
    /// Gives an endpoint these published ports and no others: all of them, or it keeps those that it has.
    pub(super) fn set_ports(
        self: &Arc<Self>,
        place: &Place,
        endpoint: &str,
        asked: &[Publish],
    ) -> Result<Done<EndpointInfo>> {
        let placement = match place.decide(|s| s.begin_ports(endpoint, asked))? {
            Begin::AlreadySo(placement) => {
                return place.endpoint_info(placement.endpoint.as_str()).map(Done::AlreadySo);
            }
            Begin::Go(placement) => placement,
        };
        let id = &placement.endpoint;
        let over = place.unwind(|s| s.end_ports(id));
        self.change_ports(place, &placement, asked)
            .map_err(|e| e.object(format!("endpoint {}", id.short())))?;
        drop(over);
        place.look(|s| self.say_endpoint(s.endpoints.get(id), "publish"));
        self.events.flush();
        place.endpoint_info(id.as_str()).map(Done::Done)
    }

    fn change_ports(self: &Arc<Self>, place: &Place, placement: &Placement, asked: &[Publish]) -> Result<()> {
        let before = place.endpoint(&placement.endpoint)?.record;
        let there = before.stay.as_ref().map(|s| s.ports.as_slice()).unwrap_or_default();
        let PortChange { kept, out, new } = PortChange::between(there, asked);
        let after = with_ports(&before, kept.clone(), asked);
        if !out.iter().any(|p| p.by_driver) {
            match self.add_ports(place, after.clone(), Wanted::anew(&new)) {
                Err(e) if e.code == ErrorCode::AlreadyExists && !out.is_empty() => {}
                added => return added.and_then(|()| self.release_ports(place, &out)),
            }
        }
        let kept_asked: Vec<Publish> = kept.iter().flat_map(|p| p.asked.clone()).collect();
        let mut without = with_ports(&before, kept, &kept_asked);
        without.stay.iter_mut().for_each(|stay| stay.gave_way.clone_from(&out));
        self.remember_ports(place, without.clone(), Vec::new())?;
        if out.iter().any(|p| p.by_driver) {
            self.tell_revoked(place, &before);
        }
        self.release_ports(place, &out)?;
        let Err(refusal) = self.add_ports(place, after, Wanted::anew(&new)) else {
            return Ok(());
        };
        if let Err(error) = self.publish_again(place, without) {
            tracing::error!(endpoint = %placement.endpoint, %error, "the published ports from before a refused change are not back yet");
        }
        Err(refusal)
    }

    /// Publishes what gave way to ports that never came: their host was killed, or the ports were refused.
    pub(super) fn retry_ports(self: &Arc<Self>, place: &Place) {
        for id in place.look(|s| s.with_ports_cut_off()) {
            let Some(record) = place.change(|s| s.begin_ports_again(&id)) else {
                continue;
            };
            let over = place.unwind(|s| s.end_ports(&id));
            let again = self.publish_again(place, record);
            drop(over);
            match again {
                Ok(()) => place.look(|s| self.say_endpoint(s.endpoints.get(&id), "publish")),
                Err(error) => tracing::warn!(endpoint = %id, %error, "ports that gave way are not published again yet"),
            }
        }
    }

    /// On the same host ports where they can be had; else those that the host may choose are chosen anew.
    fn publish_again(self: &Arc<Self>, place: &Place, record: EndpointRecord) -> Result<()> {
        let gave_way = record.stay.iter().flat_map(|s| s.gave_way.clone()).collect::<Vec<_>>();
        let asked: Vec<Publish> = gave_way.iter().flat_map(|p| p.asked.clone()).collect();
        let as_before = [asked_of(&record), asked.clone()].concat();
        let kept = record.stay.iter().flat_map(|s| s.ports.clone()).collect();
        let record = with_ports(&record, kept, &as_before);
        match self.add_ports(place, record.clone(), Wanted::again(&gave_way)) {
            Err(e) if e.code == ErrorCode::AlreadyExists => self.add_ports(place, record, Wanted::anew(&asked)),
            published => published,
        }
    }

    /// Publishes these besides those of the record, which is kept with them.
    fn add_ports(self: &Arc<Self>, place: &Place, mut record: EndpointRecord, wanted: Wanted) -> Result<()> {
        let Wanted { ask, words } = wanted;
        if ask.is_empty() {
            return self.remember_ports(place, record, Vec::new());
        }
        let network = place.network(&record.spec.network)?;
        let driver = self.driver(&network.record.driver)?;
        let links = record.stay.as_ref().map(|s| s.links.clone()).unwrap_or_default();
        let attempt = || {
            let publisher = Publisher {
                inner: self,
                place,
                driver: &*driver,
                network: &network,
                record: &record,
                links: links.clone(),
                join: None,
            };
            let mut merged = Merged::default();
            let prepared = publisher.prepare(&ask, &mut *driver.instance()?, &mut merged)?;
            Ok((prepared, merged.into_outcome()))
        };
        let (mut prepared, _, keys) = self.reserving(&driver.identity().name, Layer::BootLong, attempt)?;
        put_in_words(&mut prepared, words);
        if let Some(stay) = &mut record.stay {
            stay.ports.extend(publications(&prepared));
        }
        let mut all = vec![notes::endpoint(place.id(), &record)];
        all.extend(keys.notes());
        if let Err(error) = self.apply_ports(place, &prepared, all) {
            drop(keys);
            if prepared.iter().any(|p| p.publication.by_driver) {
                self.tell_revoked(place, &record);
            }
            return Err(error);
        }
        keys.publish();
        self.hold_all(place, prepared);
        place.change(|s| s.record_ports(record));
        Ok(())
    }

    fn remember_ports(&self, place: &Place, record: EndpointRecord, mut more: Vec<Note>) -> Result<()> {
        more.push(notes::endpoint(place.id(), &record));
        self.append_notes(more)?;
        place.change(|s| s.record_ports(record));
        Ok(())
    }

    fn apply_ports(&self, place: &Place, prepared: &[Prepared], notes: Vec<Note>) -> Result<()> {
        let Some((first, rest)) = prepared.split_first() else {
            return self.append_notes(notes);
        };
        let riders: Vec<Rider> = rest.iter().map(Prepared::rider).collect();
        let applied = place
            .realm
            .apply_with(&first.publication.operation, &first.plan, &riders, None)?;
        Ok(applied.commit(notes)?)
    }

    /// Takes these back. No record has them any more, so that a host which is killed in between does the same when it starts.
    pub(super) fn release_ports(&self, place: &Place, out: &[Publication]) -> Result<()> {
        out.iter().try_for_each(|publication| {
            self.close_localnet(place, publication);
            self.release(place, Some(&publication.operation), Vec::new())
        })
    }

    fn tell_revoked(self: &Arc<Self>, place: &Place, record: &EndpointRecord) {
        let Ok(network) = place.network(&record.spec.network) else {
            return;
        };
        let (network, driver) = (&record.spec.network, &network.record.driver);
        let letter = Letter::new(place.id(), driver, Call::Revoke, network, Some(&record.spec.id));
        self.tell_or_post(place, vec![letter]);
    }
}

/// What the host publishes by itself is one publication for each request. The driver was asked in the words that are kept.
fn put_in_words(prepared: &mut [Prepared], words: Vec<Vec<Publish>>) {
    let of_host = prepared.iter_mut().filter(|p| !p.publication.by_driver);
    of_host
        .zip(words)
        .for_each(|(one, words)| one.publication.asked = words);
}

/// The record of an endpoint with these ports, none of which is missing.
fn with_ports(record: &EndpointRecord, ports: Vec<Publication>, asked: &[Publish]) -> EndpointRecord {
    let mut record = record.clone();
    if let Some(stay) = &mut record.stay {
        stay.ports = ports;
        stay.gave_way.clear();
        stay.asked.publish = asked.to_vec();
    }
    record
}

fn asked_of(record: &EndpointRecord) -> Vec<Publish> {
    let stay = record.stay.iter();
    stay.flat_map(|stay| stay.asked.publish.clone()).collect()
}

//! Published ports of endpoints: operations of their own, so that they can change while the endpoint stays where it is. With a join they
//! ride along: applied, journalled and committed with it.
//!
//! ```text
//!   asked --> reserved in the realm's book --> the host's steps, an operation for each port or range asked for
//!                                         \--> or the driver's program, one operation for all of them
//!
//!   change:   what stays is not touched; what is new is published beside what goes, then that goes. Where the two want
//!             the same host port, and where the driver programs, what goes goes first, and is published again if the
//!             new is refused; killed in between, the endpoint has neither.
//! ```

use std::sync::Arc;

use jackfield_driver::{Driver, LoadedDriver, OwnLink, Phase, PortOwner, PortReservation};
use jackfield_kernel::{Make, Plan, Rider, journal::Note, plan::FirewallRule};
use jackfield_model::{Error, ErrorCode, Family, IpNetwork, OperationId, PortMapping, Publish, Result};

use super::{
    Inner,
    drive::{About, guarded},
    outbox::{Call, Letter, Merged},
    place::Place,
};
use crate::{
    request::{Done, EndpointInfo},
    state::{Begin, EndpointRecord, Network, Placement, PortChange, Publication},
    store::{Layer, notes},
};

/// Ports that are ready to be published.
#[derive(Debug)]
pub(super) struct Prepared {
    pub publication: Publication,
    plan: Plan,
    held: Vec<PortReservation>,
}

/// Whose ports are published, and in which realm.
pub(super) struct Publisher<'a> {
    pub inner: &'a Inner,
    pub place: &'a Place,
    pub driver: &'a dyn LoadedDriver,
    pub network: &'a Network,
    pub record: &'a EndpointRecord,
}

impl Prepared {
    /// To be applied with something else.
    pub fn rider(&self) -> Rider {
        Rider {
            operation: self.publication.operation.clone(),
            plan: self.plan.clone(),
        }
    }
}

/// All publications of these.
pub(super) fn publications(prepared: &[Prepared]) -> Vec<Publication> {
    prepared.iter().map(|p| p.publication.clone()).collect()
}

impl Publisher<'_> {
    /// Gets these ports ready: reserved, and with the steps that publish them. `links` are those of the endpoint's join.
    pub fn prepare(
        &self,
        asked: &[Publish],
        instance: &mut dyn Driver,
        links: &[OwnLink],
        merged: &mut Merged,
    ) -> Result<Vec<Prepared>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.refuse_internal()?;
        if self.driver.features().external_connectivity {
            return Ok(vec![self.by_driver(asked, instance, links, merged)?]);
        }
        asked.iter().map(|one| self.by_host(one)).collect()
    }

    fn refuse_internal(&self) -> Result<()> {
        if self.network.record.spec.internal {
            return Err(Error::invalid(format!(
                "network {} is internal: nobody outside can reach its ports, publish on a network that is not",
                self.network.name()
            )));
        }
        Ok(())
    }

    fn by_host(&self, asked: &Publish) -> Result<Prepared> {
        let held = self.reserve(asked)?;
        let step = |held: &PortReservation| {
            let mapping = held.mapping.clone();
            let target = self.address(Family::of(mapping.host_address))?;
            Some(Make::Firewall(FirewallRule::Publish {
                mapping,
                target: target.ip(),
            }))
        };
        let plan = Plan {
            makes: held.iter().filter_map(step).collect(),
            removals: Vec::new(),
        };
        Ok(prepared(vec![asked.clone()], false, plan, held))
    }

    fn by_driver(
        &self,
        asked: &[Publish],
        instance: &mut dyn Driver,
        links: &[OwnLink],
        merged: &mut Merged,
    ) -> Result<Prepared> {
        let reserved: Vec<Vec<PortReservation>> = asked.iter().map(|one| self.reserve(one)).collect::<Result<_>>()?;
        let mut held: Vec<PortReservation> = reserved.into_iter().flatten().collect();
        let mappings: Vec<PortMapping> = held.iter().map(|h| h.mapping.clone()).collect();
        let spec = &self.record.spec;
        let own = self.network.record.standing.iter().flat_map(|s| &s.links).chain(links);
        let about = About {
            network: Some(self.network.record.spec.clone()),
            endpoint: Some(spec.clone()),
            links: own.cloned().collect(),
            state: Some(merged.overlay(&self.inner.keys)),
            ..About::default()
        };
        let mut operation = self.inner.operation(self.place, self.driver, Phase::Program, about);
        guarded(self.driver.identity(), Phase::Program, || {
            instance.program(&mut operation, &spec.network, &spec.id, &mappings)
        })?;
        let mut outcome = operation.finish();
        merged.add(&mut outcome);
        held.append(&mut outcome.ports);
        let mut prepared = prepared(asked.to_vec(), true, outcome.plan, held);
        prepared.publication.mappings = mappings;
        Ok(prepared)
    }

    /// The host's ports for one request: on the address asked for, or on all of them in each family that the endpoint has, by one number.
    fn reserve(&self, asked: &Publish) -> Result<Vec<PortReservation>> {
        let mappings = self.mappings(asked)?;
        let reserved = self
            .place
            .ports
            .reserve_same(&self.owner(), &mappings, asked.host_port());
        reserved.map_err(|e| e.step("publish"))
    }

    fn mappings(&self, asked: &Publish) -> Result<Vec<PortMapping>> {
        let any = [std::net::IpAddr::from([0; 4]), std::net::IpAddr::from([0; 16])];
        let on = match asked.host_address() {
            Some(address) => vec![address],
            None => any
                .into_iter()
                .filter(|a| self.address(Family::of(*a)).is_some())
                .collect(),
        };
        let missing = |what: &str| {
            Error::invalid(format!(
                "{} port {} cannot be published: the endpoint has no {what}",
                asked.transport(),
                asked.container_port()
            ))
        };
        match asked.host_address() {
            Some(std::net::IpAddr::V6(address)) if address.is_loopback() => Err(Error::invalid(
                "a port cannot be published on ::1: the kernel lets nothing leave it, publish on 127.0.0.1 or another address",
            )),
            Some(address) if self.address(Family::of(address)).is_none() => Err(missing(&format!(
                "{} address to lead {address} to",
                family_name(Family::of(address))
            ))),
            None if on.is_empty() => Err(missing("address of its own")),
            _ => Ok(on.into_iter().map(|address| asked.on(address)).collect()),
        }
    }

    fn address(&self, family: Family) -> Option<&IpNetwork> {
        self.record.spec.addresses.iter().find(|a| Family::of(a.ip()) == family)
    }

    fn owner(&self) -> PortOwner {
        self.place.look(|s| s.port_owner(self.record))
    }
}

fn prepared(asked: Vec<Publish>, by_driver: bool, plan: Plan, held: Vec<PortReservation>) -> Prepared {
    Prepared {
        publication: Publication {
            operation: OperationId::random(),
            asked,
            mappings: held.iter().map(|h| h.mapping.clone()).collect(),
            by_driver,
        },
        plan,
        held,
    }
}

impl Place {
    /// The ports stand: their reservations last as long as they do.
    pub(super) fn hold_all(&self, prepared: Vec<Prepared>) {
        for one in prepared {
            self.hold_ports(&one.publication.operation, one.held);
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
            match self.add_ports(place, after.clone(), &new) {
                Err(e) if e.code == ErrorCode::AlreadyExists && !out.is_empty() => {}
                added => return added.and_then(|()| self.release_ports(place, &out)),
            }
        }
        let kept_asked: Vec<Publish> = kept.iter().flat_map(|p| p.asked.clone()).collect();
        self.remember_ports(place, with_ports(&before, kept.clone(), &kept_asked), Vec::new())?;
        if out.iter().any(|p| p.by_driver) {
            self.tell_revoked(place, &before);
        }
        self.release_ports(place, &out)?;
        let Err(refusal) = self.add_ports(place, after, &new) else {
            return Ok(());
        };
        let (as_before, all): (_, Vec<Publish>) = (asked_of(&before), out.into_iter().flat_map(|p| p.asked).collect());
        if let Err(error) = self.add_ports(place, with_ports(&before, kept, &as_before), &all) {
            tracing::error!(endpoint = %placement.endpoint, %error, "the published ports from before a refused change are lost");
        }
        Err(refusal)
    }

    /// Publishes these besides those of the record, which is kept with them.
    fn add_ports(self: &Arc<Self>, place: &Place, mut record: EndpointRecord, asked: &[Publish]) -> Result<()> {
        if asked.is_empty() {
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
            };
            let mut merged = Merged::default();
            let prepared = publisher.prepare(asked, &mut *driver.instance()?, &links, &mut merged)?;
            Ok((prepared, merged.into_outcome()))
        };
        let (prepared, _, keys) = self.reserving(&driver.identity().name, Layer::BootLong, attempt)?;
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
        place.hold_all(prepared);
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
        out.iter()
            .try_for_each(|publication| self.release(place, Some(&publication.operation), Vec::new()))
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

/// The record of an endpoint with these ports.
fn with_ports(record: &EndpointRecord, ports: Vec<Publication>, asked: &[Publish]) -> EndpointRecord {
    let mut record = record.clone();
    if let Some(stay) = &mut record.stay {
        stay.ports = ports;
        stay.asked.publish = asked.to_vec();
    }
    record
}

fn asked_of(record: &EndpointRecord) -> Vec<Publish> {
    let stay = record.stay.iter();
    stay.flat_map(|stay| stay.asked.publish.clone()).collect()
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

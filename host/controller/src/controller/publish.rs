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

use std::{net::IpAddr, sync::Arc};

use jackfield_driver::{Driver, LoadedDriver, OwnLink, Phase, PortOwner, PortReservation};
use jackfield_kernel::{Make, Plan, PortUse, Rider, journal::Note, plan::FirewallRule};
use jackfield_model::{Error, ErrorCode, Family, IpNetwork, OperationId, PortMapping, Publish, Result};

use super::{
    Inner,
    drive::{About, guarded},
    outbox::Merged,
    place::Place,
    way::Way,
};
use crate::{
    letter::{Call, Letter},
    request::{Done, EndpointInfo},
    state::{Begin, EndpointRecord, Network, Placement, PortChange, Publication},
    store::{Layer, notes},
};

/// Host ports that are tried when any will do and programs have them open.
const MOST_PASSED_OVER: usize = 64;

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
    /// Links of the endpoint's join.
    pub links: Vec<OwnLink>,
    /// That join, where it is under way.
    pub join: Option<&'a Plan>,
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
    /// Gets these ports ready: reserved, and with the steps that publish them.
    pub fn prepare(&self, asked: &[Publish], instance: &mut dyn Driver, merged: &mut Merged) -> Result<Vec<Prepared>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.refuse_internal()?;
        if self.driver.features().external_connectivity {
            return Ok(vec![self.by_driver(asked, instance, merged)?]);
        }
        let mut prepared: Vec<Prepared> = asked.iter().map(|one| self.by_host(one)).collect::<Result<_>>()?;
        let way = self.way().open()?;
        if let Some(first) = prepared.first_mut() {
            first.plan.makes.splice(0..0, way);
        }
        Ok(prepared)
    }

    fn way(&self) -> Way<'_> {
        Way {
            realm: &self.place.realm,
            network: self.network,
            links: &self.links,
            join: self.join,
            address: self.address(Family::Ipv4).map(|address| address.ip()),
        }
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
        let is_routed = |mapping: &PortMapping| self.is_routed(Family::of(mapping.host_address));
        let (routed, translated): (Vec<_>, Vec<_>) = self.mappings(asked)?.into_iter().partition(is_routed);
        let held = self.reserve(asked, &translated)?;
        let opened: Vec<PortMapping> = routed.iter().filter_map(|m| self.at_the_endpoint(m)).collect();
        let step = |held: &PortReservation| {
            let mapping = held.mapping.clone();
            let target = self.address(Family::of(mapping.host_address))?;
            Some(Make::Firewall(FirewallRule::Publish {
                mapping,
                target: target.ip(),
            }))
        };
        let plan = Plan {
            makes: held.iter().filter_map(step).chain(opened.iter().map(open)).collect(),
            removals: Vec::new(),
        };
        let mut prepared = prepared(vec![asked.clone()], false, plan, held);
        prepared.publication.mappings.extend(opened);
        if prepared.publication.mappings.iter().any(serves_localhost) {
            prepared.publication.localnet = self.way().link_to_localhost()?;
        }
        Ok(prepared)
    }

    fn by_driver(&self, asked: &[Publish], instance: &mut dyn Driver, merged: &mut Merged) -> Result<Prepared> {
        let reserve = |one: &Publish| self.reserve(one, &self.mappings(one)?);
        let reserved: Vec<Vec<PortReservation>> = asked.iter().map(reserve).collect::<Result<_>>()?;
        let mut held: Vec<PortReservation> = reserved.into_iter().flatten().collect();
        let mappings: Vec<PortMapping> = held.iter().map(|h| h.mapping.clone()).collect();
        let spec = &self.record.spec;
        let about = About {
            network: Some(self.network.record.spec.clone()),
            endpoint: Some(spec.clone()),
            links: self.own_links().cloned().collect(),
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

    /// Links of the network and of the endpoint.
    fn own_links(&self) -> impl Iterator<Item = &OwnLink> {
        let of_network = self.network.record.standing.iter().flat_map(|s| &s.links);
        of_network.chain(&self.links)
    }

    /// Whether the endpoint is reached at its own address in that family: then the host's ports are not used.
    fn is_routed(&self, family: Family) -> bool {
        self.own_links().any(|link| link.routed.contains(&family))
    }

    /// The same ports at the endpoint's own address.
    fn at_the_endpoint(&self, mapping: &PortMapping) -> Option<PortMapping> {
        let target = self.address(Family::of(mapping.host_address))?;
        Some(PortMapping {
            host_address: target.ip(),
            host_port: mapping.container_port,
            ..mapping.clone()
        })
    }

    /// The host's ports for one request: on the address asked for, or on all of them in each family that the endpoint has, by one number.
    fn reserve(&self, asked: &Publish, mappings: &[PortMapping]) -> Result<Vec<PortReservation>> {
        if mappings.is_empty() {
            return Ok(Vec::new());
        }
        let owner = self.owner();
        let mut passed_over = Vec::new();
        for _ in 0..MOST_PASSED_OVER {
            let reserved = self.place.ports.reserve_same(&owner, mappings, asked.host_port());
            let reserved = reserved.map_err(|e| e.step("publish"))?;
            match self.refusal_by_kernel(&reserved)? {
                None => return Ok(reserved),
                Some(error) if error.code == ErrorCode::AlreadyExists && asked.is_any() => passed_over.push(reserved),
                Some(refusal) => return Err(refusal.step("publish")),
            }
        }
        let message =
            format!("each of {MOST_PASSED_OVER} host ports that were tried is open in some program: name one");
        Err(Error::new(ErrorCode::Exhausted, message).step("publish"))
    }

    /// Why these ports cannot be published although no endpoint has them.
    fn refusal_by_kernel(&self, reserved: &[PortReservation]) -> Result<Option<Error>> {
        for PortReservation { mapping, .. } in reserved {
            let found = self.inner.kernel.port_use(self.place.realm.namespace(), mapping)?;
            match found {
                PortUse::Free => {}
                PortUse::Open { port, process } => return Ok(Some(is_open(port, process, mapping))),
                PortUse::NotHere => return Ok(Some(not_an_address(mapping))),
            }
        }
        Ok(None)
    }

    fn mappings(&self, asked: &Publish) -> Result<Vec<PortMapping>> {
        let on = match asked.host_address() {
            Some(address) => vec![address],
            None => self.unasked(),
        };
        let missing = |what: &str| {
            Error::invalid(format!(
                "{} port {} cannot be published: the endpoint has no {what}",
                asked.transport(),
                asked.container_port()
            ))
        };
        match asked.host_address() {
            Some(IpAddr::V6(address)) if address.is_loopback() => Err(Error::invalid(
                "a port cannot be published on ::1: the kernel lets nothing leave it, publish on 127.0.0.1 or another address",
            )),
            Some(address) if self.address(Family::of(address)).is_none() => Err(missing(&format!(
                "{} address to lead {address} to",
                family_name(Family::of(address))
            ))),
            None if on.is_empty() => Err(missing(match self.bindings() {
                [] => "address of its own",
                _ => "address in a family that its network publishes in",
            })),
            _ => Ok(on.into_iter().map(|address| asked.on(address)).collect()),
        }
    }

    /// The host's addresses where none is asked for: those that the network is bound to, and no other family; else all of them in each
    /// family that the endpoint has. In a family in which it is routed nothing is bound on the host.
    fn unasked(&self) -> Vec<IpAddr> {
        let bindings = self.bindings();
        let on = |(family, all): (Family, IpAddr)| {
            let bound = bindings.iter().copied().find(|a| Family::of(*a) == family);
            let any = bindings.is_empty() || self.is_routed(family);
            bound.or(any.then_some(all)).filter(|_| self.address(family).is_some())
        };
        [
            (Family::Ipv4, IpAddr::from([0; 4])),
            (Family::Ipv6, IpAddr::from([0; 16])),
        ]
        .into_iter()
        .filter_map(on)
        .collect()
    }

    fn bindings(&self) -> &[IpAddr] {
        let standing = self.network.record.standing.as_ref();
        standing.map(|s| s.host_bindings.as_slice()).unwrap_or_default()
    }

    fn address(&self, family: Family) -> Option<&IpNetwork> {
        self.record.spec.addresses.iter().find(|a| Family::of(a.ip()) == family)
    }

    fn owner(&self) -> PortOwner {
        self.place.look(|s| s.port_owner(self.record))
    }
}

/// Opens ports of a routed endpoint.
fn open(at: &PortMapping) -> Make {
    Make::Firewall(FirewallRule::Open {
        transport: at.transport,
        target: at.host_address,
        port: at.host_port,
        count: at.count,
    })
}

fn prepared(asked: Vec<Publish>, by_driver: bool, plan: Plan, held: Vec<PortReservation>) -> Prepared {
    Prepared {
        publication: Publication {
            operation: OperationId::random(),
            asked,
            mappings: held.iter().map(|h| h.mapping.clone()).collect(),
            by_driver,
            localnet: None,
        },
        plan,
        held,
    }
}

impl Inner {
    /// The ports stand: what was taken for them lasts as long as they do.
    pub(super) fn hold_all(&self, place: &Place, prepared: Vec<Prepared>) {
        for one in prepared {
            self.open_localnet(place, &one.publication);
            place.hold_ports(&one.publication.operation, one.held);
        }
    }

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
                links: links.clone(),
                join: None,
            };
            let mut merged = Merged::default();
            let prepared = publisher.prepare(asked, &mut *driver.instance()?, &mut merged)?;
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

fn is_open(port: u16, process: Option<(u32, String)>, mapping: &PortMapping) -> Error {
    let process = match process {
        Some((pid, name)) => format!("process {pid} ({})", name.escape_default()),
        None => "a process that cannot be seen from here".to_owned(),
    };
    let transport = mapping.transport;
    let message = format!(
        "host port {port}/{transport} is open in {process}: stop it, choose another port, or none to have one chosen"
    );
    Error::new(ErrorCode::AlreadyExists, message)
}

fn not_an_address(mapping: &PortMapping) -> Error {
    let address = mapping.host_address;
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    Error::invalid(format!(
        "{address} is no address of this host: publish on one that is, or on all of them by naming none (where one is to come later, \
         net.{family}.ip_nonlocal_bind=1 lets it be published now)"
    ))
}

/// Whether the host itself is to reach it by 127.0.0.1.
fn serves_localhost(mapping: &PortMapping) -> bool {
    let address = mapping.host_address;
    address.is_ipv4() && (address.is_unspecified() || address.is_loopback())
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

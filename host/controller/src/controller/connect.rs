//! Endpoints on their way in: join, and connect, which makes the endpoint too, on the same instance of the driver.

use std::{net::IpAddr, sync::Arc};

use jackfield_driver::{Driver, LinkId, LoadedDriver, Operation, Outcome, OwnLink, Phase, SandboxInterface};
use jackfield_kernel::{Ifindex, KernelError, LinkQuery, Place as Where, Rider};
use jackfield_model::{Error, ErrorCode, Family, JoinReply, JoinSpec, LinkName, OperationId, Result, SandboxId};

use super::{
    Inner,
    drive::{About, guarded},
    gateway::Defaults,
    outbox::Merged,
    place::Place,
    publish::{Prepared as Ports, Publisher, publications},
    sandboxes::Opened,
    unwind::Unwind,
    way::back_to_itself,
};
use crate::{
    letter::{Call, Letter},
    request::{CreateEndpoint, Done, EndpointInfo, Handover, Join},
    state::{Begin, Denied, EndpointPhase, EndpointRecord, Network, Placement, Stay, record::Interface},
    store::{Layer, notes},
};

/// Ports of a bridge (BR_MAX_PORTS of net/bridge/br_private.h: ten bits, of which zero is no port).
const MOST_PORTS: u32 = 1023;
/// Names of foreign links that are stepped over while an interface's name is looked for.
const STRANGERS: usize = 256;

/// One endpoint on its way into one sandbox.
struct Arrival<'a> {
    inner: &'a Arc<Inner>,
    place: &'a Place,
    driver: Arc<dyn LoadedDriver>,
    network: Network,
    /// As it was before.
    record: EndpointRecord,
    /// Its create-endpoint belongs to this operation.
    creating: bool,
    sandbox: SandboxId,
    opened: Opened<'a>,
    asked: &'a Join,
    default_route: bool,
}

/// How an interface gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// As if the host had made all links of the sandbox.
    Trusting,
    /// The kernel is asked for links of others.
    Asking,
}

/// What the driver's calls came to.
struct Prepared {
    record: EndpointRecord,
    interface: Option<Interface>,
    gateways: Vec<IpAddr>,
    handover: Option<Handover>,
    ports: Vec<Ports>,
    metric: Option<u32>,
}

impl Prepared {
    /// The interface that the host puts into the sandbox. Where the runtime moves it, the default route is the runtime's too.
    fn inside(&self) -> Option<Ifindex> {
        let inside = self.interface.as_ref().filter(|i| i.at.place == Where::Sandbox);
        inside.map(|i| i.at.index)
    }
}

impl Inner {
    pub(super) fn join(
        self: &Arc<Self>,
        place: &Place,
        endpoint: &str,
        sandbox: &str,
        request: &Join,
    ) -> Result<Done<EndpointInfo>> {
        match place.decide(|s| s.begin_join(endpoint, sandbox, request))? {
            Begin::AlreadySo(placement) => place.endpoint_info(placement.endpoint.as_str()).map(Done::AlreadySo),
            Begin::Go(placement) => self.arrive(place, &placement, request).map(Done::Done),
        }
    }

    pub(super) fn connect(
        self: &Arc<Self>,
        place: &Place,
        network: &str,
        sandbox: &str,
        request: &CreateEndpoint,
        join: &Join,
    ) -> Result<Done<EndpointInfo>> {
        request.check()?;
        match place.decide(|s| s.begin_connect(network, sandbox, request, join))? {
            Begin::AlreadySo(placement) => place.endpoint_info(placement.endpoint.as_str()).map(Done::AlreadySo),
            Begin::Go(placement) => self.arrive(place, &placement, join).map(Done::Done),
        }
    }

    fn arrive(self: &Arc<Self>, place: &Place, placement: &Placement, asked: &Join) -> Result<EndpointInfo> {
        let id = &placement.endpoint;
        let creating = place.endpoint(id).is_ok_and(|e| e.phase == EndpointPhase::Creating);
        let unwind = place.unwind(|s| {
            if creating {
                s.remove_endpoint(id)
            } else {
                s.finish_leave(id)
            }
        });
        let reserved = creating.then(|| self.reserve(place, id)).transpose()?;
        self.enter(place, placement, asked, creating)
            .map_err(|e| e.object(format!("endpoint {}", id.short())))?;
        if let Some(error) = self.settle_arrived(place, placement).err() {
            // It stands already: it leaves as everybody leaves, and takes its traces along.
            unwind.disarm();
            place.change(|s| s.turn_back(id));
            self.take_out(place, placement, creating)?;
            return Err(error.object(format!("endpoint {}", id.short())));
        }
        unwind.disarm();
        reserved.into_iter().for_each(Unwind::disarm);
        self.name_endpoint(place, id);
        if let Some(sandbox) = &placement.sandbox {
            self.settle_names(place, sandbox);
        }
        place.change(|s| {
            s.finish_join(id);
            if creating {
                self.say_endpoint(s.endpoints.get(id), "create");
            }
            self.say_endpoint(s.endpoints.get(id), "join");
        });
        self.events.flush();
        place.endpoint_info(id.as_str())
    }

    fn enter(self: &Arc<Self>, place: &Place, placement: &Placement, asked: &Join, creating: bool) -> Result<()> {
        let Some(sandbox) = &placement.sandbox else {
            return Err(Error::internal("an endpoint joins without a sandbox"));
        };
        let network = place.network(&placement.network)?;
        let arrival = Arrival {
            inner: self,
            place,
            driver: self.driver(&network.record.driver)?,
            network,
            record: place.endpoint(&placement.endpoint)?.record,
            creating,
            sandbox: sandbox.clone(),
            opened: self.open_sandbox(place, sandbox)?,
            asked,
            default_route: place.look(|s| s.would_be_default(sandbox, asked.priority)),
        };
        arrival.run()
    }

    /// Sees to the sandbox's default routes after an arrival, which fails when the arrived one's is refused.
    fn settle_arrived(self: &Arc<Self>, place: &Place, placement: &Placement) -> Result<()> {
        if let Some(sandbox) = &placement.sandbox {
            self.settle_default_routes(place, sandbox)?;
        }
        let endpoint = place.endpoint(&placement.endpoint)?;
        if let Some(why) = endpoint.refusal {
            return Err(Error::invalid(why).step("join"));
        }
        self.enter_service(place, &endpoint.record)
    }
}

impl Arrival<'_> {
    /// A sandbox's links are the host's as a rule, so that nobody is asked whether the interface's name is free: where it is not, the kernel
    /// refuses to make the link, and all is done again with a name that was asked for.
    fn run(&self) -> Result<()> {
        let made = match self.make(Naming::Trusting)? {
            Err(refusal) if refusal.code == ErrorCode::AlreadyExists => self.make(Naming::Asking)?,
            made => made,
        };
        made.map_err(|e| e.step("join").driver(self.driver.identity().to_string()))
    }

    /// The driver's calls, the plan and the commit. Inside is the kernel's or the journal's refusal, after which nothing is left.
    fn make(&self, naming: Naming) -> Result<Result<()>> {
        let name = &self.driver.identity().name;
        let (prepared, mut outcome, reservation) =
            self.inner.reserving(name, Layer::BootLong, || self.attempt(naming))?;
        let operation = OperationId::random();
        let (defaults, _turn) = self.defaults(&prepared)?;
        let record = EndpointRecord {
            driver: Some(self.driver.identity().clone()),
            stay: Some(Stay {
                sandbox: self.sandbox.clone(),
                asked: self.asked.clone(),
                operation: operation.clone(),
                links: std::mem::take(&mut outcome.links),
                interface: prepared.interface,
                gateways: prepared.gateways,
                handover: prepared.handover,
                metric: prepared.metric,
                defaults: defaults.recorded(),
                ports: publications(&prepared.ports),
                gave_way: Vec::new(),
                age: self.place.change(|s| s.next_age()),
            }),
            ..prepared.record
        };
        let mut all = vec![notes::endpoint(self.place.id(), &record)];
        all.extend(reservation.notes());
        let (realm, sandbox) = (&self.place.realm, self.opened.at.as_ref());
        let riders: Vec<Rider> = defaults
            .riders
            .into_iter()
            .chain(prepared.ports.iter().map(Ports::rider))
            .collect();
        let applied = realm.apply_with(&operation, &outcome.plan, &riders, sandbox);
        if let Err(error) = applied.and_then(|applied| applied.commit(all)) {
            drop(reservation);
            self.tell_opposite(&prepared.ports);
            return Ok(Err(self.in_words(error)));
        }
        reservation.publish();
        self.place.hold_ports(&operation, outcome.ports);
        self.inner.hold_all(self.place, prepared.ports);
        self.place.change(|s| s.record_stay(record));
        self.opened.arrived(self.place, &self.sandbox);
        Ok(Ok(()))
    }

    /// The kernel's refusal, for people.
    fn in_words(&self, error: KernelError) -> Error {
        if !error.is_full_bridge() {
            return error.into();
        }
        let message = format!(
            "network {} is full: its bridge has {MOST_PORTS} ports, the most that the kernel gives a bridge; disconnect an endpoint, or connect to another network",
            self.network.record.spec.name
        );
        Error::new(ErrorCode::Exhausted, message).caused_by(error)
    }

    /// The default routes that can go along with the join. The turn of seeing to the sandbox's lasts until the join is on record.
    fn defaults(&self, prepared: &Prepared) -> Result<(Defaults, Option<impl Drop + use<'_>>)> {
        let Some(index) = prepared.inside() else {
            return Ok((Defaults::default(), None));
        };
        let free = self
            .place
            .change(|s| s.begin_with_defaults(&self.sandbox, &prepared.gateways));
        let turn = (!free.is_empty()).then(|| self.place.unwind(|s| s.end_settling(&self.sandbox)));
        Ok((Defaults::by(&free, prepared.metric, index)?, turn))
    }

    /// One run of the driver's calls, on a fresh instance.
    fn attempt(&self, naming: Naming) -> Result<(Prepared, Outcome)> {
        let mut instance = self.driver.instance()?;
        let (mut merged, mut record) = (Merged::default(), self.record.clone());
        if self.creating {
            self.inner.call_create_endpoint(
                self.place,
                &*self.driver,
                &mut *instance,
                &self.network,
                &mut record,
                &mut merged,
            )?;
        }
        let joined = self.call_join(&mut *instance, record, &mut merged, naming);
        if joined.is_err() && self.creating {
            self.tell_opposite(&[]);
        }
        let (mut prepared, mut outcome) = joined?;
        merged.add(&mut outcome);
        if self.asked.behind.is_some() {
            outcome.plan.makes.extend(back_to_itself(&outcome.plan));
        }
        let ports = self.ports(&mut *instance, &prepared.record, &outcome, &mut merged);
        if ports.is_err() {
            self.tell_opposite(&[]);
        }
        prepared.ports = ports?;
        (outcome.reads, outcome.writes) = (merged.reads, merged.writes);
        Ok((prepared, outcome))
    }

    /// The endpoint's published ports, by the host's own steps or by the driver's.
    fn ports(
        &self,
        instance: &mut dyn Driver,
        record: &EndpointRecord,
        outcome: &Outcome,
        merged: &mut Merged,
    ) -> Result<Vec<Ports>> {
        // The join's own links are not in the kernel yet.
        let planned = |link: &OwnLink| OwnLink {
            planned: true,
            ..link.clone()
        };
        let publisher = Publisher {
            inner: self.inner,
            place: self.place,
            driver: &*self.driver,
            network: &self.network,
            record,
            links: outcome.links.iter().map(planned).collect(),
            join: Some(&outcome.plan),
        };
        publisher.prepare(&self.asked.publish, instance, merged)
    }

    fn call_join(
        &self,
        instance: &mut dyn Driver,
        record: EndpointRecord,
        merged: &mut Merged,
        naming: Naming,
    ) -> Result<(Prepared, Outcome)> {
        let network = &self.network.record;
        let own = network.standing.iter().flat_map(|s| &s.links).chain(&record.links);
        let about = About {
            network: Some(network.spec.clone()),
            endpoint: Some(record.spec.clone()),
            links: own.cloned().collect(),
            deferred: Some(record.deferred.clone()),
            foreign: self.opened.foreign,
            state: Some(merged.overlay(&self.inner.keys)),
        };
        let spec = JoinSpec {
            network: network.spec.as_ref().clone(),
            endpoint: record.spec.as_ref().clone(),
            sandbox: self.sandbox.clone(),
            default_route: self.default_route,
            options: self.asked.options.clone(),
        };
        let identity = self.driver.identity();
        let mut operation = self.inner.operation(self.place, &*self.driver, Phase::Join, about);
        let reply = guarded(identity, Phase::Join, || instance.join(&mut operation, &spec))?;
        let placed = self.place_interface(&mut operation, &record, &reply, naming);
        let (interface, gateways) = placed.map_err(|e| e.step(Phase::Join.to_string()).driver(identity.to_string()))?;
        let outcome = operation.finish();
        let (metric, handover) = (reply.metric, self.handover(reply));
        Ok((
            Prepared {
                record,
                interface,
                gateways,
                handover,
                ports: Vec::new(),
                metric,
            },
            outcome,
        ))
    }

    /// Gives the link that the driver named its place in the sandbox.
    fn place_interface(
        &self,
        operation: &mut Operation,
        record: &EndpointRecord,
        reply: &JoinReply<LinkId>,
        naming: Naming,
    ) -> Result<(Option<Interface>, Vec<IpAddr>)> {
        let gateways = gateways(reply)?;
        let Some((link, prefix)) = &reply.interface else {
            return Ok((None, gateways));
        };
        let name = self.name_interface(record, prefix, naming)?;
        let interface = SandboxInterface {
            name,
            mac: record
                .spec
                .mac
                .ok_or_else(|| Error::internal("an endpoint has no MAC address"))?,
            addresses: record.spec.addresses.clone(),
            routes: reply.routes.clone(),
            // They are operations of their own, so that they can go to another endpoint: see the `gateway` module.
            gateways: Vec::new(),
        };
        operation.finish_interface(*link, &interface)?;
        // In a foreign sandbox the interface keeps the name that it has in the realm, where the runtime looks for it.
        let (at, name) = operation
            .place_of(*link)
            .ok_or_else(|| Error::internal("the driver's interface has no index"))?;
        Ok((Some(Interface { name, at }), gateways))
    }

    /// The name asked for, or the prefix with the first number that neither an endpoint nor, as far as it is asked, another link of the
    /// sandbox has.
    fn name_interface(&self, record: &EndpointRecord, prefix: &str, naming: Naming) -> Result<LinkName> {
        let (asked, mut strangers) = (self.asked.interface.as_ref(), Vec::new());
        let kernel = &self.inner.kernel;
        while strangers.len() < STRANGERS {
            let name = self
                .place
                .change(|s| s.reserve_interface(&self.sandbox, &record.spec.id, prefix, asked, &strangers))?;
            let Some(at) = self.opened.at.as_ref().filter(|_| naming == Naming::Asking) else {
                return Ok(name);
            };
            match kernel.link(&at.namespace, LinkQuery::Name(&name))? {
                None => return Ok(name),
                Some(_) => strangers.push(name),
            }
        }
        Err(Denied::BadPrefix {
            prefix: prefix.to_owned(),
        }
        .into())
    }

    /// What the runtime of a foreign sandbox has to do by itself.
    fn handover(&self, reply: JoinReply<LinkId>) -> Option<Handover> {
        let (_, prefix) = reply.interface.filter(|_| self.opened.foreign)?;
        Some(Handover {
            prefix,
            routes: reply.routes,
        })
    }

    /// The plan came to nothing: the driver is told the opposite of what it agreed to.
    fn tell_opposite(&self, ports: &[Ports]) {
        let (network, endpoint) = (&self.network.record.spec.id, Some(&self.record.spec.id));
        let letter = |call| Letter::new(self.place.id(), &self.driver.identity().name, call, network, endpoint);
        let programmed = ports.iter().any(|p| p.publication.by_driver);
        let mut letters: Vec<Letter> = programmed.then(|| letter(Call::Revoke)).into_iter().collect();
        letters.push(letter(Call::Leave));
        if self.creating {
            letters.push(letter(Call::DeleteEndpoint));
        }
        self.inner.tell_or_post(self.place, letters);
    }
}

fn gateways(reply: &JoinReply<LinkId>) -> Result<Vec<IpAddr>> {
    let named = [(reply.gateway_ipv4, Family::Ipv4), (reply.gateway_ipv6, Family::Ipv6)];
    let mut gateways = Vec::new();
    for (gateway, family) in named {
        match gateway {
            Some(gateway) if Family::of(gateway) != family => {
                return Err(Error::internal(format!(
                    "the driver named {gateway} as gateway of the other address family"
                )));
            }
            other => gateways.extend(other),
        }
    }
    Ok(gateways)
}

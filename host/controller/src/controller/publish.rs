//! Published ports of endpoints, got ready: reserved, and with the steps that publish them. With a join they ride along: applied, journalled
//! and committed with it; later they change by operations of their own, see `republish.rs`.
//!
//! ```text
//!   asked --> reserved in the realm's book --> the host's steps, an operation for each port or range asked for
//!                                         \--> or the driver's program, one operation for all of them
//! ```

use std::net::IpAddr;

use jackfield_driver::{Driver, FreePorts, LoadedDriver, OwnLink, Phase, PortOwner, PortReservation};
use jackfield_kernel::{Make, Plan, Rider, plan::FirewallRule};
use jackfield_model::{Error, Family, IpNetwork, OperationId, PortMapping, Publish, Result};

use super::{
    Inner,
    drive::{About, guarded},
    outbox::Merged,
    place::Place,
    way::Way,
};
use crate::state::{EndpointRecord, Network, Publication};

/// Ports that are ready to be published.
#[derive(Debug)]
pub(super) struct Prepared {
    pub publication: Publication,
    pub plan: Plan,
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
        let free = FreePorts {
            book: &self.place.ports,
            kernel: &*self.inner.kernel,
            namespace: self.place.realm.namespace(),
        };
        let reserved = free.reserve(&self.owner(), mappings, asked.host_port());
        reserved.map_err(|e| e.step("publish"))
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
}

/// Whether the host itself is to reach it by 127.0.0.1.
fn serves_localhost(mapping: &PortMapping) -> bool {
    let address = mapping.host_address;
    address.is_ipv4() && (address.is_unspecified() || address.is_loopback())
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

//! Services: a virtual address for endpoints that joined under one name, spread over by the host's nftables table.
//!
//! A service is two operations. The *anchor* has the virtual addresses on the link of the network's gateway, where the sandboxes look for them,
//! as long as there is the service. The *spread* says over which endpoints; whenever they change, it is changed in place, in one transaction.
//!
//! ```text
//!   (none) --first endpoint--> stands --an endpoint comes or goes--> stands --last endpoint--> (none)
//!     ^                          |                                     ^
//!     |                          +--a start finds its operations lost--> fallen, its addresses kept --+
//!     +---------------------------------------------------------- nobody is behind it any more -------+
//! ```
//!
//! An endpoint is in its service from when it stands until before it goes. The name service is told of each change while the turn lasts, so that
//! it hears of them in their order.

use std::net::IpAddr;

use jackfield_kernel::{Ifindex, LinkAt, Make, Place as Where, Plan, Rider, plan::FirewallRule};
use jackfield_model::{Error, ErrorCode, IpNetwork, NetworkId, OperationId, Options, Result};

use super::{Inner, place::Place};
use crate::{
    state::{EndpointRecord, Network, NetworkPhase, ServiceKey, ServiceRecord, Standing, Stay},
    store::notes,
};

/// Most endpoints that one has: an nftables map has that many elements for it.
const MOST: usize = 256;

impl Inner {
    /// Brings the service that a stay is for, if any, to what its endpoints are now.
    pub(super) fn update_service_of(&self, place: &Place, network: &NetworkId, stay: Option<&Stay>) -> Result<()> {
        match stay.and_then(|s| s.asked.behind.clone()) {
            Some(name) => self.update_service(place, &(network.clone(), name)),
            None => Ok(()),
        }
    }

    /// Counts an endpoint that has arrived among those of the service that it joined for, if any.
    pub(super) fn enter_service(&self, place: &Place, record: &EndpointRecord) -> Result<()> {
        let stay = record.stay.as_ref();
        if stay.is_some_and(|s| s.asked.behind.is_some()) && record.spec.addresses.is_empty() {
            let message = "the endpoint has no address, to which nobody could be sent: leave out the service";
            return Err(Error::invalid(message));
        }
        self.update_service_of(place, &record.spec.network, stay)
    }

    /// Brings a service to what its endpoints are now.
    pub(super) fn update_service(&self, place: &Place, key: &ServiceKey) -> Result<()> {
        let _turn = place.turn_to_serve();
        let (targets, there) = place.look(|s| (s.service_targets(key), s.services.get(key).cloned()));
        let done = match there {
            None if targets.is_empty() => return self.forget_fallen(place, key),
            Some(service) if service.targets == targets => Ok(()),
            None => self.begin_service(place, key, targets),
            Some(service) if targets.is_empty() => self.end_service(place, key, &service),
            Some(service) => self.turn_service(place, service, targets),
        };
        self.name_service(place, key);
        done.map_err(|e| e.object(format!("service {}", key.1)))
    }

    fn begin_service(&self, place: &Place, key: &ServiceKey, targets: Vec<IpAddr>) -> Result<()> {
        let network = place.network(&key.0)?;
        refuse_unreachable(&network)?;
        let addresses = place.change(|s| s.lease_for_service(key))?;
        if addresses.is_empty() {
            let message = format!(
                "network {} gives out no addresses: there is none for a service",
                network.name()
            );
            return Err(Error::invalid(message));
        }
        let unwind = place.unwind(|s| s.return_lease_of_service(key, &addresses));
        let record = ServiceRecord {
            network: key.0.clone(),
            name: key.1.clone(),
            addresses: addresses.clone(),
            anchor: OperationId::random(),
            spread: OperationId::random(),
            side: false,
            targets,
        };
        let rider = Rider {
            operation: record.spread.clone(),
            plan: spread(&record)?,
        };
        let anchor_plan = anchor(place, &network, &addresses)?;
        let applied = place.realm.apply_with(&record.anchor, &anchor_plan, &[rider], None)?;
        applied.commit(vec![notes::service(place.id(), &record)])?;
        unwind.disarm();
        self.say_service(&record, "create");
        place.change(|s| s.set_service(record));
        Ok(())
    }

    fn turn_service(&self, place: &Place, service: ServiceRecord, targets: Vec<IpAddr>) -> Result<()> {
        let next = ServiceRecord { targets, ..service };
        let notes = vec![notes::service(place.id(), &next)];
        place.realm.amend(&next.spread, &spread(&next)?, notes)?;
        self.say_service(&next, "update");
        place.change(|s| s.set_service(next));
        Ok(())
    }

    fn end_service(&self, place: &Place, key: &ServiceKey, service: &ServiceRecord) -> Result<()> {
        let gone = vec![notes::no_service(place.id(), service)];
        place.realm.release(&service.spread, gone)?;
        place.realm.release(&service.anchor, Vec::new())?;
        self.say_service(service, "delete");
        place.change(|s| s.remove_service(key));
        Ok(())
    }

    /// After recovery, and when a network that waited stands again: what was cut off between an endpoint and its service, and the names of all.
    pub(super) fn update_services(&self, place: &Place) {
        let ready = |key: &ServiceKey| place.network(&key.0).is_ok_and(|n| n.phase == NetworkPhase::Ready);
        for key in place.look(|s| s.all_services()).into_iter().filter(ready) {
            if let Err(error) = self.update_service(place, &key) {
                tracing::error!(service = %key.1, %error, "a service is not what its endpoints are");
            }
        }
    }

    /// Takes up what an earlier host left. Where its operations are lost, or its network has to be applied again, it keeps its addresses, which
    /// people may have written down, and is made anew by [`Self::update_services`].
    pub(super) fn take_up_service(
        &self,
        place: &Place,
        record: ServiceRecord,
        stands: impl Fn(&OperationId) -> bool,
    ) -> Result<()> {
        let Ok(network) = place.network(&record.network) else {
            return self.append_notes(vec![notes::no_service(place.id(), &record)]);
        };
        let whole = network.phase == NetworkPhase::Ready && stands(&record.anchor) && stands(&record.spread);
        place.change(|s| {
            if whole {
                s.set_service(record);
            } else {
                s.set_fallen_service(record);
            }
        });
        Ok(())
    }

    /// Nobody is behind a service that fell: its addresses are free, and it is off the record.
    fn forget_fallen(&self, place: &Place, key: &ServiceKey) -> Result<()> {
        match place.change(|s| s.remove_fallen_service(key)) {
            Some(record) => self.append_notes(vec![notes::no_service(place.id(), &record)]),
            None => Ok(()),
        }
    }

    fn say_service(&self, service: &ServiceRecord, action: &str) {
        let list = |all: Vec<String>| all.join(" ");
        let addresses = service.addresses.iter().map(|a| a.ip().to_string()).collect();
        let targets = service.targets.iter().map(ToString::to_string).collect();
        let attributes = Options::from([
            ("addresses".to_owned(), list(addresses)),
            ("endpoints".to_owned(), list(targets)),
        ]);
        let name = Some(service.name.as_str());
        self.events
            .say("service", action, service.network.as_str(), name, attributes);
    }
}

fn refuse_unreachable(network: &Network) -> Result<()> {
    if network.record.spec.internal {
        return Err(Error::invalid(format!(
            "network {} is internal: nothing is forwarded there, so that it has no virtual addresses",
            network.name()
        )));
    }
    Ok(())
}

/// The virtual addresses, where the sandboxes look for them, and the way back for who is on the same link.
fn anchor(place: &Place, network: &Network, addresses: &[IpNetwork]) -> Result<Plan> {
    let mut plan = Plan::default();
    for address in addresses {
        let (ip, subnet) = (address.ip(), network_of(*address));
        plan.makes.push(Make::Address {
            link: gateway_link(place, network, subnet)?,
            address: IpNetwork::from(ip),
        });
        plan.makes
            .push(Make::Firewall(FirewallRule::Virtual { address: ip, subnet }));
    }
    Ok(plan)
}

fn network_of(address: IpNetwork) -> IpNetwork {
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}

/// The link that has the gateway's address of that subnet: given by the network's driver, or there already on a bridge that the network is laid
/// on.
fn gateway_link(place: &Place, network: &Network, subnet: IpNetwork) -> Result<LinkAt> {
    let pools = &network.record.spec.pools;
    let gateway = pools.iter().find(|p| p.subnet == subnet).and_then(|p| p.gateway);
    let made = network.record.standing.iter().find_map(|s| gateway_made(s, gateway?));
    let found = match (made, gateway) {
        (None, Some(gateway)) => gateway_found(place, network, subnet, gateway)?,
        (made, _) => made,
    };
    found.ok_or_else(|| {
        let message = format!(
            "network {} has no link of the host with the gateway of {subnet}: nobody would answer for a virtual address",
            network.name()
        );
        Error::new(ErrorCode::Unsupported, message)
    })
}

fn gateway_made(standing: &Standing, gateway: IpAddr) -> Option<LinkAt> {
    standing.plan.makes.iter().find_map(|make| match make {
        Make::Address { link, address } if address.ip() == gateway => Some(*link),
        _ => None,
    })
}

/// The bridge that the subnet is laid on, where it has the gateway's address without the network.
fn gateway_found(place: &Place, network: &Network, subnet: IpNetwork, gateway: IpAddr) -> Result<Option<LinkAt>> {
    let Some(index) = network.record.standing.as_ref().and_then(|s| laid_on(s, subnet)) else {
        return Ok(None);
    };
    let there = place.realm.kernel().dump(place.realm.namespace())?.addresses;
    let has = there.iter().any(|a| a.index == index && a.address.ip() == gateway);
    Ok(has.then_some(LinkAt {
        place: Where::Realm,
        index,
    }))
}

fn laid_on(standing: &Standing, subnet: IpNetwork) -> Option<Ifindex> {
    let bridge = standing.plan.makes.iter().find_map(|make| match make {
        Make::Firewall(FirewallRule::Laid { link, subnet: laid }) if *laid == subnet => Some(link),
        _ => None,
    })?;
    let parent = standing.parents.iter().find(|(_, name)| name == bridge)?;
    Some(parent.0)
}

/// Each virtual address over the endpoints' addresses of its family.
fn spread(service: &ServiceRecord) -> Result<Plan> {
    let mut plan = Plan::default();
    for address in service.addresses.iter().map(IpNetwork::ip) {
        let of_family = service.targets.iter().filter(|t| t.is_ipv4() == address.is_ipv4());
        let targets: Vec<IpAddr> = of_family.copied().collect();
        if targets.len() > MOST {
            let message = format!(
                "service {} has {MOST} endpoints, which is as many as it can have",
                service.name
            );
            return Err(Error::new(ErrorCode::Exhausted, message));
        }
        if !targets.is_empty() {
            plan.makes.push(Make::Firewall(FirewallRule::Spread {
                address,
                side: service.side,
                targets,
            }));
        }
    }
    Ok(plan)
}

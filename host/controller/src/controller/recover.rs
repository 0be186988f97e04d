//! Recovery of one realm: what the stores say and what the kernel has are made the same.
//!
//! By now the kernel crate has finished or undone every plan that was cut off. What is left to decide: the durable store is the truth for
//! networks, the journal for endpoints and sandboxes. An operation that neither of them knows is taken back; a network that does not stand
//! is applied again, or waits; a sandbox whose namespace is gone is deleted with its endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jackfield_driver::PortOwner;
use jackfield_kernel::{Make, Plan, Recovered, RecoveredState, journal::Entry, plan::FirewallRule};
use jackfield_model::{EndpointId, NetworkId, OperationId, PortMapping, Result, SandboxId};

use super::{Inner, open::Remains, place::Place};
use crate::{
    state::{Endpoint, EndpointPhase, EndpointRecord, NetworkPhase, NetworkRecord, SandboxPhase, Stay},
    store::notes,
};

/// The committed operations that an earlier host left.
#[derive(Debug, Default)]
struct Found {
    all: BTreeMap<OperationId, Entry>,
    /// Those that are not whole any more: somebody deleted a link, or the sandbox is gone.
    lost: BTreeSet<OperationId>,
}

impl Found {
    fn stands(&self, operation: &OperationId) -> bool {
        self.all.contains_key(operation) && !self.lost.contains(operation)
    }
}

impl Inner {
    pub(super) fn recover(self: &Arc<Self>, place: &Place, remains: Remains) -> Result<()> {
        let found = self.look_around(place)?;
        let broken = self.take_up(place, remains, &found)?;
        self.release_unknown(place, &found);
        self.hold_ports_again(place, &found);
        broken.iter().for_each(|id| self.reapply(place, id));
        self.collect_gone(place);
        self.let_lost_leave(place, &found);
        self.collect_foreign(place);
        self.update_services(place);
        let sandboxes: Vec<SandboxId> = place.look(|s| s.sandboxes.keys().cloned().collect());
        self.settle_uplinks(place);
        self.settle_localnet(place);
        self.retry_ports(place);
        sandboxes
            .iter()
            .try_for_each(|sandbox| self.settle_default_routes(place, sandbox))?;
        self.name_again(place);
        Ok(())
    }

    fn look_around(&self, place: &Place) -> Result<Found> {
        let recovered = place.realm.recover()?;
        let lost = |r: &Recovered| match &r.state {
            RecoveredState::Standing => None,
            RecoveredState::Lost(why) => {
                tracing::warn!(operation = %r.operation, why, "an operation does not stand any more");
                Some(r.operation.clone())
            }
        };
        let committed: BTreeSet<&OperationId> = recovered.iter().map(|r| &r.operation).collect();
        let all = self
            .journal
            .operations(place.id())
            .into_iter()
            .filter(|(operation, _)| committed.contains(operation))
            .collect();
        Ok(Found {
            all,
            lost: recovered.iter().filter_map(lost).collect(),
        })
    }

    /// Fills the state. Answers with the networks that have to be applied again.
    fn take_up(&self, place: &Place, mut remains: Remains, found: &Found) -> Result<Vec<NetworkId>> {
        let mut broken = Vec::new();
        for record in remains.networks {
            let whole = record.standing.as_ref().is_some_and(|s| found.stands(&s.operation));
            let phase = if whole {
                NetworkPhase::Ready
            } else {
                NetworkPhase::Applying
            };
            if !whole {
                broken.push(record.spec.id.clone());
            }
            place.change(|s| s.insert_network(record, phase));
        }
        place.change(|s| {
            let reservations = remains.reservations.iter();
            reservations.for_each(|(network, r)| s.restore_reservation(network, r))
        });
        for mut record in remains.sandboxes {
            record.resolver.take_if(|r| !found.stands(&r.operation));
            place.change(|s| s.insert_sandbox(record, SandboxPhase::Ready));
        }
        for record in remains.services {
            self.take_up_service(place, record, |operation| found.stands(operation))?;
        }
        place.change(|s| {
            remains.leased.into_iter().for_each(|pool| s.ipam.restore_lease(pool));
            remains
                .leases
                .into_iter()
                .for_each(|a| s.ipam.restore_leased_address(a));
        });
        remains.endpoints.sort_by_key(|e| e.age);
        for record in remains.endpoints {
            self.take_up_endpoint(place, record, found)?;
        }
        Ok(broken)
    }

    /// An endpoint whose network is gone is forgotten; one whose stay nobody knows of is in no sandbox.
    fn take_up_endpoint(&self, place: &Place, mut record: EndpointRecord, found: &Found) -> Result<()> {
        if place.network(&record.spec.network).is_err() {
            return self.append_notes(vec![notes::no_endpoint(place.id(), &record.spec.id)]);
        }
        if let Some(stay) = &mut record.stay {
            stay.defaults.retain(|(_, operation)| found.stands(operation));
            stay.ports.retain(|ports| found.stands(&ports.operation));
            stay.keep_what_stands(|operation| found.stands(operation));
        }
        let known = |stay: &Stay| {
            found.all.contains_key(&stay.operation) && place.look(|s| s.sandboxes.contains_key(&stay.sandbox))
        };
        let stays = record.stay.as_ref().is_some_and(known);
        if record.stay.is_some() && !stays {
            record.stay = None;
            self.append_notes(vec![notes::endpoint(place.id(), &record)])?;
        }
        let phase = if stays {
            EndpointPhase::Joined
        } else {
            EndpointPhase::Created
        };
        place.change(|s| s.restore_endpoint(record, phase));
        Ok(())
    }

    /// Endpoints whose links are gone from a sandbox that is still there leave it, for whoever wants to join again. A foreign sandbox takes the
    /// links along when it goes: see the `foreign` module.
    fn let_lost_leave(self: &Arc<Self>, place: &Place, found: &Found) {
        let lost: Vec<EndpointId> = place.look(|s| {
            let lost = s.endpoints.iter().filter(|(_, e)| {
                e.record
                    .stay
                    .as_ref()
                    .is_some_and(|stay| found.lost.contains(&stay.operation) && !s.is_foreign(&stay.sandbox))
            });
            lost.map(|(id, _)| id.clone()).collect()
        });
        for id in lost {
            if let Err(error) = self.leave(place, id.as_str()) {
                tracing::error!(endpoint = %id, %error, "an endpoint without links cannot leave");
            }
        }
    }

    /// Takes back the operations that nothing in the state refers to, and those of networks that are applied again.
    fn release_unknown(&self, place: &Place, found: &Found) {
        let known: BTreeSet<OperationId> = place.look(|s| {
            let ready = s.networks.values().filter(|n| n.phase == NetworkPhase::Ready);
            let networks = ready
                .filter_map(|n| n.record.standing.as_ref())
                .map(|s| s.operation.clone());
            let stays = s.endpoints.values().filter_map(|e| e.record.stay.as_ref());
            let endpoints = stays.flat_map(|s| s.operations().cloned());
            let resolvers = s
                .sandboxes
                .values()
                .filter_map(|b| Some(b.record.resolver.as_ref()?.operation.clone()));
            let services = s.services.values().flat_map(|s| [s.anchor.clone(), s.spread.clone()]);
            networks.chain(endpoints).chain(resolvers).chain(services).collect()
        });
        // Last made, first taken back.
        let mut unknown: Vec<_> = found
            .all
            .iter()
            .filter(|(operation, _)| !known.contains(*operation))
            .collect();
        unknown.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.sequence));
        for (operation, entry) in unknown {
            // Whether they are still wanted is seen in a moment; until then traffic goes on.
            if found.stands(operation)
                && (place.adopt_uplink(operation, &entry.plan) || place.adopt_localnet(operation, &entry.plan))
            {
                continue;
            }
            if let Err(error) = self.release(place, Some(operation), Vec::new()) {
                tracing::error!(%operation, %error, "a forgotten operation cannot be taken back");
            }
        }
    }

    /// The ports that endpoints have are theirs again, before anybody may ask for them.
    fn hold_ports_again(&self, place: &Place, found: &Found) {
        let held: Vec<(OperationId, PortOwner, Vec<PortMapping>)> = place.look(|s| {
            let stays = s.endpoints.values().filter_map(|e| Some((e, e.record.stay.as_ref()?)));
            let of_stay = |(endpoint, stay): (&Endpoint, &Stay)| {
                let owner = s.port_owner(&endpoint.record);
                let published = stay.ports.iter().map(|p| (p.operation.clone(), p.mappings.clone()));
                let plan = found.all.get(&stay.operation).map(|entry| published_by(&entry.plan));
                let by_join = plan.map(|mappings| (stay.operation.clone(), mappings));
                published
                    .chain(by_join)
                    .map(|(operation, mappings)| (operation, owner.clone(), mappings))
                    .collect::<Vec<_>>()
            };
            stays.flat_map(of_stay).collect()
        });
        for (operation, owner, mappings) in held {
            let reserve = |mapping: &PortMapping| match place.ports.reserve(&owner, mapping) {
                Ok(reservation) => Some(reservation),
                Err(error) => {
                    tracing::warn!(%operation, %error, "a published port is somebody else's in the book");
                    None
                }
            };
            place.hold_ports(&operation, mappings.iter().filter_map(reserve).collect());
        }
    }

    /// After a network got other indexes: what its endpoints have on record follows.
    pub(super) fn follow_network(
        &self,
        place: &Place,
        network: &NetworkRecord,
        indexes: &super::replan::Renumbered,
    ) -> Result<()> {
        let endpoints: Vec<EndpointRecord> = place.look(|s| {
            let of_network = s
                .endpoints
                .values()
                .filter(|e| e.record.spec.network == network.spec.id);
            of_network.map(|e| super::replan::follow(&e.record, indexes)).collect()
        });
        let changed = endpoints
            .iter()
            .map(|record| notes::endpoint(place.id(), record))
            .collect();
        self.append_notes(changed)?;
        place.change(|s| {
            endpoints
                .into_iter()
                .for_each(|record| s.fill_endpoint(&record.spec.id.clone(), |r| *r = record))
        });
        Ok(())
    }
}

fn published_by(plan: &Plan) -> Vec<PortMapping> {
    let published = plan.makes.iter().filter_map(|make| match make {
        Make::Firewall(FirewallRule::Publish { mapping, .. }) => Some(mapping.clone()),
        _ => None,
    });
    published.collect()
}

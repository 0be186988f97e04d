//! What may happen to networks.

use std::sync::Arc;

use jackfield_model::{Family, NetworkId, NetworkSpec};

use super::{Begin, Denied, Kind, Network, NetworkPhase, NetworkRecord, RealmState, Standing};
use crate::{
    ipam::{Manager, PoolsWanted, Reached},
    request::CreateNetwork,
};

/// A request for a network, with what the controller found out for it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request itself.
    pub request: &'a CreateNetwork,
    /// Which driver, by name.
    pub driver: &'a str,
    /// Who manages its addresses.
    pub manager: Manager,
    /// A realm has one network of this driver at most.
    pub only_one: bool,
    /// What the realm reaches by itself.
    pub reached: &'a [Reached],
    /// Seconds since 1970.
    pub now: u64,
}

/// Families that get a default pool where none of theirs is asked for.
fn default_families(asked: &Asked<'_>) -> Result<Vec<Family>, Denied> {
    let request = asked.request;
    let of = |family| request.pools.iter().any(|p| p.family() == family);
    if request.ipv4 == Some(false) && of(Family::Ipv4) {
        return Err(Denied::Addressing("a network without IPv4 cannot have an IPv4 subnet"));
    }
    match asked.manager {
        Manager::Null if !request.pools.is_empty() || request.ipv6 || request.ipv4 == Some(true) => Err(
            Denied::Addressing("a network whose addresses nobody manages (ipam null) can have no subnet"),
        ),
        Manager::Null | Manager::Driver | Manager::Runtime => Ok(Vec::new()),
        Manager::BuiltIn => {
            let ipv4 = request.ipv4.unwrap_or(request.pools.is_empty());
            if !ipv4 && !request.ipv6 && request.pools.is_empty() {
                return Err(Denied::Addressing(
                    "neither IPv4 nor IPv6 leaves no address at all: add an IPv6 subnet, or choose ipam null",
                ));
            }
            let wanted = [(ipv4, Family::Ipv4), (request.ipv6, Family::Ipv6)];
            Ok(wanted
                .into_iter()
                .filter_map(|(wanted, f)| wanted.then_some(f))
                .collect())
        }
    }
}

impl RealmState {
    /// A network is to come: its id, name and pools are taken from here on.
    pub fn begin_network(&mut self, asked: &Asked<'_>) -> Result<Begin<NetworkId>, Denied> {
        let request = asked.request;
        if let Some(existing) = request.id.as_ref().and_then(|id| self.networks.get(id)) {
            return existing.answer_again(request);
        }
        if let Some(id) = self.network_names.get(&request.name) {
            return Err(Denied::NameTaken {
                kind: Kind::Network,
                name: request.name.to_string(),
                id: id.short().to_owned(),
            });
        }
        if let Some(other) = self
            .networks
            .values()
            .find(|n| asked.only_one && n.record.driver == asked.driver)
        {
            return Err(Denied::OnlyOne {
                driver: asked.driver.to_owned(),
                name: other.name(),
            });
        }
        let id = request.id.clone().unwrap_or_else(NetworkId::random);
        let wanted = PoolsWanted {
            asked: &request.pools,
            families: &default_families(asked)?,
            reached: asked.reached,
            allow_overlap: request.allow_overlap,
            by_runtime: asked.manager == Manager::Runtime,
        };
        let pools = self.ipam.request_pools(&id, &wanted)?;
        let spec = Arc::new(NetworkSpec {
            id: id.clone(),
            name: request.name.clone(),
            options: request.options.clone(),
            labels: request.labels.clone(),
            pools: pools.iter().map(|p| p.pool()).collect(),
            internal: request.internal,
        });
        let asked_with_id = CreateNetwork {
            id: Some(id.clone()),
            ..request.clone()
        };
        let record = NetworkRecord {
            spec,
            driver: asked.driver.to_owned(),
            asked: asked_with_id,
            manager: asked.manager,
            pools,
            created: asked.now,
            standing: None,
            boot: None,
        };
        self.insert_network(record, NetworkPhase::Creating);
        Ok(Begin::Go(id))
    }

    /// Takes up a network, new or from the store. Its pools are marked as in use.
    pub fn insert_network(&mut self, record: NetworkRecord, phase: NetworkPhase) {
        let id = record.spec.id.clone();
        self.ipam.restore_pools(&id, &record.pools);
        self.network_names.insert(record.spec.name.clone(), id.clone());
        self.networks.insert(
            id,
            Network {
                record,
                phase,
                endpoints: Default::default(),
            },
        );
    }

    /// The network stands.
    pub fn finish_network(&mut self, id: &NetworkId, standing: Standing) {
        if let Some(network) = self.networks.get_mut(id) {
            network.record.standing = Some(standing);
            network.phase = NetworkPhase::Ready;
        }
    }

    /// The network could not be made, or is deleted: nothing is left of it.
    pub fn remove_network(&mut self, id: &NetworkId) {
        if let Some(network) = self.networks.remove(id) {
            self.network_names.remove(&network.record.spec.name);
            self.ipam.release_pools(id);
        }
    }

    /// A network is to go. Denied while it has endpoints, also such as are being made.
    /// Answers with where it stood, for the case that it cannot be deleted.
    pub fn begin_delete_network(&mut self, reference: &str) -> Result<(NetworkId, NetworkPhase), Denied> {
        let id = self.find_network(reference)?;
        let unknown = || Denied::Unknown {
            kind: Kind::Network,
            reference: reference.to_owned(),
        };
        let network = self.networks.get_mut(&id).ok_or_else(unknown)?;
        network.refuse_busy()?;
        if !network.endpoints.is_empty() {
            return Err(Denied::NetworkInUse {
                name: network.name(),
                endpoints: network.endpoints.len(),
            });
        }
        let was = std::mem::replace(&mut network.phase, NetworkPhase::Deleting);
        Ok((id, was))
    }

    /// Sets where a network stands: back to what it was when deleting failed, or to what applying it again came to.
    pub fn set_network_phase(&mut self, id: &NetworkId, phase: NetworkPhase) {
        if let Some(network) = self.networks.get_mut(id) {
            network.phase = phase;
        }
    }

    /// Whether any network waits for something.
    pub fn has_waiting(&self) -> bool {
        self.networks
            .values()
            .any(|n| matches!(n.phase, NetworkPhase::Waiting(_)))
    }

    /// The networks that wait, each from now on being applied again.
    pub fn begin_retry_waiting(&mut self) -> Vec<NetworkId> {
        let waiting = self
            .networks
            .iter_mut()
            .filter(|(_, n)| matches!(n.phase, NetworkPhase::Waiting(_)));
        waiting
            .map(|(id, network)| {
                network.phase = NetworkPhase::Applying;
                id.clone()
            })
            .collect()
    }
}

impl Network {
    /// As a person would say it.
    pub fn name(&self) -> String {
        self.record.spec.name.to_string()
    }

    /// Its word, for lists.
    pub fn state(&self) -> String {
        match &self.phase {
            NetworkPhase::Waiting(why) => format!("waiting: {why}"),
            other => other.doing().unwrap_or("ready").to_owned(),
        }
    }

    pub(super) fn refuse_busy(&self) -> Result<(), Denied> {
        let busy = |doing| Denied::Busy {
            kind: Kind::Network,
            name: self.name(),
            doing,
        };
        self.phase.doing().map_or(Ok(()), |doing| Err(busy(doing)))
    }

    /// Whether it can have endpoints now.
    pub(super) fn refuse_unready(&self) -> Result<(), Denied> {
        self.refuse_busy()?;
        match &self.phase {
            NetworkPhase::Waiting(why) => Err(Denied::NetworkWaiting {
                name: self.name(),
                why: why.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The answer to a second request with the same id.
    fn answer_again(&self, request: &CreateNetwork) -> Result<Begin<NetworkId>, Denied> {
        let id = &self.record.spec.id;
        if self.record.asked != *request {
            return Err(Denied::IdTaken {
                kind: Kind::Network,
                id: id.short().to_owned(),
            });
        }
        self.refuse_busy()?;
        Ok(Begin::AlreadySo(id.clone()))
    }
}

impl NetworkPhase {
    /// What is under way, if anything.
    fn doing(&self) -> Option<&'static str> {
        match self {
            Self::Creating => Some("creating"),
            Self::Applying => Some("applying"),
            Self::Deleting => Some("deleting"),
            Self::Ready | Self::Waiting(_) => None,
        }
    }
}

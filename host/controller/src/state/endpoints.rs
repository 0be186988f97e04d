//! What may happen to endpoints.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use jackfield_model::{EndpointId, EndpointSpec, IpNetwork, Name, NetworkId, SandboxId};

use super::{Begin, Denied, Endpoint, EndpointPhase, EndpointRecord, Kind, RealmState, SandboxPhase, Stay};
use crate::{
    ipam::IpamError,
    request::{CreateEndpoint, Join},
};

/// An endpoint with its network, and the sandbox that it goes to or comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Which.
    pub endpoint: EndpointId,
    /// Of which network.
    pub network: NetworkId,
    /// In which sandbox, if in one.
    pub sandbox: Option<SandboxId>,
}

impl RealmState {
    /// An endpoint is to come: its id, name and addresses are taken from here on.
    pub fn begin_endpoint(&mut self, network: &str, request: &CreateEndpoint) -> Result<Begin<EndpointId>, Denied> {
        self.begin_endpoint_for(network, None, request)
    }

    /// The same for one that is made for a sandbox, by whose name it goes too.
    fn begin_endpoint_for(
        &mut self,
        network: &str,
        sandbox: Option<&SandboxId>,
        request: &CreateEndpoint,
    ) -> Result<Begin<EndpointId>, Denied> {
        let network = self.find_network(network)?;
        if let Some(existing) = request.id.as_ref().and_then(|id| self.endpoints.get(id)) {
            return existing.answer_again(&network, request);
        }
        self.check_new_endpoint(&network, request)?;
        let sandbox = sandbox
            .and_then(|s| self.sandboxes.get(s))
            .map(|s| s.record.name.clone());
        let leases = self.lease(&network, request, sandbox.as_ref())?;
        let id = request.id.clone().unwrap_or_else(EndpointId::random);
        let spec = EndpointSpec {
            network: network.clone(),
            id: id.clone(),
            mac: request.mac,
            addresses: leases.clone(),
            options: request.options.clone(),
        };
        let record = EndpointRecord {
            spec: Arc::new(spec),
            asked: CreateEndpoint {
                id: Some(id.clone()),
                ..request.clone()
            },
            driver: None,
            leases,
            deferred: Arc::default(),
            links: Vec::new(),
            stay: None,
            age: self.tick(),
        };
        self.insert_endpoint(record, EndpointPhase::Creating);
        Ok(Begin::Go(id))
    }

    /// Its addresses. A refusal names the endpoint that has the one asked for.
    fn lease(
        &mut self,
        network: &NetworkId,
        request: &CreateEndpoint,
        sandbox: Option<&Name>,
    ) -> Result<Vec<IpNetwork>, Denied> {
        let names: Vec<&Name> = request.name.iter().chain(sandbox).collect();
        let refused = match self.ipam.request(network, &request.addresses, &names) {
            Ok(leases) => return Ok(leases),
            Err(refused) => refused,
        };
        Err(match refused {
            IpamError::Taken { address, subnet, .. } => IpamError::Taken {
                address,
                subnet,
                holder: self.holder_of(network, address),
            },
            other => other,
        }
        .into())
    }

    /// The endpoint that has an address, and the sandbox that it is in.
    fn holder_of(&self, network: &NetworkId, address: IpAddr) -> Option<String> {
        let mut there = self
            .networks
            .get(network)?
            .endpoints
            .iter()
            .filter_map(|id| self.endpoints.get(id));
        let endpoint = there.find(|e| e.record.leases.iter().any(|lease| lease.ip() == address))?;
        let sandbox = endpoint.sandbox.as_ref().and_then(|id| self.sandboxes.get(id));
        let place = sandbox.map_or_else(String::new, |s| format!(" of sandbox {}", s.name()));
        Some(format!("endpoint {}{place}", endpoint.name()))
    }

    fn check_new_endpoint(&self, network: &NetworkId, request: &CreateEndpoint) -> Result<(), Denied> {
        let unknown = || Denied::Unknown {
            kind: Kind::Network,
            reference: network.to_string(),
        };
        let network = self.networks.get(network).ok_or_else(unknown)?;
        network.refuse_unready()?;
        let Some(name) = &request.name else { return Ok(()) };
        let mut others = network.endpoints.iter().filter_map(|id| self.endpoints.get(id));
        match others.find(|e| e.record.asked.name.as_ref() == Some(name)) {
            Some(other) => {
                let id = other.record.spec.id.short().to_owned();
                Err(Denied::NameTaken {
                    kind: Kind::Endpoint,
                    name: name.to_string(),
                    id,
                })
            }
            None => Ok(()),
        }
    }

    /// Takes up an endpoint from the journal, and with it its addresses. They come in order of age, so that the search for free addresses goes on
    /// where it was.
    pub fn restore_endpoint(&mut self, record: EndpointRecord, phase: EndpointPhase) {
        let asked = &record.asked.addresses;
        let in_turn = |address| !asked.contains(&address);
        self.ipam.restore(&record.spec.network, &record.leases, in_turn);
        self.insert_endpoint(record, phase);
    }

    /// Takes up an endpoint whose addresses are taken: its place in the network and, where it has one, in a sandbox.
    fn insert_endpoint(&mut self, record: EndpointRecord, phase: EndpointPhase) {
        let (id, network) = (record.spec.id.clone(), record.spec.network.clone());
        self.clock = self
            .clock
            .max(record.age)
            .max(record.stay.as_ref().map_or(0, |s| s.age));
        if let Some(network) = self.networks.get_mut(&network) {
            network.endpoints.insert(id.clone());
        }
        let sandbox = record.stay.as_ref().map(|s| s.sandbox.clone());
        if let Some(place) = sandbox.as_ref().and_then(|s| self.sandboxes.get_mut(s)) {
            place.endpoints.insert(id.clone());
            let interface = record.stay.as_ref().and_then(|s| s.interface.as_ref());
            place.interfaces.extend(interface.map(|i| (i.name.clone(), id.clone())));
        }
        self.endpoints.insert(
            id,
            Endpoint {
                record,
                phase,
                sandbox,
                refused: BTreeSet::new(),
                refusal: None,
            },
        );
    }

    /// The driver's part of a new endpoint is done: what it filled in is kept. The endpoint stays busy.
    pub fn fill_endpoint(&mut self, id: &EndpointId, change: impl FnOnce(&mut EndpointRecord)) {
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            change(&mut endpoint.record);
        }
    }

    /// The endpoint is made.
    pub fn finish_endpoint(&mut self, id: &EndpointId) {
        self.set_phase(id, EndpointPhase::Created);
    }

    /// The endpoint could not be made, or is deleted: nothing is left of it.
    pub fn remove_endpoint(&mut self, id: &EndpointId) {
        self.leave_sandbox(id);
        let Some(endpoint) = self.endpoints.remove(id) else {
            return;
        };
        let network = &endpoint.record.spec.network;
        self.ipam.release(network, &endpoint.record.leases);
        if let Some(network) = self.networks.get_mut(network) {
            network.endpoints.remove(id);
        }
    }

    /// An endpoint is to go.
    pub fn begin_delete_endpoint(&mut self, reference: &str) -> Result<Placement, Denied> {
        let id = self.find_endpoint(reference)?;
        let endpoint = self.settled_endpoint(&id)?;
        if let Some(sandbox) = &endpoint.sandbox {
            return Err(Denied::EndpointInUse {
                endpoint: endpoint.name(),
                sandbox: sandbox.short().to_owned(),
            });
        }
        self.set_phase(&id, EndpointPhase::Deleting);
        self.placement(&id)
    }

    /// An endpoint is to join a sandbox.
    pub fn begin_join(&mut self, reference: &str, sandbox: &str, request: &Join) -> Result<Begin<Placement>, Denied> {
        super::services::refuse_no_label(request)?;
        let (id, sandbox) = (self.find_endpoint(reference)?, self.find_sandbox(sandbox)?);
        let endpoint = self.settled_endpoint(&id)?;
        if let Some(stay) = &endpoint.record.stay {
            return endpoint
                .answer_joined(stay, &sandbox, request)
                .map(|()| Begin::AlreadySo(endpoint.placement()));
        }
        if let Some(network) = self.networks.get(&endpoint.record.spec.network) {
            network.refuse_unready()?;
        }
        self.enter_sandbox(&id, &sandbox)?;
        self.set_phase(&id, EndpointPhase::Joining);
        self.placement(&id).map(Begin::Go)
    }

    /// A new endpoint is to come and join at once.
    pub fn begin_connect(
        &mut self,
        network: &str,
        sandbox: &str,
        request: &CreateEndpoint,
        join: &Join,
    ) -> Result<Begin<Placement>, Denied> {
        super::services::refuse_no_label(join)?;
        let (network, sandbox) = (self.find_network(network)?, self.find_sandbox(sandbox)?);
        if request.id.as_ref().is_none_or(|id| !self.endpoints.contains_key(id)) {
            self.refuse_connected(&network, &sandbox)?;
        }
        match self.begin_endpoint_for(network.as_str(), Some(&sandbox), request)? {
            Begin::AlreadySo(id) => self.begin_join(id.as_str(), sandbox.as_str(), join),
            Begin::Go(id) => {
                if let Err(denied) = self.enter_sandbox(&id, &sandbox) {
                    self.remove_endpoint(&id);
                    return Err(denied);
                }
                self.placement(&id).map(Begin::Go)
            }
        }
    }

    fn refuse_connected(&self, network: &NetworkId, sandbox: &SandboxId) -> Result<(), Denied> {
        let Some(place) = self.sandboxes.get(sandbox) else {
            return Ok(());
        };
        let mut there = place.endpoints.iter().filter_map(|id| self.endpoints.get(id));
        let Some(other) = there.find(|e| e.record.spec.network == *network) else {
            return Ok(());
        };
        if other.phase == EndpointPhase::Leaving || other.phase == EndpointPhase::Deleting {
            return Err(other.busy());
        }
        let network = self
            .networks
            .get(network)
            .map_or_else(|| network.short().to_owned(), super::Network::name);
        Err(Denied::Connected {
            sandbox: place.name(),
            network,
            endpoint: other.name(),
        })
    }

    /// From here on the endpoint counts as one of the sandbox's.
    fn enter_sandbox(&mut self, id: &EndpointId, sandbox: &SandboxId) -> Result<(), Denied> {
        let unknown = || Denied::Unknown {
            kind: Kind::Sandbox,
            reference: sandbox.to_string(),
        };
        let place = self.sandboxes.get_mut(sandbox).ok_or_else(unknown)?;
        if place.phase != SandboxPhase::Ready {
            return Err(place.busy());
        }
        place.endpoints.insert(id.clone());
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.sandbox = Some(sandbox.clone());
        }
        Ok(())
    }

    /// The next number for "older than".
    pub fn next_age(&mut self) -> u64 {
        self.tick()
    }

    /// The makes of the join stand, and are on record. The endpoint stays busy until its default route is settled.
    pub fn record_stay(&mut self, record: EndpointRecord) {
        if let Some(endpoint) = self.endpoints.get_mut(&record.spec.id) {
            endpoint.record = record;
            endpoint.refused.clear();
            endpoint.refusal = None;
        }
    }

    /// The endpoint is in its sandbox.
    pub fn finish_join(&mut self, id: &EndpointId) {
        self.set_phase(id, EndpointPhase::Joined);
    }

    /// The endpoint is out of its sandbox, or never got there: its interface's name is free.
    pub fn finish_leave(&mut self, id: &EndpointId) {
        self.leave_sandbox(id);
        self.set_phase(id, EndpointPhase::Created);
    }

    fn leave_sandbox(&mut self, id: &EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(id) else {
            return;
        };
        endpoint.record.stay = None;
        let left = endpoint.sandbox.take();
        if let Some(place) = left.and_then(|s| self.sandboxes.get_mut(&s)) {
            place.endpoints.remove(id);
            place.interfaces.retain(|_, owner| owner != id);
        }
    }

    /// The endpoint could not leave after all: the journal could not be written.
    pub fn abandon_leave(&mut self, id: &EndpointId) {
        self.set_phase(id, EndpointPhase::Joined);
    }

    /// An endpoint is to leave its sandbox. In none already is as good.
    pub fn begin_leave(&mut self, reference: &str) -> Result<Begin<Placement>, Denied> {
        let id = self.find_endpoint(reference)?;
        let endpoint = self.settled_endpoint(&id)?;
        let Some(sandbox) = endpoint.sandbox.clone() else {
            return Ok(Begin::AlreadySo(endpoint.placement()));
        };
        self.refuse_settling(&sandbox)?;
        self.set_phase(&id, EndpointPhase::Leaving);
        self.placement(&id).map(Begin::Go)
    }

    /// The endpoints by which a sandbox is in a network, each from now on leaving.
    pub fn begin_disconnect(&mut self, network: &str, sandbox: &str) -> Result<Vec<Placement>, Denied> {
        let (network, sandbox) = (self.find_network(network)?, self.find_sandbox(sandbox)?);
        self.begin_clearing(&sandbox, |e| e.record.spec.network == network)
    }

    /// Those of a sandbox's endpoints that are meant, each from now on leaving: all of them, or none while one is busy.
    pub fn begin_clearing(
        &mut self,
        sandbox: &SandboxId,
        meant: impl Fn(&Endpoint) -> bool,
    ) -> Result<Vec<Placement>, Denied> {
        let Some(place) = self.sandboxes.get(sandbox) else {
            return Ok(Vec::new());
        };
        let there = place.endpoints.iter().filter_map(|id| self.endpoints.get(id));
        let leaving: Vec<Placement> = there
            .filter(|e| meant(e))
            .map(|e| {
                if e.phase.busy() {
                    Err(e.busy())
                } else {
                    Ok(e.placement())
                }
            })
            .collect::<Result<_, _>>()?;
        leaving
            .iter()
            .for_each(|p| self.set_phase(&p.endpoint, EndpointPhase::Leaving));
        Ok(leaving)
    }

    pub(super) fn settled_endpoint(&self, id: &EndpointId) -> Result<&Endpoint, Denied> {
        let unknown = || Denied::Unknown {
            kind: Kind::Endpoint,
            reference: id.to_string(),
        };
        let endpoint = self.endpoints.get(id).ok_or_else(unknown)?;
        if endpoint.phase.busy() {
            Err(endpoint.busy())
        } else {
            Ok(endpoint)
        }
    }

    pub(super) fn placement(&self, id: &EndpointId) -> Result<Placement, Denied> {
        let unknown = || Denied::Unknown {
            kind: Kind::Endpoint,
            reference: id.to_string(),
        };
        self.endpoints.get(id).map(Endpoint::placement).ok_or_else(unknown)
    }

    pub(super) fn set_phase(&mut self, id: &EndpointId, phase: EndpointPhase) {
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.phase = phase;
        }
    }
}

impl Endpoint {
    /// As a person would say it.
    pub fn name(&self) -> String {
        self.record.name()
    }

    /// With its network and sandbox.
    pub fn placement(&self) -> Placement {
        Placement {
            endpoint: self.record.spec.id.clone(),
            network: self.record.spec.network.clone(),
            sandbox: self.sandbox.clone(),
        }
    }

    pub(super) fn busy(&self) -> Denied {
        Denied::Busy {
            kind: Kind::Endpoint,
            name: self.name(),
            doing: self.phase.word(),
        }
    }

    /// The answer to a second request with the same id.
    fn answer_again(&self, network: &NetworkId, request: &CreateEndpoint) -> Result<Begin<EndpointId>, Denied> {
        let id = &self.record.spec.id;
        if self.record.asked != *request || self.record.spec.network != *network {
            return Err(Denied::IdTaken {
                kind: Kind::Endpoint,
                id: id.short().to_owned(),
            });
        }
        if self.phase.busy() {
            Err(self.busy())
        } else {
            Ok(Begin::AlreadySo(id.clone()))
        }
    }

    fn answer_joined(&self, stay: &Stay, sandbox: &SandboxId, request: &Join) -> Result<(), Denied> {
        let (endpoint, there) = (self.name(), stay.sandbox.short().to_owned());
        if stay.sandbox != *sandbox {
            return Err(Denied::JoinedElsewhere {
                endpoint,
                sandbox: there,
            });
        }
        if stay.asked != *request {
            return Err(Denied::JoinedOtherwise {
                endpoint,
                sandbox: there,
            });
        }
        Ok(())
    }
}

impl EndpointPhase {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Joining => "joining",
            Self::Joined => "joined",
            Self::Publishing => "publishing",
            Self::Leaving => "leaving",
            Self::Deleting => "deleting",
        }
    }
}

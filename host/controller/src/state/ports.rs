//! Published ports: whose they are, when they may change, and what changes.

use jackfield_driver::PortOwner;
use jackfield_model::{EndpointId, PortMapping, Publish};

use super::{Begin, Denied, Endpoint, EndpointPhase, EndpointRecord, Network, Placement, Publication, RealmState};

/// From the ports that an endpoint has to those that it is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortChange {
    /// Untouched: traffic goes on.
    pub kept: Vec<Publication>,
    /// They go.
    pub out: Vec<Publication>,
    /// They come.
    pub new: Vec<Publish>,
}

impl PortChange {
    /// What is asked for in the same words stays. Ports that the driver programs are one thing, of which nothing can stay.
    pub fn between(there: &[Publication], asked: &[Publish]) -> Self {
        let mut change = Self {
            new: asked.to_vec(),
            ..Self::default()
        };
        for publication in there {
            let wanted = match publication.asked.as_slice() {
                [one] if !publication.by_driver => change.new.iter().position(|new| new == one),
                _ => None,
            };
            match wanted {
                Some(at) => {
                    change.new.remove(at);
                    change.kept.push(publication.clone());
                }
                None => change.out.push(publication.clone()),
            }
        }
        change
    }
}

impl RealmState {
    /// An endpoint's published ports are to be these, and no others.
    pub fn begin_ports(&mut self, reference: &str, asked: &[Publish]) -> Result<Begin<Placement>, Denied> {
        let id = self.find_endpoint(reference)?;
        let endpoint = self.settled_endpoint(&id)?;
        let Some(stay) = &endpoint.record.stay else {
            return Err(Denied::NotJoined {
                endpoint: endpoint.name(),
            });
        };
        if stay.asked.publish == asked {
            return Ok(Begin::AlreadySo(endpoint.placement()));
        }
        self.set_phase(&id, EndpointPhase::Publishing);
        self.placement(&id).map(Begin::Go)
    }

    /// Endpoints of which ports gave way to others that never came.
    pub fn with_ports_cut_off(&self) -> Vec<EndpointId> {
        let cut_off = |e: &&Endpoint| {
            let gave_way = |stay: &super::Stay| !stay.gave_way.is_empty();
            e.phase == EndpointPhase::Joined && e.record.stay.as_ref().is_some_and(gave_way)
        };
        let endpoints = self.endpoints.values().filter(cut_off);
        endpoints.map(|e| e.record.spec.id.clone()).collect()
    }

    /// What gave way is to be published again; None where there is nothing, or somebody is at it.
    pub fn begin_ports_again(&mut self, id: &EndpointId) -> Option<EndpointRecord> {
        let endpoint = self.endpoints.get(id)?;
        let stay = endpoint.record.stay.as_ref()?;
        if endpoint.phase != EndpointPhase::Joined || stay.gave_way.is_empty() {
            return None;
        }
        let record = endpoint.record.clone();
        self.set_phase(id, EndpointPhase::Publishing);
        Some(record)
    }

    /// The ports that stand now are these.
    pub fn record_ports(&mut self, record: EndpointRecord) {
        self.fill_endpoint(&record.spec.id.clone(), |there| *there = record);
    }

    /// The change is over, well or not.
    pub fn end_ports(&mut self, id: &EndpointId) {
        self.set_phase(id, EndpointPhase::Joined);
    }

    /// How refusals name the owner of an endpoint's ports.
    pub fn port_owner(&self, record: &EndpointRecord) -> PortOwner {
        let network = self.networks.get(&record.spec.network).map(Network::name);
        let network = network.map(|name| format!(" of network {name}")).unwrap_or_default();
        PortOwner {
            id: record.spec.id.to_string(),
            name: format!("endpoint {}{network}", record.name()),
        }
    }
}

impl Endpoint {
    /// Its published ports that stand.
    pub fn ports(&self) -> impl Iterator<Item = &PortMapping> {
        let stay = self.record.stay.iter();
        stay.flat_map(|stay| &stay.ports).flat_map(|ports| &ports.mappings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_model::OperationId;

    fn publication(asked: &[&str], by_driver: bool) -> Publication {
        Publication {
            operation: OperationId::random(),
            asked: asked.iter().map(|a| a.parse().unwrap()).collect(),
            mappings: Vec::new(),
            by_driver,
            localnet: None,
        }
    }

    #[test]
    fn what_is_wanted_still_stays_untouched() {
        let there = [
            publication(&["80:80"], false),
            publication(&["81:81"], false),
            publication(&["90"], false),
        ];
        let asked: Vec<Publish> = ["90", "82:82", "80:80", "90"].map(|a| a.parse().unwrap()).into();
        let change = PortChange::between(&there, &asked);
        assert_eq!(change.kept, [there[0].clone(), there[2].clone()]);
        assert_eq!(change.out, [there[1].clone()]);
        assert_eq!(
            change.new,
            [asked[1].clone(), asked[3].clone()],
            "a second chosen port is a port of its own"
        );
    }

    #[test]
    fn what_a_driver_programmed_changes_as_a_whole() {
        let there = [publication(&["80:80"], true)];
        let change = PortChange::between(&there, &there[0].asked);
        assert_eq!((change.out.len(), change.new.len()), (1, 1));
    }
}

//! Services: names in a network that stand for several endpoints, each with a virtual address of its own.
//!
//! ```text
//!   (none) --its first endpoint joins--> there --its last leaves--> (none)
//!                                         ^  |
//!              made anew at its addresses |  | a start finds it lost
//!                                       fallen --nobody is behind it--> (none)
//! ```

use std::net::IpAddr;

use jackfield_model::{EndpointId, IpNetwork, Name, NetworkId, Service, VirtualService};

use super::{Denied, Endpoint, EndpointPhase, RealmState, ServiceRecord};
use crate::request::Join;

/// A service: the network's, under that name.
pub type ServiceKey = (NetworkId, Name);

impl RealmState {
    /// Addresses of the endpoints that a service stands for, the oldest first: those that joined for it and are not on their way out.
    pub fn service_targets(&self, key: &ServiceKey) -> Vec<IpAddr> {
        let addresses = self.serving(key).into_iter().flat_map(|e| &e.record.spec.addresses);
        addresses.map(IpNetwork::ip).collect()
    }

    fn serving(&self, (network, name): &ServiceKey) -> Vec<&Endpoint> {
        let ids = self.networks.get(network).into_iter().flat_map(|n| &n.endpoints);
        let endpoints = ids.filter_map(|id| self.endpoints.get(id));
        let mut serving: Vec<&Endpoint> = endpoints.filter(|e| e.serves() == Some(name)).collect();
        serving.sort_by_key(|e| e.record.stay.as_ref().map(|s| s.age));
        serving
    }

    /// A service as the name service is to know it; None where there is none, or a network without names.
    pub fn service_names(&self, key: &ServiceKey) -> Option<VirtualService> {
        let record = self.services.get(key)?;
        let network = self.networks.get(&key.0).filter(|n| !n.record.asked.dns.off)?;
        let mut services: Vec<Service> = Vec::new();
        for declared in self.serving(key).into_iter().flat_map(|e| &e.record.asked.services) {
            if !services.contains(declared) {
                services.push(declared.clone());
            }
        }
        Some(VirtualService {
            network: network.names(),
            name: record.name.as_str().parse().ok()?,
            addresses: record.addresses.iter().map(IpNetwork::ip).collect(),
            services,
        })
    }

    /// Services that there are or ought to be.
    pub fn all_services(&self) -> Vec<ServiceKey> {
        let of = |e: &Endpoint| Some((e.record.spec.network.clone(), e.serves()?.clone()));
        let mut keys: Vec<ServiceKey> = self.endpoints.values().filter_map(of).collect();
        keys.extend(self.services.keys().chain(self.fallen_services.keys()).cloned());
        keys.sort();
        keys.dedup();
        keys
    }

    /// One address of each family of the network: those that it had, where it fell.
    pub fn lease_for_service(&mut self, key: &ServiceKey) -> Result<Vec<IpNetwork>, Denied> {
        match self.fallen_services.get(key) {
            Some(fallen) => Ok(fallen.addresses.clone()),
            None => Ok(self.ipam.request(&key.0, &[], &[])?),
        }
    }

    /// It came to nothing; one that fell before keeps its addresses.
    pub fn return_lease_of_service(&mut self, key: &ServiceKey, addresses: &[IpNetwork]) {
        if !self.fallen_services.contains_key(key) {
            self.ipam.release(&key.0, addresses);
        }
    }

    /// A service of the journal whose operations are lost: nobody else gets its addresses.
    pub fn set_fallen_service(&mut self, record: ServiceRecord) {
        self.ipam.restore(&record.network, &record.addresses, |_| false);
        self.fallen_services
            .insert((record.network.clone(), record.name.clone()), record);
    }

    /// It is not waited for any more.
    pub fn remove_fallen_service(&mut self, key: &ServiceKey) -> Option<ServiceRecord> {
        let record = self.fallen_services.remove(key)?;
        self.ipam.release(&record.network, &record.addresses);
        Some(record)
    }

    /// A service is so, new or from the journal: its addresses are taken.
    pub fn set_service(&mut self, record: ServiceRecord) {
        self.ipam.restore(&record.network, &record.addresses, |_| false);
        self.fallen_services
            .remove(&(record.network.clone(), record.name.clone()));
        self.services
            .insert((record.network.clone(), record.name.clone()), record);
    }

    /// There is no such service any more.
    pub fn remove_service(&mut self, key: &ServiceKey) {
        if let Some(record) = self.services.remove(key) {
            self.ipam.release(&record.network, &record.addresses);
        }
    }

    /// An endpoint that has arrived goes again at once: nobody counts on it any more.
    pub fn turn_back(&mut self, id: &EndpointId) {
        self.set_phase(id, EndpointPhase::Leaving);
    }
}

/// A service is looked up by its name (RFC 1123, 2.1).
pub(super) fn refuse_no_label(join: &Join) -> Result<(), Denied> {
    let is_label = |text: &str| {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain && text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-')
    };
    match &join.behind {
        Some(name) if !is_label(name.as_str()) => Err(Denied::NoLabel {
            service: name.to_string(),
        }),
        _ => Ok(()),
    }
}

impl Endpoint {
    /// The service that it stands for now.
    fn serves(&self) -> Option<&Name> {
        let going = matches!(self.phase, EndpointPhase::Leaving | EndpointPhase::Deleting);
        let stay = self.record.stay.as_ref().filter(|_| !going)?;
        stay.asked.behind.as_ref()
    }
}

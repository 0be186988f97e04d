//! Which addresses are kept for which name.

use jackfield_model::{EndpointId, Name, NetworkId};

use super::{Denied, Endpoint, Kind, RealmState, Reservation};

impl RealmState {
    /// Keeps a new endpoint's addresses for its name, or else for that of the sandbox that it is made for, where that was asked for. Answers
    /// with those that were not kept before.
    pub fn reserve_for(&mut self, id: &EndpointId) -> Result<(NetworkId, Vec<Reservation>), Denied> {
        let unknown = || Denied::Unknown {
            kind: Kind::Endpoint,
            reference: id.to_string(),
        };
        let endpoint = self.endpoints.get(id).ok_or_else(unknown)?;
        let network = endpoint.record.spec.network.clone();
        if !endpoint.record.asked.reserve {
            return Ok((network, Vec::new()));
        }
        let name = self.name_to_reserve_for(endpoint)?;
        let addresses: Vec<_> = endpoint.record.leases.iter().map(|lease| lease.ip()).collect();
        if addresses.is_empty() {
            let name = self
                .networks
                .get(&network)
                .map(super::Network::name)
                .unwrap_or_default();
            return Err(Denied::NothingToReserve { name });
        }
        let new = self.ipam.reserve(&network, &name, &addresses)?;
        let new = new.into_iter().map(|address| Reservation {
            address,
            name: name.clone(),
        });
        Ok((network, new.collect()))
    }

    fn name_to_reserve_for(&self, endpoint: &Endpoint) -> Result<Name, Denied> {
        let sandbox = || {
            self.sandboxes
                .get(endpoint.sandbox.as_ref()?)
                .map(|s| s.record.name.clone())
        };
        let name = endpoint.record.asked.name.clone();
        name.or_else(sandbox).ok_or(Denied::NobodyToReserveFor)
    }

    /// Takes up a reservation from the store, before the endpoints.
    pub fn restore_reservation(&mut self, network: &NetworkId, reservation: &Reservation) {
        // It was found to be good when it was made; one that is twice there by a slip of the store is kept once.
        if let Err(error) = self.ipam.reserve(network, &reservation.name, &[reservation.address]) {
            tracing::warn!(%network, address = %reservation.address, %error, "a stored reservation is left out");
        }
    }
}

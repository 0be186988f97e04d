//! Addresses that are kept for a name when their endpoint is gone, until somebody releases them: on disk, since that may be after a reboot.

use std::{net::IpAddr, sync::Arc};

use jackfield_model::{EndpointId, NetworkId, Options, Result};

use super::{Inner, place::Place, unwind::Unwind};
use crate::{
    request::Done,
    state::{Network, Reservation},
};

impl Inner {
    /// Keeps a new endpoint's addresses for its name, where that was asked for. They are kept no longer when what this answers with is dropped.
    pub(super) fn reserve<'a>(
        self: &'a Arc<Self>,
        place: &'a Place,
        id: &EndpointId,
    ) -> Result<Unwind<impl FnOnce() + 'a>> {
        let (network, new) = self.reserve_now(place, id)?;
        Ok(Unwind::new(move || {
            for reservation in new {
                if let Err(error) = self.unreserve(place, &network, reservation.address) {
                    tracing::error!(%network, address = %reservation.address, %error, "an address stays reserved for nobody");
                }
            }
        }))
    }

    fn reserve_now(&self, place: &Place, id: &EndpointId) -> Result<(NetworkId, Vec<Reservation>)> {
        let _turn = place.turn_to_reserve();
        let (network, new) = place.change(|s| s.reserve_for(id))?;
        let kept = self.durable.keep_reservations(place.key, &network, &new);
        if let Err(error) = kept {
            place.change(|s| new.iter().for_each(|r| drop(s.ipam.unreserve(&network, r.address))));
            return Err(error);
        }
        Ok((network, new))
    }

    /// Keeps an address no longer. Whoever has it keeps having it.
    pub(super) fn release_address(&self, place: &Place, network: &str, address: IpAddr) -> Result<Done<()>> {
        let id = place.look(|s| s.find_network(network))?;
        if !self.unreserve(place, &id, address)? {
            return Ok(Done::AlreadySo(()));
        }
        place.look(|s| self.say_released(s.networks.get(&id), address));
        self.events.flush();
        Ok(Done::Done(()))
    }

    fn unreserve(&self, place: &Place, network: &NetworkId, address: IpAddr) -> Result<bool> {
        let _turn = place.turn_to_reserve();
        self.durable.drop_reservation(place.key, network, address)?;
        Ok(place.change(|s| s.ipam.unreserve(network, address)).is_some())
    }

    fn say_released(&self, network: Option<&Network>, address: IpAddr) {
        let Some(network) = network else { return };
        let attributes = Options::from([("address".to_owned(), address.to_string())]);
        let id = network.record.spec.id.as_str();
        self.events
            .say("network", "release", id, Some(&network.name()), attributes);
    }
}

//! Pools that are leased to a runtime, and addresses out of them. A pool is on disk as long as it is leased; an address is in the journal, since
//! whoever has it does not outlive the boot.

use std::net::IpAddr;

use jackfield_model::{Error, IpNetwork, Options, Result};

use super::{Inner, place::Place, reached::reached};
use crate::{
    ipam::{IpamError, LeasedPlan},
    request::{Done, LeasePool},
    state::Denied,
    store::notes,
};

impl Inner {
    pub(super) fn lease_pool(&self, place: &Place, request: &LeasePool) -> Result<Done<IpNetwork>> {
        let reached = reached(&self.kernel.dump(place.realm.namespace())?, &Options::new());
        let _turn = place.turn_to_reserve();
        let (LeasedPlan { plan, .. }, new) = told(place.change(|s| s.ipam.lease_pool(request, &reached)))?;
        if !new {
            return Ok(Done::AlreadySo(plan.subnet));
        }
        let (owner, subnet) = (request.owner.clone(), plan.subnet);
        let kept = self
            .durable
            .keep_lease(place.key, subnet, Some(&LeasedPlan { owner, plan }));
        if kept.is_err() {
            place.change(|s| s.ipam.return_pool(subnet));
        }
        kept.map(|()| Done::Done(subnet))
    }

    pub(super) fn return_pool(&self, place: &Place, subnet: IpNetwork) -> Result<Done<()>> {
        let _turn = place.turn_to_reserve();
        let Some((plan, given)) = place.change(|s| s.ipam.return_pool(subnet)) else {
            return Ok(Done::AlreadySo(()));
        };
        if let Err(error) = self.durable.keep_lease(place.key, subnet, None) {
            place.change(|s| {
                s.ipam.restore_lease(plan);
                given.iter().for_each(|address| s.ipam.restore_leased_address(*address));
            });
            return Err(error);
        }
        let gone = given.into_iter().map(|a| notes::lease(place.id(), a, false));
        self.append_notes(gone.collect()).map(Done::Done)
    }

    pub(super) fn lease_address(
        &self,
        place: &Place,
        subnet: IpNetwork,
        asked: Option<IpAddr>,
    ) -> Result<Done<IpNetwork>> {
        let _turn = place.turn_to_reserve();
        let unknown = || Error::not_found(format!("no pool {subnet} is leased to anybody: ask for it first"));
        let leased = place.change(|s| s.ipam.lease_address(subnet, asked));
        let (given, new) = told(leased.ok_or_else(unknown)?)?;
        if !new {
            return Ok(Done::AlreadySo(given));
        }
        let noted = self.append_notes(vec![notes::lease(place.id(), given.ip(), true)]);
        if noted.is_err() {
            place.change(|s| s.ipam.return_address(given.ip()));
        }
        noted.map(|()| Done::Done(given))
    }

    pub(super) fn return_address(&self, place: &Place, address: IpAddr) -> Result<Done<()>> {
        let _turn = place.turn_to_reserve();
        if !place.change(|s| s.ipam.return_address(address)) {
            return Ok(Done::AlreadySo(()));
        }
        self.append_notes(vec![notes::lease(place.id(), address, false)])
            .map(Done::Done)
    }
}

fn told<T>(result: Result<T, IpamError>) -> Result<T> {
    result.map_err(|error| Denied::from(error).into())
}

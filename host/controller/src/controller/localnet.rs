//! Links on which 127.0.0.1 leads somewhere: the host reaches published ports by it.
//!
//! A packet from 127.0.0.1 may leave by a link with `route_localnet` only. It is switched on with the first port that needs a link, by an
//! operation of its own, and off with the last, so that the second port and the ten-thousandth cost nothing. What comes from outside for
//! 127.0.0.0/8 is dropped by the guard of the host's table, which is there for as long as any port is: hence on after the port is
//! published, and off before it is taken back.

use std::sync::PoisonError;

use jackfield_kernel::{
    Ifindex, LinkAt, Make, Place as Where, Plan,
    plan::{SysctlKey, SysctlTable},
};
use jackfield_model::{Family, OperationId, Result};

use super::{Inner, place::Place, switched::Localnet};
use crate::state::Publication;

impl Inner {
    /// The publication stands.
    pub(super) fn open_localnet(&self, place: &Place, publication: &Publication) {
        let Some(index) = publication.localnet else { return };
        let mut links = place.localnet.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry(index).or_default();
        if link.users.insert(publication.operation.clone()) && link.operation.is_none() {
            link.operation = switch_on(place, index).unwrap_or_else(|error| {
                tracing::warn!(link = %index, %error, "published ports are not reached by 127.0.0.1");
                None
            });
        }
    }

    /// The publication is about to go.
    pub(super) fn close_localnet(&self, place: &Place, publication: &Publication) {
        let Some(index) = publication.localnet else { return };
        let mut links = place.localnet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get_mut(&index) {
            link.users.remove(&publication.operation);
        }
        self.switch_off_unused(place, &mut links);
    }

    /// After a start, when the publications that stand are known.
    pub(super) fn settle_localnet(&self, place: &Place) {
        let publications: Vec<Publication> = place.look(|s| {
            let stays = s.endpoints.values().filter_map(|e| e.record.stay.as_ref());
            stays.flat_map(|stay| stay.ports.iter().cloned()).collect()
        });
        publications
            .iter()
            .for_each(|publication| self.open_localnet(place, publication));
        let mut links = place.localnet.lock().unwrap_or_else(PoisonError::into_inner);
        self.switch_off_unused(place, &mut links);
    }

    fn switch_off_unused(&self, place: &Place, links: &mut Localnet) {
        links.retain(|index, link| {
            if !link.users.is_empty() {
                return true;
            }
            let released = self.release(place, link.operation.as_ref(), Vec::new());
            if let Err(error) = &released {
                tracing::warn!(link = %index, %error, "route_localnet stays switched on");
            }
            released.is_err()
        });
    }
}

impl Place {
    /// Takes up what an earlier host left switched on; false where the operation is something else.
    pub(super) fn adopt_localnet(&self, operation: &OperationId, plan: &Plan) -> bool {
        let [Make::Sysctl { link, key, .. }] = plan.makes.as_slice() else {
            return false;
        };
        if *key != route_localnet() || link.place != Where::Realm || !plan.removals.is_empty() {
            return false;
        }
        let mut links = self.localnet.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry(link.index).or_default();
        if link.operation.is_some() {
            return false;
        }
        link.operation = Some(operation.clone());
        true
    }
}

fn switch_on(place: &Place, index: Ifindex) -> Result<Option<OperationId>> {
    let Some(was) = place
        .realm
        .kernel()
        .sysctl(place.realm.namespace(), index, &route_localnet())?
    else {
        return Ok(None);
    };
    let plan = Plan {
        makes: vec![step(index, Some(was))],
        removals: Vec::new(),
    };
    let operation = OperationId::random();
    place.realm.apply(&operation, &plan, None)?.commit(Vec::new())?;
    Ok(Some(operation))
}

/// The step that switches it on; `was` is None for a link that is made by the same plan.
pub(super) fn step(index: Ifindex, was: Option<String>) -> Make {
    Make::Sysctl {
        link: LinkAt {
            place: Where::Realm,
            index,
        },
        key: route_localnet(),
        value: "1".to_owned(),
        was,
    }
}

fn route_localnet() -> SysctlKey {
    SysctlKey {
        family: Family::Ipv4,
        table: SysctlTable::Conf,
        key: "route_localnet".to_owned(),
    }
}

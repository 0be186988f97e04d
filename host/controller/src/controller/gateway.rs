//! Default routes of a sandbox: operations of their own, one for each family, owned by the endpoint that has them, so that they can go to
//! another endpoint while the one that had them stays. Where nobody has one yet, it rides along with the join: applied, journalled and
//! committed with it. Otherwise it is given and taken back afterwards.

use std::{net::IpAddr, sync::Arc};

use jackfield_kernel::{
    Make, Place as Where, Plan, Rider,
    plan::{Ifindex, Route},
};
use jackfield_model::{EndpointId, Error, Family, IpNetwork, OperationId, Result, SandboxId};

use super::{Inner, place::Place};
use crate::{
    state::{DefaultRoute, EndpointRecord},
    store::notes,
};

fn default_route(gateway: IpAddr, metric: Option<u32>, index: Ifindex) -> Result<Plan> {
    let everything: IpAddr = match Family::of(gateway) {
        Family::Ipv4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let everything =
        IpNetwork::new(everything, 0).map_err(|e| Error::internal("zero is no prefix length").caused_by(e))?;
    let route = Make::Route {
        place: Where::Sandbox,
        route: Route {
            metric,
            ..Route::via(everything, gateway, index)
        },
    };
    Ok(Plan {
        makes: vec![route],
        removals: Vec::new(),
    })
}

/// The default routes of an endpoint that joins, for families that nobody in the sandbox has one of.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    /// Which families.
    pub families: Vec<Family>,
    /// An operation for each.
    pub riders: Vec<Rider>,
}

impl Defaults {
    /// By these gateways.
    pub fn by(gateways: &[IpAddr], metric: Option<u32>, index: Ifindex) -> Result<Self> {
        let rider = |gateway: &IpAddr| {
            default_route(*gateway, metric, index).map(|plan| Rider {
                operation: OperationId::random(),
                plan,
            })
        };
        Ok(Self {
            families: gateways.iter().map(|gateway| Family::of(*gateway)).collect(),
            riders: gateways.iter().map(rider).collect::<Result<_>>()?,
        })
    }

    /// As the endpoint's record has them.
    pub fn recorded(&self) -> Vec<(Family, OperationId)> {
        let operations = self.riders.iter().map(|rider| rider.operation.clone());
        self.families.iter().copied().zip(operations).collect()
    }
}

impl Inner {
    /// Changes a sandbox's default routes until they are as they should be. One thread at a time does so for one sandbox.
    pub(super) fn settle_default_routes(self: &Arc<Self>, place: &Place, sandbox: &SandboxId) -> Result<()> {
        while place.decide(|s| s.begin_settling(sandbox))? {
            let _turn = place.unwind(|s| s.end_settling(sandbox));
            while let Some(step) = place.look(|s| s.next_default_route(sandbox)) {
                match step {
                    DefaultRoute::TakeBack {
                        endpoint,
                        family,
                        operation,
                    } => self.take_back(place, sandbox, &endpoint, family, &operation)?,
                    DefaultRoute::Give {
                        endpoint,
                        family,
                        gateway,
                        metric,
                    } => self.give(place, sandbox, &endpoint, family, (gateway, metric)),
                }
            }
        }
        Ok(())
    }

    fn take_back(
        &self,
        place: &Place,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        family: Family,
        operation: &OperationId,
    ) -> Result<()> {
        let note = self.note_with_default(place, endpoint, family, None)?;
        self.release_inside(place, operation, vec![note], sandbox)?;
        place.change(|s| s.set_default_route(endpoint, family, None));
        self.name_anew(place, endpoint);
        Ok(())
    }

    /// Refused, the endpoint is not elected again; the one that is joining right now fails by it.
    fn give(
        &self,
        place: &Place,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        family: Family,
        (gateway, metric): (IpAddr, Option<u32>),
    ) {
        match self.try_give(place, sandbox, endpoint, family, (gateway, metric)) {
            Ok(operation) => {
                place.change(|s| s.set_default_route(endpoint, family, Some(operation)));
                self.name_anew(place, endpoint);
            }
            Err(error) => {
                tracing::warn!(%endpoint, %gateway, %error, "a default route was refused");
                let why = format!("the default route by {gateway} was refused: {error}");
                place.change(|s| s.refuse_default_route(endpoint, family, why));
            }
        }
    }

    fn try_give(
        &self,
        place: &Place,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        family: Family,
        (gateway, metric): (IpAddr, Option<u32>),
    ) -> Result<OperationId> {
        let opened = self.open_sandbox(place, sandbox)?;
        let record = place.endpoint(endpoint)?.record;
        let index = record.stay.and_then(|s| s.interface).map(|i| i.at.index);
        let index = index.ok_or_else(|| Error::internal("an endpoint without interface was elected"))?;
        let operation = OperationId::random();
        let applied = place
            .realm
            .apply(&operation, &default_route(gateway, metric, index)?, opened.at.as_ref())?;
        applied.commit(vec![self.note_with_default(
            place,
            endpoint,
            family,
            Some(&operation),
        )?])?;
        Ok(operation)
    }

    /// The endpoint's record as it will be.
    fn note_with_default(
        &self,
        place: &Place,
        endpoint: &EndpointId,
        family: Family,
        operation: Option<&OperationId>,
    ) -> Result<jackfield_kernel::journal::Note> {
        let mut record: EndpointRecord = place.endpoint(endpoint)?.record;
        if let Some(stay) = &mut record.stay {
            stay.set_default(family, operation.cloned());
        }
        Ok(notes::endpoint(place.id(), &record))
    }
}

//! By which endpoint a sandbox's default routes go: the joined one of the highest priority, of the lowest metric among equals, and the oldest
//! among those; for each family by itself, since an endpoint may have a gateway for one family only.

use std::net::IpAddr;

use jackfield_kernel::Place;
use jackfield_model::{EndpointId, Family, OperationId, SandboxId};

use super::{Denied, Endpoint, EndpointPhase, RealmState};

/// A change of a sandbox's default routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultRoute {
    /// Another endpoint is to have it: this one's is taken back.
    TakeBack {
        /// Whose.
        endpoint: EndpointId,
        /// Which family.
        family: Family,
        /// Under which operation it stands.
        operation: OperationId,
    },
    /// Nobody has it: this one gets it.
    Give {
        /// To whom.
        endpoint: EndpointId,
        /// Which family.
        family: Family,
        /// By that gateway.
        gateway: IpAddr,
        /// With that metric.
        metric: Option<u32>,
    },
}

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

impl Endpoint {
    fn gateway(&self, family: Family) -> Option<IpAddr> {
        let stay = self.record.stay.as_ref()?;
        // Where the runtime moves the interface, the default route is the runtime's too.
        stay.interface.as_ref().filter(|i| i.at.place == Place::Sandbox)?;
        stay.gateways.iter().find(|g| Family::of(**g) == family).copied()
    }

    fn default_route(&self, family: Family) -> Option<&OperationId> {
        let stay = self.record.stay.as_ref()?;
        stay.defaults
            .iter()
            .find(|(f, _)| *f == family)
            .map(|(_, operation)| operation)
    }

    /// Whether it may have the default route of that family.
    fn electable(&self, family: Family) -> bool {
        let there = match self.phase {
            EndpointPhase::Joined | EndpointPhase::Publishing | EndpointPhase::Joining | EndpointPhase::Creating => {
                self.record.stay.is_some()
            }
            EndpointPhase::Created | EndpointPhase::Leaving | EndpointPhase::Deleting => false,
        };
        there && self.gateway(family).is_some() && !self.refused.contains(&family)
    }

    /// Greater goes first.
    fn rank(&self) -> (i32, std::cmp::Reverse<u32>, std::cmp::Reverse<u64>) {
        let stay = self.record.stay.as_ref();
        (
            stay.map_or(i32::MIN, |s| s.asked.priority),
            std::cmp::Reverse(stay.and_then(|s| s.metric).unwrap_or_default()),
            std::cmp::Reverse(stay.map_or(u64::MAX, |s| s.age)),
        )
    }
}

impl RealmState {
    fn in_sandbox(&self, sandbox: &SandboxId) -> impl Iterator<Item = &Endpoint> {
        let ids = self.sandboxes.get(sandbox).into_iter().flat_map(|s| &s.endpoints);
        ids.filter_map(|id| self.endpoints.get(id))
    }

    fn elected(&self, sandbox: &SandboxId, family: Family) -> Option<&Endpoint> {
        self.in_sandbox(sandbox)
            .filter(|e| e.electable(family))
            .max_by_key(|e| e.rank())
    }

    /// Whether an endpoint that joins with that priority would get a default route, if it turns out to have a gateway: what a driver is told.
    pub fn would_be_default(&self, sandbox: &SandboxId, priority: i32) -> bool {
        let beats = |family| self.elected(sandbox, family).is_none_or(|e| e.rank().0 < priority);
        FAMILIES.into_iter().any(beats)
    }

    /// What has to change so that the default routes go as they should: one step, or none. Taking back goes before giving, since a
    /// namespace has room for one default route of a family.
    pub fn next_default_route(&self, sandbox: &SandboxId) -> Option<DefaultRoute> {
        FAMILIES
            .into_iter()
            .find_map(|family| self.next_of_family(sandbox, family))
    }

    fn next_of_family(&self, sandbox: &SandboxId, family: Family) -> Option<DefaultRoute> {
        let elected = self.elected(sandbox, family).map(|e| &e.record.spec.id);
        let holder = self
            .in_sandbox(sandbox)
            .find_map(|e| Some((&e.record.spec.id, e.default_route(family)?)));
        match (holder, elected) {
            (Some((holder, _)), Some(elected)) if holder == elected => None,
            (Some((holder, operation)), _) => Some(DefaultRoute::TakeBack {
                endpoint: holder.clone(),
                family,
                operation: operation.clone(),
            }),
            (None, Some(elected)) => {
                let endpoint = self.endpoints.get(elected)?;
                let gateway = endpoint.gateway(family)?;
                Some(DefaultRoute::Give {
                    endpoint: elected.clone(),
                    family,
                    gateway,
                    metric: endpoint.record.stay.as_ref().and_then(|s| s.metric),
                })
            }
            (None, None) => None,
        }
    }

    /// Takes the turn of seeing to a sandbox's default routes; false when there is nothing to do. It waits for an endpoint on its way out that
    /// still has a default route, and endpoints that want to leave wait for the end of the turn: their records have one writer at a time.
    pub fn begin_settling(&mut self, sandbox: &SandboxId) -> Result<bool, Denied> {
        self.refuse_settling(sandbox)?;
        let leaving = |e: &&Endpoint| {
            e.phase == EndpointPhase::Leaving && FAMILIES.into_iter().any(|f| e.default_route(f).is_some())
        };
        if let Some(endpoint) = self.in_sandbox(sandbox).find(leaving) {
            return Err(endpoint.busy());
        }
        let wanted = self.next_default_route(sandbox).is_some();
        if let Some(place) = self.sandboxes.get_mut(sandbox) {
            place.settling = wanted;
        }
        Ok(wanted)
    }

    /// Which of these gateways may be default routes from the first, of an endpoint that is about to join: those of families that nobody in
    /// the sandbox has or is to get. Where there are any, the turn of seeing to the default routes is taken with it, until the endpoint is
    /// on record; the others, and all when somebody else has the turn, are seen to afterwards.
    pub fn begin_with_defaults(&mut self, sandbox: &SandboxId, gateways: &[IpAddr]) -> Vec<IpAddr> {
        let is_free = |family| {
            self.elected(sandbox, family).is_none()
                && self.in_sandbox(sandbox).all(|e| e.default_route(family).is_none())
        };
        let free: Vec<IpAddr> = gateways
            .iter()
            .copied()
            .filter(|gateway| is_free(Family::of(*gateway)))
            .collect();
        match self.sandboxes.get_mut(sandbox) {
            Some(place) if !place.settling => place.settling = !free.is_empty(),
            _ => return Vec::new(),
        }
        free
    }

    pub(super) fn refuse_settling(&self, sandbox: &SandboxId) -> Result<(), Denied> {
        self.sandboxes
            .get(sandbox)
            .filter(|place| place.settling)
            .map_or(Ok(()), |place| Err(place.busy()))
    }

    /// Gives the turn back.
    pub fn end_settling(&mut self, sandbox: &SandboxId) {
        if let Some(place) = self.sandboxes.get_mut(sandbox) {
            place.settling = false;
        }
    }

    /// A default route was given (`Some`) or taken back.
    pub fn set_default_route(&mut self, endpoint: &EndpointId, family: Family, operation: Option<OperationId>) {
        let Some(stay) = self.endpoints.get_mut(endpoint).and_then(|e| e.record.stay.as_mut()) else {
            return;
        };
        stay.defaults.retain(|(f, _)| *f != family);
        stay.defaults.extend(operation.map(|o| (family, o)));
    }

    /// The kernel refused the endpoint's default route: it is not tried again.
    pub fn refuse_default_route(&mut self, endpoint: &EndpointId, family: Family, why: String) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.refused.insert(family);
            endpoint.refusal = Some(why);
        }
    }
}

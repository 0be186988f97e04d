//! What a realm has, and what may happen to it next. Pure and synchronous: it decides, others act.
//!
//! Every change is a pair. `begin_*` answers *go* (and marks the object busy), *already so*, or *denied, because*; when the work that it
//! allowed is over, `finish_*` makes it so and `abandon_*` takes every trace of it back, addresses and names included.
//!
//! ```text
//!   network:   Creating ----------> Ready <----------> Waiting(why)      its parent is missing
//!                 |abandon            |   \-> Applying <-/               its stored plan is applied again
//!                 v                   v                  |
//!               (none) <----------- Deleting <-----------/               only without endpoints
//!
//!   endpoint:  Creating -> Created -> Joining -> Joined -> Leaving -> Created -> Deleting -> (none)
//!                 |          ^           |        ^ \-> Publishing -> Joined   (its ports change)
//!                 |          |           |                    (leaving cannot fail: what is left over is retried elsewhere)
//!                 v abandon  \-abandon---/
//!               (none)
//!
//!   sandbox:   Creating -> Ready -> Deleting -> (none)                   only without endpoints
//!                 v abandon
//!               (none)
//! ```
//!
//! An object in one of the `-ing` states is *busy*: whoever wants it next is denied with [`Denied::Busy`], which the controller takes as
//! "wait for your turn". Different endpoints are never in each other's way, also when they share network and sandbox.
//!
//! References are a full id, a name, or an unambiguous beginning of an id, looked for in this order.

mod denied;
mod endpoints;
mod gateway;
mod info;
mod interfaces;
mod names;
mod networks;
mod ports;
pub mod record;
mod reference;
mod reservations;
mod sandboxes;
mod services;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jackfield_model::{EndpointId, Family, LinkName, Name, NetworkId, SandboxId};

pub use denied::{Denied, Kind};
pub use endpoints::Placement;
pub use gateway::DefaultRoute;
pub use names::Naming;
pub use networks::Asked;
pub use ports::PortChange;
pub use record::{
    EndpointRecord, Ground, NetworkRecord, Publication, Reservation, Resolver, SandboxRecord, ServiceRecord, Standing,
    Stay,
};
pub use reference::is_full_id;
pub use services::ServiceKey;

use crate::ipam::Ipam;

/// The answer to a request that was not denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin<T> {
    /// Do it.
    Go(T),
    /// Nothing is to be done.
    AlreadySo(T),
}

/// Where a network stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkPhase {
    /// Being made.
    Creating,
    /// In use.
    Ready,
    /// Its plan cannot be applied yet, because.
    Waiting(String),
    /// Its stored plan is being applied again.
    Applying,
    /// Being deleted.
    Deleting,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointPhase {
    /// Being made; also while a connect is under way.
    Creating,
    /// In no sandbox.
    Created,
    /// On its way into a sandbox.
    Joining,
    /// In a sandbox.
    Joined,
    /// In a sandbox, while its published ports change.
    Publishing,
    /// On its way out.
    Leaving,
    /// Being deleted.
    Deleting,
}

/// Where a sandbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxPhase {
    /// Being made.
    Creating,
    /// In use.
    Ready,
    /// Being deleted: nobody may join any more.
    Deleting,
}

/// A network.
#[derive(Clone, Debug)]
pub struct Network {
    /// What the store has of it.
    pub record: NetworkRecord,
    /// Where it stands.
    pub phase: NetworkPhase,
    /// Its endpoints, those that are being made included.
    pub endpoints: BTreeSet<EndpointId>,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What the journal has of it.
    pub record: EndpointRecord,
    /// Where it stands.
    pub phase: EndpointPhase,
    /// The sandbox that it is in, or on its way into or out of.
    pub sandbox: Option<SandboxId>,
    /// Families for which the kernel refused its default route: it is not elected again.
    pub refused: BTreeSet<Family>,
    /// And why, for the last of them.
    pub refusal: Option<String>,
}

/// A sandbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// What the journal has of it.
    pub record: SandboxRecord,
    /// Where it stands.
    pub phase: SandboxPhase,
    /// Its endpoints, those on their way in or out included.
    pub endpoints: BTreeSet<EndpointId>,
    /// Names of interfaces there, and whose they are.
    pub interfaces: BTreeMap<LinkName, EndpointId>,
    /// Somebody is seeing to its default routes.
    pub settling: bool,
    /// Somebody is seeing to its resolver.
    pub naming: bool,
}

/// All that a realm has.
#[derive(Debug, Default)]
pub struct RealmState {
    /// By id.
    pub networks: BTreeMap<NetworkId, Network>,
    /// By id.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    /// By id.
    pub sandboxes: BTreeMap<SandboxId, Sandbox>,
    /// Its addresses.
    pub ipam: Ipam,
    /// Names that stand for several endpoints of a network.
    pub services: BTreeMap<ServiceKey, ServiceRecord>,
    /// Those that an earlier host had and whose operations are lost, until they are made anew.
    pub fallen_services: BTreeMap<ServiceKey, ServiceRecord>,
    network_names: BTreeMap<Name, NetworkId>,
    sandbox_names: BTreeMap<Name, SandboxId>,
    /// Counts endpoints and joins, so that "the oldest" has a meaning.
    clock: u64,
}

impl RealmState {
    /// With nothing in it.
    pub fn new(ipam: Ipam) -> Self {
        Self {
            ipam,
            ..Self::default()
        }
    }

    /// Nothing is in it but networks, and nothing happens to those.
    pub fn is_idle(&self) -> bool {
        let settled = |n: &Network| matches!(n.phase, NetworkPhase::Ready | NetworkPhase::Waiting(_));
        self.endpoints.is_empty()
            && self.sandboxes.is_empty()
            && self.services.is_empty()
            && !self.ipam.has_leased()
            && self.networks.values().all(settled)
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl EndpointPhase {
    /// Something is under way.
    pub fn busy(self) -> bool {
        !matches!(self, Self::Created | Self::Joined)
    }
}

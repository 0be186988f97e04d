//! What the host tells an operation, and what an operation leaves.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use jackfield_kernel::{Ifindex, LinkAt, Plan, Realm};
use jackfield_model::{EndpointSpec, Family, IpNetwork, LinkName, MacAddr, NetworkSpec, Result, StaticRoute};
use serde::{Deserialize, Serialize};

use crate::{Identity, PortBook, PortReservation, grants::Grants};

/// Which call. Steps may be recorded in create-network, create-endpoint, join and program; in the others that is an invalid-state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `config`
    Config,
    /// `create-network`
    CreateNetwork,
    /// `delete-network`
    DeleteNetwork,
    /// `create-endpoint`
    CreateEndpoint,
    /// `delete-endpoint`
    DeleteEndpoint,
    /// `join`
    Join,
    /// `leave`
    Leave,
    /// `program`
    Program,
    /// `revoke`
    Revoke,
}

impl Phase {
    /// Whether a call of this phase may record steps.
    pub fn records(self) -> bool {
        matches!(
            self,
            Self::CreateNetwork | Self::CreateEndpoint | Self::Join | Self::Program
        )
    }

    /// Whether what it makes belongs to an endpoint, not to the network.
    pub fn of_endpoint(self) -> bool {
        !matches!(self, Self::Config | Self::CreateNetwork | Self::DeleteNetwork)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "config",
            Self::CreateNetwork => "create-network",
            Self::DeleteNetwork => "delete-network",
            Self::CreateEndpoint => "create-endpoint",
            Self::DeleteEndpoint => "delete-endpoint",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Program => "program",
            Self::Revoke => "revoke",
        })
    }
}

/// A link that an earlier, accepted operation of the same network or endpoint made, or planned for its join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLink {
    /// The driver's word for it.
    pub label: String,
    /// It belongs to an endpoint; else to the network. An endpoint may use a label that its network uses too, and finds its own first.
    #[serde(default)]
    pub of_endpoint: bool,
    /// Where and which.
    pub at: LinkAt,
    /// Its name.
    pub name: LinkName,
    /// As iproute2 names it.
    pub kind: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// Payload, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Ports of this bridge do not reach each other.
    #[serde(default)]
    pub ports_isolated: bool,
    /// Families in which published ports are reached at the endpoints' own addresses: of a network's link that is guarded so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routed: Vec<Family>,
    /// Planned by create-endpoint for the join, not in the kernel yet.
    #[serde(default)]
    pub planned: bool,
}

/// A value of a driver's store with the version that it was read at; version 0 is "never written".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versioned {
    /// None when there is no such key.
    pub value: Option<Vec<u8>>,
    /// Grows with every write.
    pub version: u64,
}

/// A driver's keys and values as committed.
pub trait StateStore: fmt::Debug + Send + Sync {
    /// One value.
    fn get(&self, driver: &str, key: &str) -> Result<Versioned>;
    /// Keys that begin with `prefix`, in order, at most `limit`, after `after`.
    fn list(&self, driver: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>>;
    /// Bytes that the driver's keys and values take.
    fn size(&self, driver: &str) -> Result<u64>;
}

/// A key that the operation wrote, None for deleted.
pub type StateWrite = (String, Option<Vec<u8>>);

/// All that the host tells an operation.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where it takes place.
    pub realm: Arc<Realm>,
    /// Whose call it is.
    pub driver: Identity,
    /// What that driver may do.
    pub grants: Arc<Grants>,
    /// Which call.
    pub phase: Phase,
    /// The network, but for `config`.
    pub network: Option<Arc<NetworkSpec>>,
    /// The endpoint, where there is one.
    pub endpoint: Option<Arc<EndpointSpec>>,
    /// Links of the network and of the endpoint.
    pub own_links: Vec<OwnLink>,
    /// What create-endpoint recorded, given to the join: its plan begins with these steps, so that [`Outcome::plan`] is all there is to apply.
    /// Their links get new indexes, and names unless asked for, at each join: those of the last one may not be quite gone.
    pub deferred: Option<Arc<Plan>>,
    /// The sandbox's interface is made in the realm, because the runtime moves it from there itself.
    pub foreign_sandbox: bool,
    /// The driver's keys.
    pub state: Arc<dyn StateStore>,
    /// Host ports in use, of this realm.
    pub ports: Arc<PortBook>,
}

/// A link handle. Handles are numbered across operations, so that one kept from an earlier operation means nothing in a later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub u32);

/// What an operation that ended well leaves.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The steps; of a join, those deferred from create-endpoint too.
    pub plan: Plan,
    /// Keys read or written, with the version that was seen: a commit is void when one has changed.
    pub reads: BTreeMap<String, u64>,
    /// Keys written.
    pub writes: Vec<StateWrite>,
    /// Links that `plan` makes; of a join, those deferred from create-endpoint too, as they now are.
    pub links: Vec<OwnLink>,
    /// Links of the host that the plan refers to by index: after a reboot they have to be found by name.
    pub parents: BTreeMap<Ifindex, LinkName>,
    /// Addresses of the host that ports of this network are published on where none is asked for, one of a family at most. Empty: all of them.
    pub host_bindings: Vec<IpAddr>,
    /// Host ports that `plan` publishes. They are free again when the reservations are dropped.
    pub ports: Vec<PortReservation>,
}

/// What the host gives the sandbox's interface.
#[derive(Clone, Debug)]
pub struct SandboxInterface {
    /// Its final name there.
    pub name: LinkName,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: Vec<IpNetwork>,
    /// Connected routes first, then by gateways.
    pub routes: Vec<StaticRoute>,
    /// Default gateways, when the sandbox's default route goes this way.
    pub gateways: Vec<IpAddr>,
}

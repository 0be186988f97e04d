//! One driver call under way: what it may see, and the plan that it records.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use jackfield_kernel::{
    Ifindex, LinkAt, LinkStatistics, Plan, Realm,
    plan::{IpvlanMode, MacvlanMode, Rate, SysctlTable},
};
use jackfield_model::{
    EndpointSpec, Family, IpNetwork, LinkName, MacAddr, NetworkSpec, Options, PortMapping, Result,
};

use crate::{Identity, grants::Grants};

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

/// A link that an earlier, accepted operation of the same network or endpoint made, or planned for its join.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OwnLink {
    /// The driver's word for it.
    pub label: String,
    /// Where and which.
    pub at: LinkAt,
    /// Its name.
    pub name: LinkName,
    /// As iproute2 names it.
    pub kind: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// Payload, where it was given.
    pub mtu: Option<u32>,
    /// Ports of this bridge do not reach each other.
    pub ports_isolated: bool,
    /// In the kernel already, or planned by create-endpoint for the join.
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
    /// Makes of create-endpoint, applied with the join.
    pub deferred: Option<Arc<Plan>>,
    /// The sandbox's interface is made in the realm, because the runtime moves it from there itself.
    pub foreign_sandbox: bool,
    /// The driver's keys.
    pub state: Arc<dyn StateStore>,
}

/// A link handle: an index into the operation's own table, so that it can be guessed by nobody and means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub u32);

/// What an operation that ended well leaves.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The steps.
    pub plan: Plan,
    /// Keys read, with the version that was seen: a commit is void when one has changed.
    pub reads: BTreeMap<String, u64>,
    /// Keys written.
    pub writes: Vec<StateWrite>,
    /// Links made, by label.
    pub links: Vec<OwnLink>,
}

/// One driver call under way.
#[derive(Debug)]
pub struct Operation {
    context: Option<Context>,
}

/// Every method is one function of the WIT package; see there for what each promises. Errors carry the codes of that package.
#[allow(unused_variables, clippy::missing_errors_doc)]
impl Operation {
    /// Begins.
    pub fn new(context: Context) -> Self {
        Self { context: Some(context) }
    }

    /// An operation in which everything is refused: what stays behind while the real one is inside a guest's store.
    pub fn detached() -> Self {
        Self { context: None }
    }

    /// Ends well.
    pub fn finish(self) -> Outcome {
        unimplemented!()
    }

    /// What the host told it; None when detached.
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    // Links: making.
    pub fn create_bridge(&mut self, label: &str, name: Option<&str>, attributes: &Options) -> Result<LinkId> { unimplemented!() }
    pub fn create_veth(&mut self, label: &str, attributes: &Options) -> Result<(LinkId, LinkId)> { unimplemented!() }
    pub fn create_macvlan(&mut self, label: &str, parent: LinkId, mode: MacvlanMode, attributes: &Options) -> Result<LinkId> { unimplemented!() }
    pub fn create_ipvlan(&mut self, label: &str, parent: LinkId, mode: IpvlanMode, attributes: &Options) -> Result<LinkId> { unimplemented!() }
    pub fn create_vlan(&mut self, label: &str, parent: LinkId, id: u16, attributes: &Options) -> Result<LinkId> { unimplemented!() }
    pub fn create_vxlan(&mut self, label: &str, vni: u32, parent: Option<LinkId>, attributes: &Options) -> Result<LinkId> { unimplemented!() }
    pub fn create_dummy(&mut self, label: &str, attributes: &Options) -> Result<LinkId> { unimplemented!() }
    pub fn create_tap(&mut self, label: &str, attributes: &Options) -> Result<LinkId> { unimplemented!() }

    // Links: finding.
    pub fn find_link(&mut self, name: &str) -> Result<LinkId> { unimplemented!() }
    pub fn find_own(&mut self, label: &str) -> Result<LinkId> { unimplemented!() }
    pub fn list_links(&mut self) -> Result<Vec<LinkId>> { unimplemented!() }
    pub fn supports(&mut self, kind: &str) -> Result<bool> { unimplemented!() }
    /// A guest dropped its handle.
    pub fn forget(&mut self, link: LinkId) { unimplemented!() }

    // Links: reading.
    pub fn link_name(&mut self, link: LinkId) -> Result<LinkName> { unimplemented!() }
    pub fn link_kind(&mut self, link: LinkId) -> Result<String> { unimplemented!() }
    pub fn link_label(&mut self, link: LinkId) -> Result<String> { unimplemented!() }
    pub fn link_mtu(&mut self, link: LinkId) -> Result<u32> { unimplemented!() }
    pub fn link_addresses(&mut self, link: LinkId) -> Result<Vec<IpNetwork>> { unimplemented!() }
    /// None while planned, or else whether it is up.
    pub fn link_up(&mut self, link: LinkId) -> Result<Option<bool>> { unimplemented!() }
    pub fn link_mac(&mut self, link: LinkId) -> Result<Option<MacAddr>> { unimplemented!() }
    pub fn link_statistics(&mut self, link: LinkId) -> Result<LinkStatistics> { unimplemented!() }

    // Links: changing.
    pub fn set_up(&mut self, link: LinkId, up: bool) -> Result<()> { unimplemented!() }
    pub fn set_mtu(&mut self, link: LinkId, mtu: u32) -> Result<()> { unimplemented!() }
    pub fn set_mac(&mut self, link: LinkId, mac: MacAddr) -> Result<()> { unimplemented!() }
    pub fn set_controller(&mut self, link: LinkId, controller: Option<LinkId>) -> Result<()> { unimplemented!() }
    pub fn set_bridge_port(&mut self, link: LinkId, attributes: &Options) -> Result<()> { unimplemented!() }
    pub fn add_address(&mut self, link: LinkId, address: IpNetwork) -> Result<()> { unimplemented!() }
    pub fn remove_address(&mut self, link: LinkId, address: IpNetwork) -> Result<()> { unimplemented!() }
    pub fn add_neighbour(&mut self, link: LinkId, address: IpAddr, mac: MacAddr) -> Result<()> { unimplemented!() }
    pub fn remove_neighbour(&mut self, link: LinkId, address: IpAddr) -> Result<()> { unimplemented!() }
    pub fn add_proxy_neighbour(&mut self, link: LinkId, address: IpAddr) -> Result<()> { unimplemented!() }
    pub fn remove_proxy_neighbour(&mut self, link: LinkId, address: IpAddr) -> Result<()> { unimplemented!() }
    pub fn add_forwarding_entry(&mut self, link: LinkId, entry: jackfield_kernel::plan::ForwardingEntry) -> Result<()> { unimplemented!() }
    pub fn remove_forwarding_entry(&mut self, link: LinkId, entry: jackfield_kernel::plan::ForwardingEntry) -> Result<()> { unimplemented!() }
    pub fn set_sysctl(&mut self, link: LinkId, family: Family, table: SysctlTable, key: &str, value: &str) -> Result<()> { unimplemented!() }
    pub fn set_bandwidth(&mut self, link: LinkId, ingress: Option<Rate>, egress: Option<Rate>) -> Result<()> { unimplemented!() }
    pub fn delete_link(&mut self, link: LinkId) -> Result<()> { unimplemented!() }

    // Routing.
    pub fn add_route(&mut self, destination: IpNetwork, gateway: Option<IpAddr>, attributes: &Options, link: Option<LinkId>) -> Result<()> { unimplemented!() }
    pub fn remove_route(&mut self, destination: IpNetwork, gateway: Option<IpAddr>, attributes: &Options, link: Option<LinkId>) -> Result<()> { unimplemented!() }
    pub fn add_rule(&mut self, family: Family, rule: &Options) -> Result<()> { unimplemented!() }
    pub fn remove_rule(&mut self, family: Family, rule: &Options) -> Result<()> { unimplemented!() }
    /// Link (when it is granted), gateway, source.
    pub fn lookup_route(&mut self, destination: IpAddr) -> Result<(Option<LinkId>, Option<IpAddr>, Option<IpAddr>)> { unimplemented!() }

    // Firewall.
    pub fn masquerade(&mut self, subnet: IpNetwork, link: LinkId) -> Result<()> { unimplemented!() }
    pub fn publish(&mut self, mapping: PortMapping) -> Result<u16> { unimplemented!() }
    pub fn make_internal(&mut self, link: LinkId) -> Result<()> { unimplemented!() }
    pub fn isolate_ports(&mut self, link: LinkId) -> Result<()> { unimplemented!() }

    // State.
    pub fn state_get(&mut self, key: &str) -> Result<Option<Vec<u8>>> { unimplemented!() }
    pub fn state_set(&mut self, key: &str, value: &[u8]) -> Result<()> { unimplemented!() }
    pub fn state_delete(&mut self, key: &str) -> Result<()> { unimplemented!() }
    pub fn state_list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> { unimplemented!() }

    // The host's own part of a join.
    /// Gives the link that join returned its place as the sandbox's interface: final name, MAC, addresses, up, gateways and routes in the sandbox.
    /// In a foreign sandbox only the MAC: the runtime does the rest.
    pub fn finish_interface(&mut self, link: LinkId, interface: &SandboxInterface) -> Result<()> { unimplemented!() }

    /// The host index behind a handle.
    pub fn index_of(&self, link: LinkId) -> Option<Ifindex> { unimplemented!() }
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
    pub routes: Vec<jackfield_model::StaticRoute>,
    /// Default gateways, when the sandbox's default route goes this way.
    pub gateways: Vec<IpAddr>,
}

//! Links: making, finding, reading and changing them.

use std::net::IpAddr;

use crate::{Cidr, Family, ForwardingEntry, Mac, Result, backend};

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Recorded in the plan under way.
    Planned,
    /// Down.
    Down,
    /// Up.
    Up,
}

/// Counters of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Received packets dropped.
    pub rx_dropped: u64,
    /// Sent packets dropped.
    pub tx_dropped: u64,
}

/// A limit, by token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes at once.
    pub burst_bytes: u32,
}

/// Modes of a macvlan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Ports reach each other.
    Bridge,
    /// They do not.
    Private,
    /// By the switch outside.
    Vepa,
    /// One port takes the parent over.
    Passthru,
}

/// Modes of an ipvlan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// Switched.
    L2,
    /// Routed.
    L3,
    /// Routed, with connection tracking.
    L3s,
}

/// The two folders of per-link sysctls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysctlTable {
    /// `net.<family>.conf.<link>`
    Conf,
    /// `net.<family>.neigh.<link>`
    Neigh,
}

/// A link that the driver made, or was granted. Changes are recorded, and carried out all or none when the call ends well.
///
/// Attributes are pairs as iproute2 spells them, `[("stp_state", "1")]`; one that the host does not know is refused.
#[derive(Debug)]
pub struct Link {
    pub(crate) handle: backend::Handle,
}

impl From<backend::Handle> for Link {
    fn from(handle: backend::Handle) -> Self {
        Self { handle }
    }
}

#[cfg(not(target_family = "wasm"))]
impl Link {
    /// For backends: the handle that they gave out.
    pub fn native_handle(&self) -> &backend::Handle {
        &self.handle
    }
}

/// Making links. The label is the driver's word for the link, unique within the network or endpoint: [`Link::find_own`] finds it by that.
impl Link {
    /// A bridge; None lets the host choose the name.
    pub fn create_bridge(label: &str, name: Option<&str>, attributes: &[(&str, &str)]) -> Result<Self> {
        backend::create_bridge(label, name, attributes).map(Self::from)
    }

    /// A pair: the second end is labelled `label`-peer. Either may become the sandbox's interface.
    pub fn create_veth(label: &str) -> Result<(Self, Self)> {
        backend::create_veth(label).map(|(link, peer)| (link.into(), peer.into()))
    }

    /// A macvlan on a parent.
    pub fn create_macvlan(label: &str, parent: &Self, mode: MacvlanMode) -> Result<Self> {
        backend::create_macvlan(label, &parent.handle, mode).map(Self::from)
    }

    /// An ipvlan on a parent.
    pub fn create_ipvlan(label: &str, parent: &Self, mode: IpvlanMode) -> Result<Self> {
        backend::create_ipvlan(label, &parent.handle, mode).map(Self::from)
    }

    /// An IEEE 802.1Q VLAN on a parent; 1 to 4094.
    pub fn create_vlan(label: &str, parent: &Self, id: u16) -> Result<Self> {
        backend::create_vlan(label, &parent.handle, id).map(Self::from)
    }

    /// A VXLAN; the number has 24 bits.
    pub fn create_vxlan(label: &str, vni: u32, parent: Option<&Self>, attributes: &[(&str, &str)]) -> Result<Self> {
        backend::create_vxlan(label, vni, parent.map(|parent| &parent.handle), attributes).map(Self::from)
    }

    /// A dummy.
    pub fn create_dummy(label: &str) -> Result<Self> {
        backend::create_dummy(label).map(Self::from)
    }

    /// A TAP device; attributes user, group, multi_queue, vnet_hdr.
    pub fn create_tap(label: &str, attributes: &[(&str, &str)]) -> Result<Self> {
        backend::create_tap(label, attributes).map(Self::from)
    }
}

/// Finding links.
impl Link {
    /// One of the driver's links, or one of the host's that it was granted.
    pub fn find(name: &str) -> Result<Self> {
        backend::find_link(name).map(Self::from)
    }

    /// A link of the operation's endpoint, or else of its network, by its label.
    pub fn find_own(label: &str) -> Result<Self> {
        backend::find_own(label).map(Self::from)
    }

    /// The links of the network and endpoint that the operation concerns.
    pub fn list() -> Result<Vec<Self>> {
        backend::list_links().map(|links| links.into_iter().map(Self::from).collect())
    }
}

/// Reading. A link that is gone meanwhile reads as empty.
impl Link {
    /// At most 15 bytes.
    pub fn name(&self) -> String {
        backend::link_name(&self.handle)
    }

    /// As iproute2 names it.
    pub fn kind(&self) -> String {
        backend::link_kind(&self.handle)
    }

    /// What the driver called it; empty for a link of the host.
    pub fn label(&self) -> String {
        backend::link_label(&self.handle)
    }

    /// Largest payload, in bytes.
    pub fn mtu(&self) -> u32 {
        backend::link_mtu(&self.handle)
    }

    /// Its addresses.
    pub fn addresses(&self) -> Vec<Cidr> {
        backend::link_addresses(&self.handle)
    }

    /// Where it stands.
    pub fn state(&self) -> LinkState {
        backend::link_state(&self.handle)
    }

    /// Its MAC, where it has one.
    pub fn mac(&self) -> Option<Mac> {
        backend::link_mac(&self.handle)
    }

    /// Its counters.
    pub fn statistics(&self) -> Result<Statistics> {
        backend::link_statistics(&self.handle)
    }
}

/// Changing.
impl Link {
    /// Up or down.
    pub fn set_up(&self, up: bool) -> Result<()> {
        backend::set_up(&self.handle, up)
    }

    /// Largest payload, in bytes, 68 to 65535.
    pub fn set_mtu(&self, mtu: u32) -> Result<()> {
        backend::set_mtu(&self.handle, mtu)
    }

    /// Its MAC, where this operation makes it.
    pub fn set_mac(&self, mac: Mac) -> Result<()> {
        backend::set_mac(&self.handle, mac)
    }

    /// Makes it a port of a bridge, or of none.
    pub fn set_controller(&self, controller: Option<&Self>) -> Result<()> {
        backend::set_controller(&self.handle, controller.map(|controller| &controller.handle))
    }

    /// As `ip link set type bridge_slave`: isolated, hairpin, learning, neigh_suppress, flood, mcast_flood.
    pub fn set_bridge_port(&self, attributes: &[(&str, &str)]) -> Result<()> {
        backend::set_bridge_port(&self.handle, attributes)
    }

    /// Adds an address.
    pub fn add_address(&self, address: Cidr) -> Result<()> {
        backend::add_address(&self.handle, address)
    }

    /// Removes one.
    pub fn remove_address(&self, address: Cidr) -> Result<()> {
        backend::remove_address(&self.handle, address)
    }

    /// A permanent neighbour.
    pub fn add_neighbour(&self, address: IpAddr, mac: Mac) -> Result<()> {
        backend::add_neighbour(&self.handle, address, mac)
    }

    /// Removes it.
    pub fn remove_neighbour(&self, address: IpAddr) -> Result<()> {
        backend::remove_neighbour(&self.handle, address)
    }

    /// Answers for an address on behalf of someone else.
    pub fn add_proxy_neighbour(&self, address: IpAddr) -> Result<()> {
        backend::add_proxy_neighbour(&self.handle, address)
    }

    /// Stops that.
    pub fn remove_proxy_neighbour(&self, address: IpAddr) -> Result<()> {
        backend::remove_proxy_neighbour(&self.handle, address)
    }

    /// Adds to a bridge's or VXLAN's forwarding database.
    pub fn add_forwarding_entry(&self, entry: ForwardingEntry) -> Result<()> {
        backend::add_forwarding_entry(&self.handle, entry)
    }

    /// Removes from it.
    pub fn remove_forwarding_entry(&self, entry: ForwardingEntry) -> Result<()> {
        backend::remove_forwarding_entry(&self.handle, entry)
    }

    /// A key of the link's own folder, for instance "proxy_arp".
    pub fn set_sysctl(&self, family: Family, table: SysctlTable, key: &str, value: &str) -> Result<()> {
        backend::set_sysctl(&self.handle, family, table, key, value)
    }

    /// Ingress is what the sandbox receives; None is without limit.
    pub fn set_bandwidth(&self, ingress: Option<Rate>, egress: Option<Rate>) -> Result<()> {
        backend::set_bandwidth(&self.handle, ingress, egress)
    }

    /// Deletes it before its owner goes.
    pub fn delete(self) -> Result<()> {
        backend::delete_link(&self.handle)
    }
}

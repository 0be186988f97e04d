//! What an operation wants of the kernel: typed steps, recorded by drivers, applied by the host all or none.
//!
//! A plan is data. It is journalled before it is applied, and whatever must be known to take it back (index, name, MAC, the value
//! that a setting had before) is in it before the kernel has seen any of it. *Makes* have an inverse and go first; *removals* (the
//! design calls them drops) have none: they run after commit, and running one again does no harm.

mod firewall;

use std::{fmt, net::IpAddr, num::NonZeroU32};

use jackfield_model::{Family, IpNetwork, LinkName, MacAddr, Options};
use serde::{Deserialize, Serialize};

pub use firewall::{Entry, FirewallRule};

/// A link's index. The host chooses it, from a high range of its own, when the step is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ifindex(NonZeroU32);

impl Ifindex {
    /// None for zero and for what does not fit the kernel's signed 32 bits.
    pub fn new(index: u32) -> Option<Self> {
        NonZeroU32::new(index).filter(|i| i.get() <= i32::MAX as u32).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Ifindex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of the two namespaces of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The namespace that serves as host.
    Realm,
    /// The sandbox that is joined.
    Sandbox,
}

/// A link, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkAt {
    /// Where.
    pub place: Place,
    /// Which.
    pub index: Ifindex,
}

/// The steps of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// All of them are done, or none.
    pub makes: Vec<Make>,
    /// Done after commit, and repeated until they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<Removal>,
}

/// A step that has an inverse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Make {
    /// A new link; its inverse deletes it, and with it all that was made on it.
    Link(NewLink),
    /// A link that somebody else made in the realm, lent to the sandbox; its inverse brings it back. 16 to 20 ms each way, whatever one does.
    Lend(LentLink),
    /// A link's setting. `was` is the value before, None when the link is made by the same plan or value needs no restoring.
    Set {
        /// Which link.
        link: LinkAt,
        /// The new value.
        to: LinkSetting,
        /// The value before; restored only where the link still has `to`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<LinkSetting>,
    },
    /// An address of a link, without duplicate address detection.
    Address {
        /// Which link.
        link: LinkAt,
        /// The address with its subnet's prefix.
        address: IpNetwork,
    },
    /// A permanent neighbour.
    Neighbour {
        /// On which link.
        link: LinkAt,
        /// Whose address.
        address: IpAddr,
        /// And MAC.
        mac: MacAddr,
    },
    /// An address answered for on behalf of someone else (proxy ARP, proxy ND).
    ProxyNeighbour {
        /// On which link.
        link: LinkAt,
        /// Which address.
        address: IpAddr,
    },
    /// An entry of a bridge's or VXLAN's forwarding database.
    Forwarding {
        /// Whose database.
        link: LinkAt,
        /// The entry.
        entry: ForwardingEntry,
    },
    /// A route.
    Route {
        /// Where.
        place: Place,
        /// The route.
        route: Route,
    },
    /// A rule of the realm's routing policy.
    Rule(Rule),
    /// A per-link sysctl.
    Sysctl {
        /// Which link.
        link: LinkAt,
        /// Which key.
        key: SysctlKey,
        /// The new value.
        value: String,
        /// The value before, None when the link is made by the same plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<String>,
    },
    /// Limits of what a link receives and sends.
    Bandwidth {
        /// Which link.
        link: LinkAt,
        /// What the sandbox receives.
        ingress: Option<Rate>,
        /// What the sandbox sends.
        egress: Option<Rate>,
    },
    /// Something in the host's own nftables table.
    Firewall(FirewallRule),
    /// The sandbox's questions to 127.0.0.11 port 53, of either protocol, are led to this port there.
    Resolver {
        /// The port.
        port: u16,
    },
}

/// A step without inverse. What is not there any more counts as removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// Delete a link of our own, known by its MAC as well as its index.
    Link {
        /// Which.
        link: LinkAt,
        /// Its MAC: an index alone may have found a new owner.
        mac: MacAddr,
    },
    /// Remove an address.
    Address {
        /// From which link.
        link: LinkAt,
        /// Which.
        address: IpNetwork,
    },
    /// Remove a neighbour.
    Neighbour {
        /// From which link.
        link: LinkAt,
        /// Which.
        address: IpAddr,
    },
    /// Stop answering for an address.
    ProxyNeighbour {
        /// On which link.
        link: LinkAt,
        /// Which.
        address: IpAddr,
    },
    /// Remove a forwarding entry.
    Forwarding {
        /// From whose database.
        link: LinkAt,
        /// Which.
        entry: ForwardingEntry,
    },
    /// Remove a route.
    Route {
        /// Where.
        place: Place,
        /// Which.
        route: Route,
    },
    /// Remove a rule.
    Rule(Rule),
    /// Remove something from the host's own nftables table.
    Firewall(FirewallRule),
    /// Forget the tracked connections that went to or came from an address, so that the next packet is looked at anew.
    Conntrack {
        /// Whose.
        address: IpAddr,
    },
}

/// A link to make. Everything that the kernel would otherwise choose is chosen here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLink {
    /// Where it is made; never moved afterwards.
    pub at: LinkAt,
    /// Its name there.
    pub name: LinkName,
    /// Its MAC, always given: udev changes the ones that are not. Together with the index it proves that a link is ours.
    pub mac: MacAddr,
    /// None leaves the kernel's default for the kind.
    pub mtu: Option<u32>,
    /// What kind.
    pub kind: LinkKind,
}

/// A link of somebody else's that is moved to the sandbox, and back: as it was made, but down and without addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LentLink {
    /// Its index in the realm, to which it goes back.
    pub from: Ifindex,
    /// Its name in the realm, to which it goes back.
    pub was: LinkName,
    /// Its place in the sandbox, with an index that the host chose.
    pub at: LinkAt,
    /// Its name there.
    pub name: LinkName,
    /// Its MAC and kind: together with the index they prove that what comes back is what went.
    pub mac: MacAddr,
    /// As iproute2 names it; empty for hardware.
    pub kind: String,
}

/// The kinds of links, as iproute2 names them. `attributes` of the draft arrive here typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A bridge.
    Bridge(BridgeAttributes),
    /// One end of a pair; the other is made with it.
    Veth {
        /// The other end. It has no LinkKind of its own.
        peer: VethPeer,
    },
    /// A macvlan on a parent.
    Macvlan {
        /// Index of the parent, in the realm.
        parent: Ifindex,
        /// Its mode.
        mode: MacvlanMode,
    },
    /// An ipvlan on a parent.
    Ipvlan {
        /// Index of the parent, in the realm.
        parent: Ifindex,
        /// Its mode.
        mode: IpvlanMode,
    },
    /// An IEEE 802.1Q VLAN on a parent.
    Vlan {
        /// Index of the parent, in the realm.
        parent: Ifindex,
        /// 1 to 4094.
        id: u16,
    },
    /// A VXLAN.
    Vxlan(VxlanAttributes),
    /// A dummy.
    Dummy,
    /// A TAP device; persistent.
    Tap(TapAttributes),
}

impl LinkKind {
    /// As iproute2 names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bridge(_) => "bridge",
            Self::Veth { .. } => "veth",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Vlan { .. } => "vlan",
            Self::Vxlan(_) => "vxlan",
            Self::Dummy => "dummy",
            Self::Tap(_) => "tap",
        }
    }
}

/// The second end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethPeer {
    /// Where it is made.
    pub at: LinkAt,
    /// Its name there.
    pub name: LinkName,
    /// Its MAC.
    pub mac: MacAddr,
    /// None leaves the kernel's default.
    pub mtu: Option<u32>,
}

/// What `ip link add type bridge` takes, as far as Jackfield does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgeAttributes {
    /// Spanning tree protocol.
    pub stp_state: Option<bool>,
    /// Seconds (x100) until a port forwards, with the protocol on.
    pub forward_delay: Option<u32>,
    /// Seconds (x100) until a learnt address is forgotten.
    pub ageing_time: Option<u32>,
    /// IGMP and MLD snooping.
    pub mcast_snooping: Option<bool>,
    /// 802.1Q filtering.
    pub vlan_filtering: Option<bool>,
    /// The VLAN that untagged frames of its ports, and of the bridge itself, belong to, 1 to 4094; with filtering.
    pub vlan_default_pvid: Option<u16>,
}

/// What `ip link add type vxlan` takes, as far as Jackfield does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VxlanAttributes {
    /// The network identifier, 24 bits.
    pub vni: u32,
    /// The underlay's link, in the realm.
    pub parent: Option<Ifindex>,
    /// Source address of the tunnel.
    pub local: Option<IpAddr>,
    /// Destination port.
    pub port: Option<u16>,
    /// Whether it learns addresses from what it receives; None for the kernel's default.
    pub learning: Option<bool>,
    /// Time to live of outer packets.
    pub ttl: Option<u8>,
}

/// What `ip tuntap` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TapAttributes {
    /// Owner.
    pub user: Option<u32>,
    /// Owning group.
    pub group: Option<u32>,
    /// Many queues.
    pub multi_queue: bool,
    /// A virtio header before each packet.
    pub vnet_hdr: bool,
}

/// Modes of a macvlan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// Switched.
    L2,
    /// Routed.
    L3,
    /// Routed, with connection tracking.
    L3s,
}

/// A setting of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkSetting {
    /// Up or down.
    Up(bool),
    /// Largest payload, in bytes.
    Mtu(u32),
    /// Its Ethernet address.
    Mac(MacAddr),
    /// A port of that bridge, or of none.
    Controller(Option<Ifindex>),
    /// Settings of a bridge's port; what is None stays as it is.
    BridgePort(BridgePortAttributes),
    /// Whether the kernel makes a link-local IPv6 address (ADDR_GEN_MODE eui64 or none).
    AddressGeneration(bool),
}

/// As `ip link set type bridge_slave`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgePortAttributes {
    /// No traffic between isolated ports.
    pub isolated: Option<bool>,
    /// Send back out of the port that a frame came in by.
    pub hairpin: Option<bool>,
    /// Learn addresses.
    pub learning: Option<bool>,
    /// Answer ARP and ND from what is known.
    pub neigh_suppress: Option<bool>,
    /// Flood unknown unicast.
    pub flood: Option<bool>,
    /// Flood unknown multicast.
    pub mcast_flood: Option<bool>,
}

/// An entry of a bridge's or VXLAN's forwarding database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingEntry {
    /// The all-zero address (None) is where VXLAN floods.
    pub mac: Option<MacAddr>,
    /// The remote VTEP, for VXLAN.
    pub destination: Option<IpAddr>,
    /// None: the VXLAN's own.
    pub vni: Option<u32>,
    /// None: untagged.
    pub vlan: Option<u16>,
}

/// A route. Ours carry our routing protocol number, so that they are known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: IpNetwork,
    /// By which link; None for a type that has none, or to let the kernel find the gateway's.
    pub link: Option<Ifindex>,
    /// None: on the link itself, with scope link.
    pub gateway: Option<IpAddr>,
    /// Preferred source address.
    #[serde(default)]
    pub source: Option<IpAddr>,
    /// Lower is preferred.
    #[serde(default)]
    pub metric: Option<u32>,
    /// None: main.
    #[serde(default)]
    pub table: Option<u32>,
    /// What becomes of a packet.
    #[serde(default)]
    pub kind: RouteKind,
    /// The gateway is on the link although no address says so.
    #[serde(default)]
    pub onlink: bool,
    /// Largest payload on this route.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// Largest TCP segment announced on this route.
    #[serde(default)]
    pub advmss: Option<u32>,
}

impl Route {
    /// A route to `destination` on the link itself.
    pub fn connected(destination: IpNetwork, link: Ifindex) -> Self {
        Self {
            destination,
            link: Some(link),
            gateway: None,
            source: None,
            metric: None,
            table: None,
            kind: RouteKind::Unicast,
            onlink: false,
            mtu: None,
            advmss: None,
        }
    }

    /// A route to `destination` by a gateway on that link.
    pub fn via(destination: IpNetwork, gateway: IpAddr, link: Ifindex) -> Self {
        Self {
            gateway: Some(gateway),
            ..Self::connected(destination, link)
        }
    }
}

/// Types of routes, as `ip route` names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Forward.
    #[default]
    Unicast,
    /// Drop in silence.
    Blackhole,
    /// Answer ICMP unreachable.
    Unreachable,
    /// Answer ICMP prohibited.
    Prohibit,
}

/// A rule of routing policy, as `ip rule` spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Which family.
    pub family: Family,
    /// Lower goes first.
    pub priority: u32,
    /// Table to look into.
    pub table: u32,
    /// Source.
    #[serde(default)]
    pub from: Option<IpNetwork>,
    /// Destination.
    #[serde(default)]
    pub to: Option<IpNetwork>,
    /// Incoming link.
    #[serde(default)]
    pub iif: Option<LinkName>,
    /// Outgoing link.
    #[serde(default)]
    pub oif: Option<LinkName>,
    /// Packet mark.
    #[serde(default)]
    pub fwmark: Option<u32>,
}

/// Which of `net.<family>.conf.<link>` and `net.<family>.neigh.<link>`, and which key there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SysctlKey {
    /// Which family.
    pub family: Family,
    /// Which folder.
    pub table: SysctlTable,
    /// The file, checked to be a plain word.
    pub key: String,
}

/// The two folders of per-link sysctls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SysctlTable {
    /// `net.<family>.conf.<link>`
    Conf,
    /// `net.<family>.neigh.<link>`
    Neigh,
}

/// A limit, by token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes at once.
    pub burst_bytes: u32,
}

impl Plan {
    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.makes.is_empty() && self.removals.is_empty()
    }

    /// The links that this plan makes, veth peers as well.
    pub fn new_links(&self) -> impl Iterator<Item = LinkAt> {
        self.makes
            .iter()
            .filter_map(|m| if let Make::Link(l) = m { Some(l) } else { None })
            .flat_map(|l| {
                let peer = if let LinkKind::Veth { peer } = &l.kind {
                    Some(peer.at)
                } else {
                    None
                };
                std::iter::once(l.at).chain(peer)
            })
    }
}

/// `ip link`'s attributes that a driver may give as text: kept beside the typed steps so that there is one list of known keys a kind.
pub type LinkAttributes = Options;

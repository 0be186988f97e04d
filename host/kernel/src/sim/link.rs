//! A link as this kernel keeps it.

use jackfield_model::{Family, LinkName, MacAddr};

use crate::{
    Ifindex, LinkInfo, NamespaceId,
    plan::{BridgePortAttributes, IpvlanMode, MacvlanMode},
};

/// Smallest payload that IPv4 works with (RFC 791), and that Ethernet links take.
pub(super) const MIN_MTU: u32 = 68;
/// Smallest payload that IPv6 works with (RFC 8200); below it the kernel takes IPv6 off the link.
pub(super) const MIN_MTU_IPV6: u32 = 1280;

/// A link, and its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) space: NamespaceId,
    pub(super) index: Ifindex,
}

/// What sort of link, with what only that sort has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Loopback,
    Bridge,
    Veth {
        peer: Spot,
    },
    Macvlan {
        parent: Spot,
        mode: MacvlanMode,
    },
    Ipvlan {
        parent: Spot,
        mode: IpvlanMode,
    },
    Vlan {
        parent: Spot,
        id: u16,
    },
    /// Its tunnels go over one family only, and start in the namespace that it was made from.
    Vxlan {
        vni: u32,
        port: u16,
        parent: Option<Spot>,
        over_ipv6: bool,
        home: NamespaceId,
    },
    Dummy,
    Tap,
    /// Hardware (an empty kind), or a kind that a test has placed and no plan makes.
    Other(String),
}

impl Nature {
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Loopback => "",
            Self::Bridge => "bridge",
            Self::Veth { .. } => "veth",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Vlan { .. } => "vlan",
            Self::Vxlan { .. } => "vxlan",
            Self::Dummy => "dummy",
            Self::Tap => "tap",
            Self::Other(kind) => kind,
        }
    }

    /// The link that this one cannot live without and sits on.
    pub(super) fn parent(&self) -> Option<Spot> {
        match self {
            Self::Macvlan { parent, .. } | Self::Ipvlan { parent, .. } | Self::Vlan { parent, .. } => Some(*parent),
            Self::Vxlan { parent, .. } => *parent,
            _ => None,
        }
    }

    /// What IFLA_LINK says of a link there. A VXLAN does not name its parent, but itself where it starts in another namespace.
    fn linked(&self, own: Spot) -> Option<Ifindex> {
        match self {
            Self::Veth { peer } => Some(peer.index),
            Self::Vxlan { home, .. } => Some(own.index).filter(|_| *home != own.space),
            _ => self.parent().map(|spot| spot.index),
        }
    }

    /// Whether `ip link delete` takes it; hardware and the loopback are not for deleting.
    pub(super) fn deletable(&self) -> bool {
        !matches!(self, Self::Loopback) && !self.kind().is_empty()
    }

    /// Largest payload, None for no limit.
    pub(super) fn max_mtu(&self) -> Option<u32> {
        match self {
            Self::Loopback | Self::Dummy => None,
            // drivers/net/tun.c: MAX_MTU is 65535 less an Ethernet header.
            Self::Tap => Some(65_521),
            _ => Some(65_535),
        }
    }

    /// Whether its MAC may change while it is up (IFF_LIVE_ADDR_CHANGE, or a driver that does not ask).
    pub(super) fn live_mac_change(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// A link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) name: LinkName,
    pub(super) nature: Nature,
    pub(super) mac: Option<MacAddr>,
    pub(super) mtu: u32,
    /// A bridge follows the smallest of its ports until somebody sets its MTU.
    pub(super) mtu_fixed: bool,
    pub(super) up: bool,
    pub(super) controller: Option<Ifindex>,
    pub(super) group: u32,
    pub(super) alias: Option<String>,
    pub(super) port: BridgePortAttributes,
    pub(super) address_generation: bool,
    /// Links are looked through in the order in which they were made in their namespace.
    pub(super) number: u64,
}

impl Link {
    /// A link that is down and has nothing.
    pub(super) fn new(name: LinkName, nature: Nature) -> Self {
        Self {
            name,
            nature,
            mac: None,
            mtu: 1500,
            mtu_fixed: false,
            up: false,
            controller: None,
            group: 0,
            alias: None,
            port: fresh_port(),
            address_generation: true,
            number: 0,
        }
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.nature == Nature::Loopback
    }

    pub(super) fn is_bridge(&self) -> bool {
        self.nature == Nature::Bridge
    }

    /// Whether a family works on it at all: IPv4 and IPv6 leave a link whose MTU is too small for them. IPv6 never leaves the loopback.
    pub(super) fn speaks(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.mtu >= MIN_MTU,
            Family::Ipv6 => self.mtu >= MIN_MTU_IPV6 || self.is_loopback(),
        }
    }

    pub(super) fn info(&self, own: Spot) -> LinkInfo {
        LinkInfo {
            index: own.index,
            name: self.name.clone(),
            kind: self.nature.kind().to_owned(),
            mac: self.mac,
            mtu: self.mtu,
            up: self.up,
            controller: self.controller,
            parent: self.nature.linked(own),
            group: self.group,
            alias: self.alias.clone(),
            bridge_port: self.controller.map(|_| self.port),
            address_generation: self.address_generation && self.speaks(Family::Ipv6),
        }
    }
}

/// The settings of a link that has just become a bridge's port.
pub(super) fn fresh_port() -> BridgePortAttributes {
    BridgePortAttributes {
        isolated: Some(false),
        hairpin: Some(false),
        learning: Some(true),
        neigh_suppress: Some(false),
        flood: Some(true),
        mcast_flood: Some(true),
    }
}

//! What an operation wants of the host's own nftables table.

use std::net::IpAddr;

use jackfield_model::{Family, IpNetwork, LinkName, PortMapping, Transport};
use serde::{Deserialize, Serialize};

/// What drivers may ask of the host's own nftables table, and what the host adds by itself. Each is elements of sets and maps, never a rule
/// of its own.
///
/// A *member* is a link in the realm by which a network's traffic comes and goes: its bridge, or an endpoint's own link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirewallRule {
    /// Masquerade what leaves the subnet by any other link than this.
    Masquerade {
        /// The subnet.
        subnet: IpNetwork,
        /// Its own link, by name.
        link: LinkName,
    },
    /// The same with a given source address, in place of that of the link it leaves by.
    MasqueradeAs {
        /// The subnet.
        subnet: IpNetwork,
        /// Its own link, by name.
        link: LinkName,
        /// An address of the host, of the subnet's family.
        source: IpAddr,
    },
    /// Publish a port, or a range of them.
    Publish {
        /// What is published; `host_port` is never zero here.
        mapping: PortMapping,
        /// The endpoint's address.
        target: IpAddr,
    },
    /// A port, or a range of them, that is reached from outside at the endpoint's own address: of a member whose entry is routed.
    Open {
        /// Which protocol.
        transport: Transport,
        /// The endpoint's address.
        target: IpAddr,
        /// The first port.
        port: u16,
        /// How many.
        count: u16,
    },
    /// Let nothing pass between this link and the world outside its network.
    Internal {
        /// The link, by name.
        link: LinkName,
    },
    /// A subnet of a network: its endpoints may pass between each other's links.
    Inside {
        /// The subnet.
        subnet: IpNetwork,
    },
    /// Two subnets of one network, whose endpoints may pass between each other's links.
    Across {
        /// The one.
        a: IpNetwork,
        /// The other, of the same family.
        b: IpNetwork,
    },
    /// A link of a network: nothing passes between it and the members of other networks, unless they let it in.
    Member {
        /// The link, by name.
        link: LinkName,
    },
    /// Two members of one network between which everything passes, both ways.
    Together {
        /// The one.
        a: LinkName,
        /// The other.
        b: LinkName,
    },
    /// An address behind a member: what comes from there is the network's own, and passes to where [`FirewallRule::Inside`] says.
    Home {
        /// The member, by name.
        link: LinkName,
        /// The endpoint's address.
        address: IpAddr,
    },
    /// Who may begin a connection to what is behind a member, from outside its network.
    Entry {
        /// The member, by name.
        link: LinkName,
        /// In which family.
        family: Family,
        /// Who.
        entry: Entry,
    },
    /// What comes in by that link of the host may go to whatever is behind a member.
    Trusted {
        /// The member, by name.
        link: LinkName,
        /// The host's link, by name; it need not be there.
        from: LinkName,
    },
    /// A subnet of a network that is laid on a bridge of somebody else's: what has an address of it behind that bridge is the network's, as
    /// is all that is behind a member. The bridge's other traffic is left alone, and each network on it has rules of its own.
    Laid {
        /// The bridge, by name.
        link: LinkName,
        /// The subnet.
        subnet: IpNetwork,
    },
    /// Who may begin a connection to what is in such a subnet, from outside its network and its bridge.
    LaidEntry {
        /// The bridge, by name.
        link: LinkName,
        /// The subnet.
        subnet: IpNetwork,
        /// Who.
        entry: Entry,
    },
    /// What comes in by that link of the host may go to whatever is in such a subnet.
    LaidTrusted {
        /// The bridge, by name.
        link: LinkName,
        /// The subnet.
        subnet: IpNetwork,
        /// The host's link, by name; it need not be there.
        from: LinkName,
    },
    /// What is behind a member does not reach itself, but for published ports.
    Closed {
        /// The member, by name.
        link: LinkName,
    },
    /// New connections to a virtual address are spread over these, evenly. Where both sides stand, the first is used.
    Spread {
        /// The virtual address.
        address: IpAddr,
        /// False for the first. The second is that of older hosts, which went from side to side where a plan's rules are amended now.
        side: bool,
        /// 1 to 256 addresses of its family.
        targets: Vec<IpAddr>,
    },
    /// Who is in that subnet reaches what is behind a virtual address of the same link, and gets his replies.
    Virtual {
        /// The virtual address.
        address: IpAddr,
        /// Of its family.
        subnet: IpNetwork,
    },
}

/// Which connections from outside a network are let in to its endpoints' own addresses. Published ports always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// None.
    Published,
    /// Those to ports that are [`FirewallRule::Open`], and echo requests.
    Open,
    /// All.
    Anything,
}

impl FirewallRule {
    /// The links that it names.
    pub fn links(&self) -> Vec<&LinkName> {
        match self {
            Self::Masquerade { link, .. }
            | Self::MasqueradeAs { link, .. }
            | Self::Internal { link }
            | Self::Member { link }
            | Self::Home { link, .. }
            | Self::Entry { link, .. }
            | Self::Laid { link, .. }
            | Self::LaidEntry { link, .. }
            | Self::Closed { link } => vec![link],
            Self::Together { a, b } => vec![a, b],
            Self::Trusted { link, from } | Self::LaidTrusted { link, from, .. } => vec![link, from],
            Self::Publish { .. }
            | Self::Open { .. }
            | Self::Inside { .. }
            | Self::Across { .. }
            | Self::Spread { .. }
            | Self::Virtual { .. } => vec![],
        }
    }

    /// The same, to rename them.
    pub fn links_mut(&mut self) -> Vec<&mut LinkName> {
        match self {
            Self::Masquerade { link, .. }
            | Self::MasqueradeAs { link, .. }
            | Self::Internal { link }
            | Self::Member { link }
            | Self::Home { link, .. }
            | Self::Entry { link, .. }
            | Self::Laid { link, .. }
            | Self::LaidEntry { link, .. }
            | Self::Closed { link } => vec![link],
            Self::Together { a, b } => vec![a, b],
            Self::Trusted { link, from } | Self::LaidTrusted { link, from, .. } => vec![link, from],
            Self::Publish { .. }
            | Self::Open { .. }
            | Self::Inside { .. }
            | Self::Across { .. }
            | Self::Spread { .. }
            | Self::Virtual { .. } => vec![],
        }
    }

    /// Whether it lets the outside in to an endpoint: such rules are made last.
    pub fn lets_in(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Open { .. })
    }
}

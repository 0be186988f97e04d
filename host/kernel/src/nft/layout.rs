//! The host's own table, `inet jackfield`: its chains and sets, which never change; neither do its rules, in a module of their own. What grows is elements, so that the
//! thousandth published port costs what the first did.
//!
//! ```text
//!   prerouting, output ---> spread       dnat of virtual addresses to what @spread* say
//!                      ---> publish      dnat to what @publish* say
//!   postrouting ----------> republished  masquerade what was published and goes back to where it came from
//!               ----------> masquerade what leaves a subnet of @masquerade*, unless by the subnet's own link (@own*); by a given
//!                           address where @snat* has one
//!   border                  what passes between networks and the world: see the module of its rules
//!    +---> closed           of links whose endpoints do not reach each other: replies and published ports
//!    +---> open             of links whose entry is routed: ports of @open*
//!    +---> leaving          of what comes from a network: not to another one's
//!    +---> pass             mark and accept
//!   unmark                  the mark goes, behind everybody's forward chains
//!   guard                   drop 127.0.0.0/8 from outside: drivers may set route_localnet so that localhost reaches published ports
//! ```
//!
//! An upgraded host finds the table of the one before it, full of elements. It keeps the sets and replaces all rules, in one
//! transaction. So a set never changes its shape: one that must, gets a new name.

use super::object::{Chain, Hook, Set};

/// The table's name; its family is inet.
pub(super) const TABLE: &str = "jackfield";
/// Its one element is a checksum of the layout: how a host knows whether the table is of its own making.
pub(super) const LAYOUT_SET: &str = "layout";
/// A second table, which decides nothing and keeps translation alive: see the module of that name.
pub(super) const ANCHOR: &str = "jackfield-anchor";
/// Names of links that belong to internal networks.
pub(super) const INTERNAL: &str = "internal";
/// Each of these links twice: what enters and leaves by the same one.
pub(super) const INTERNAL_SAME: &str = "internal_same";
/// Names of all networks' links.
pub(super) const MEMBER: &str = "member";
/// Pairs of links of one network, each link with itself too.
pub(super) const TOGETHER: &str = "together";
/// Links twice: what enters and leaves by such a one goes from endpoint to endpoint, where that is not wanted.
pub(super) const CLOSED: &str = "closed";
/// Pairs of a link of the host and a network's.
pub(super) const TRUSTED: &str = "trusted";
/// Chains to go to.
pub(super) const SPREAD: &str = "spread";
pub(super) const PASS: &str = "pass";
pub(super) const OPEN: &str = "open";
pub(super) const LEAVING: &str = "leaving";
/// Chains of older layouts.
pub(super) const RETIRED: [&str; 1] = ["forward"];
/// What passes by the host's leave has this bit in its mark on its way through the forward hook, so that an accept rule in other tables
/// can tell it. Behind them it is taken off again. All other bits are left alone.
pub(super) const MARK: u32 = 0x0800_0000;
/// Before Docker's and firewalld's chains (priorities 0 and 10), which drop what they do not know.
const BEFORE_OTHERS: i32 = libc::NF_IP_PRI_FILTER - 10;
/// Behind all of them.
const BEHIND_OTHERS: i32 = 300;

/// The sets that there are one of for IPv4 and one for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes of an address.
    pub(super) fn length(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// The name of this family's set: `publish` becomes `publish4`.
    pub(super) fn set(self, name: &str) -> String {
        match self {
            Self::V4 => format!("{name}4"),
            Self::V6 => format!("{name}6"),
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::V4 => libc::NFPROTO_IPV4 as u8,
            Self::V6 => libc::NFPROTO_IPV6 as u8,
        }
    }

    /// Where a packet's header has its source and its destination.
    pub(super) fn offsets(self) -> (u32, u32) {
        match self {
            Self::V4 => (12, 16),
            Self::V6 => (8, 24),
        }
    }

    fn type_number(self) -> u32 {
        match self {
            Self::V4 => types::IPV4_ADDRESS,
            Self::V6 => types::IPV6_ADDRESS,
        }
    }
}

/// How the `nft` program numbers types (its include/datatype.h), for what it lists; a concatenation has six bits a part.
mod types {
    /// Any number, in hexadecimal.
    pub(super) const MARK: u32 = 19;
    pub(super) const IPV4_ADDRESS: u32 = 7;
    pub(super) const IPV6_ADDRESS: u32 = 8;
    pub(super) const PROTOCOL: u32 = 12;
    pub(super) const PORT: u32 = 13;
    pub(super) const LINK_NAME: u32 = 41;
    /// NFT_DATA_VERDICT; the kernel shows the bytes that it keeps for one (struct nft_verdict).
    pub(super) const VERDICT: u32 = 0xffff_ff00;
    pub(super) const VERDICT_LENGTH: u32 = 16;

    pub(super) fn concatenation(parts: &[u32]) -> u32 {
        parts.iter().fold(0, |all, part| all << 6 | part)
    }
}

/// Bytes of a link's name as a key.
pub(super) const NAME: usize = libc::IFNAMSIZ;
const INTERVAL: u32 = libc::NFT_SET_INTERVAL as u32;
const MAP: u32 = libc::NFT_SET_MAP as u32;
/// NFT_SET_CONCAT
const CONCATENATION: u32 = 0x80;

/// The chains, the ones jumped to first.
pub(super) fn chains() -> Vec<Chain> {
    let hooked = |name: &str, kind: &str, number, priority| Chain {
        name: name.into(),
        hook: Some(Hook {
            kind: kind.into(),
            number: number as u32,
            priority,
            accepts: true,
            devices: Vec::new(),
        }),
    };
    let plain = |name: &str| Chain {
        name: name.into(),
        hook: None,
    };
    vec![
        plain(SPREAD),
        plain("publish"),
        plain("republished"),
        plain(PASS),
        plain(CLOSED),
        plain(OPEN),
        plain(LEAVING),
        hooked("guard", "filter", libc::NF_INET_PRE_ROUTING, libc::NF_IP_PRI_RAW),
        hooked("prerouting", "nat", libc::NF_INET_PRE_ROUTING, libc::NF_IP_PRI_NAT_DST),
        hooked("output", "nat", libc::NF_INET_LOCAL_OUT, libc::NF_IP_PRI_NAT_DST),
        hooked("border", "filter", libc::NF_INET_FORWARD, BEFORE_OTHERS),
        hooked("unmark", "filter", libc::NF_INET_FORWARD, BEHIND_OTHERS),
        hooked(
            "postrouting",
            "nat",
            libc::NF_INET_POST_ROUTING,
            libc::NF_IP_PRI_NAT_SRC,
        ),
    ]
}

/// The sets and maps.
pub(super) fn sets() -> Vec<Set> {
    let link = (NAME, types::LINK_NAME);
    let links = [
        set(LAYOUT_SET, 0, &[(4, types::MARK)]),
        set(INTERNAL, 0, &[link]),
        set(INTERNAL_SAME, 0, &[link, link]),
        set(MEMBER, 0, &[link]),
        set(TOGETHER, 0, &[link, link]),
        set(CLOSED, 0, &[link, link]),
        set(TRUSTED, 0, &[link, link]),
    ];
    links
        .into_iter()
        .chain(Family::BOTH.into_iter().flat_map(sets_of))
        .collect()
}

fn sets_of(family: Family) -> Vec<Set> {
    let address = (family.length(), family.type_number());
    let link = (NAME, types::LINK_NAME);
    let service = [address, (1, types::PROTOCOL), (2, types::PORT)];
    let returning: Vec<_> = service.into_iter().chain([address, address]).collect();
    let to_port = (
        types::concatenation(&[address.1, types::PORT]),
        family.length() as u32 + 4,
    );
    let to_same_port = (address.1, family.length() as u32);
    let verdict = (types::VERDICT, types::VERDICT_LENGTH);
    let named = |name, flags, key: &[_]| set(&family.set(name), flags, key);
    vec![
        named("masquerade", INTERVAL, &[address]),
        named("own", INTERVAL, &[address, link]),
        named("inside", INTERVAL, &[address, address]),
        Set {
            data: Some(to_port),
            ..named("publish", MAP, &service)
        },
        Set {
            data: Some(to_same_port),
            ..named("publish_range", MAP | INTERVAL, &service)
        },
        named("hairpin", 0, &returning),
        named("hairpin_range", INTERVAL, &returning),
        Set {
            data: Some(to_same_port),
            ..named("spread", MAP, &[address, (4, types::MARK)])
        },
        named("virtual", INTERVAL, &[address, address]),
        named("home", 0, &[link, address]),
        named("laid", INTERVAL, &[address, link]),
        named("laid_beside", INTERVAL, &[address, link, link]),
        named("laid_trusted", INTERVAL, &[address, link, link]),
        Set {
            data: Some(verdict),
            ..named("laid_entry", MAP | INTERVAL, &[address, link])
        },
        named("open", 0, &service),
        named("open_range", INTERVAL, &service),
        Set {
            data: Some(verdict),
            ..named("entry", MAP, &[link])
        },
        Set {
            data: Some(to_same_port),
            ..named("snat", MAP | INTERVAL, &[address])
        },
    ]
}

fn set(name: &str, flags: u32, key: &[(usize, u32)]) -> Set {
    let kinds: Vec<u32> = key.iter().map(|(_, kind)| *kind).collect();
    Set {
        name: name.into(),
        flags: if key.len() > 1 { flags | CONCATENATION } else { flags },
        key_type: types::concatenation(&kinds),
        key: key.iter().map(|(length, _)| *length as u32).collect(),
        data: None,
        native: key.len() == 1 && kinds.iter().all(|kind| matches!(*kind, types::MARK | types::LINK_NAME)),
    }
}

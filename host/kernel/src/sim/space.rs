//! One namespace.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use jackfield_model::{Family, LinkName, MacAddr};
use nix::errno::Errno;

use super::{
    Answer,
    addresses::Address,
    link::{Link, Nature, Spot},
    routes::Entry,
    rules,
};
use crate::{
    Ifindex, LinkInfo, LinkQuery, NamespaceId, RuleInfo,
    plan::{FirewallRule, ForwardingEntry, Rate, SysctlKey},
};

/// The loopback has it in every namespace (LOOPBACK_IFINDEX of net/flow.h).
const LOOPBACK: u32 = 1;

/// A neighbour that somebody set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbour {
    pub(super) mac: MacAddr,
    pub(super) protocol: u8,
}

/// What one namespace contains.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) id: NamespaceId,
    pub(super) owner: u32,
    /// Links that it gets hear no router advertisements: what the kernel has of that as its default there.
    pub(super) deaf: bool,
    pub(super) links: BTreeMap<Ifindex, Link>,
    links_made: u64,
    pub(super) addresses: Vec<Address>,
    pub(super) routes: Vec<Entry>,
    pub(super) rules: Vec<RuleInfo>,
    pub(super) neighbours: BTreeMap<(Ifindex, IpAddr), Neighbour>,
    /// Address answered for, and the protocol that it was set by.
    pub(super) proxies: BTreeMap<(Ifindex, IpAddr), u8>,
    pub(super) forwarding: Vec<(Ifindex, ForwardingEntry)>,
    pub(super) sysctls: HashMap<(Ifindex, SysctlKey), String>,
    pub(super) bandwidth: BTreeMap<Ifindex, (Option<Rate>, Option<Rate>)>,
    /// None while the host's table is not there.
    pub(super) firewall: Option<Vec<FirewallRule>>,
    /// Where questions are led to.
    pub(super) resolver: Option<u16>,
}

impl Space {
    pub(super) fn new(id: NamespaceId) -> Self {
        let mut space = Self {
            id,
            owner: 0,
            deaf: false,
            links: BTreeMap::new(),
            links_made: 0,
            addresses: Vec::new(),
            routes: Vec::new(),
            rules: rules::initial(),
            neighbours: BTreeMap::new(),
            proxies: BTreeMap::new(),
            forwarding: Vec::new(),
            sysctls: HashMap::new(),
            bandwidth: BTreeMap::new(),
            firewall: None,
            resolver: None,
        };
        if let (Some(index), Ok(name)) = (Ifindex::new(LOOPBACK), "lo".parse::<LinkName>()) {
            let loopback = Link {
                mtu: 65_536,
                ..Link::new(name, Nature::Loopback)
            };
            space.insert_link(index, loopback);
        }
        space
    }

    pub(super) fn insert_link(&mut self, index: Ifindex, link: Link) {
        self.links_made += 1;
        self.links.insert(
            index,
            Link {
                number: self.links_made,
                ..link
            },
        );
    }

    pub(super) fn link(&self, index: Ifindex) -> Answer<&Link> {
        self.links.get(&index).ok_or(Errno::ENODEV)
    }

    pub(super) fn link_mut(&mut self, index: Ifindex) -> Answer<&mut Link> {
        self.links.get_mut(&index).ok_or(Errno::ENODEV)
    }

    pub(super) fn find(&self, query: LinkQuery<'_>) -> Option<(Ifindex, &Link)> {
        match query {
            LinkQuery::Index(index) => self.links.get(&index).map(|link| (index, link)),
            LinkQuery::Name(name) => self
                .links
                .iter()
                .find(|(_, link)| link.name == *name)
                .map(|(i, link)| (*i, link)),
        }
    }

    pub(super) fn info(&self, index: Ifindex, link: &Link) -> LinkInfo {
        link.info(Spot { space: self.id, index })
    }

    pub(super) fn has_name(&self, name: &LinkName) -> bool {
        self.find(LinkQuery::Name(name)).is_some()
    }

    /// Whether the link is there and that family works on it.
    pub(super) fn speaks(&self, index: Ifindex, family: Family) -> bool {
        self.links.get(&index).is_some_and(|link| link.speaks(family))
    }

    pub(super) fn is_up(&self, index: Ifindex) -> bool {
        self.links.get(&index).is_some_and(|link| link.up)
    }
}

//! All namespaces. Links are changed here and not in their namespace, because a pair and a parent reach across.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use jackfield_model::Transport;
use nix::errno::Errno;

use super::{
    Answer,
    link::{Link, Spot},
    space::Space,
};
use crate::{Ifindex, KernelError, NamespaceId, Result};

/// Everything there is.
#[derive(Debug)]
pub(super) struct State {
    pub(super) spaces: BTreeMap<NamespaceId, Space>,
    pub(super) pins: HashMap<PathBuf, NamespaceId>,
    pub(super) processes: HashMap<u32, NamespaceId>,
    /// Ports that programs have open.
    pub(super) open_ports: BTreeSet<(NamespaceId, Transport, u16)>,
    /// The one that the host itself is in.
    pub(super) own: NamespaceId,
    /// Cookies are never used twice.
    pub(super) next_cookie: u64,
}

impl State {
    pub(super) fn new() -> Self {
        let own = NamespaceId(1);
        let spaces = BTreeMap::from([(own, Space::new(own))]);
        Self {
            spaces,
            pins: HashMap::new(),
            processes: HashMap::new(),
            open_ports: BTreeSet::new(),
            own,
            next_cookie: 1,
        }
    }

    pub(super) fn space(&self, id: NamespaceId) -> Result<&Space> {
        self.spaces
            .get(&id)
            .ok_or_else(|| KernelError::NamespaceGone(id.to_string()))
    }

    /// The same for a request, to which a missing namespace is a bad descriptor.
    pub(super) fn within(&mut self, id: NamespaceId) -> Answer<&mut Space> {
        self.spaces.get_mut(&id).ok_or(Errno::EINVAL)
    }

    pub(super) fn link_at(&self, spot: Spot) -> Option<&Link> {
        self.spaces.get(&spot.space)?.links.get(&spot.index)
    }

    pub(super) fn link_at_mut(&mut self, spot: Spot) -> Option<&mut Link> {
        self.spaces.get_mut(&spot.space)?.links.get_mut(&spot.index)
    }

    /// The links of every namespace.
    pub(super) fn all_links(&self) -> impl Iterator<Item = (Spot, &Link)> {
        self.spaces.iter().flat_map(|(space, s)| {
            s.links.iter().map(|(index, link)| {
                (
                    Spot {
                        space: *space,
                        index: *index,
                    },
                    link,
                )
            })
        })
    }

    /// Those that sit on that one as their parent.
    pub(super) fn children_of(&self, parent: Spot) -> Vec<Spot> {
        self.all_links()
            .filter(|(_, link)| link.nature.parent() == Some(parent))
            .map(|(spot, _)| spot)
            .collect()
    }

    /// The ports of a bridge; they are in its namespace.
    pub(super) fn ports_of(&self, bridge: Spot) -> Vec<Ifindex> {
        let ports = |s: &Space| {
            s.links
                .iter()
                .filter(|(_, l)| l.controller == Some(bridge.index))
                .map(|(i, _)| *i)
                .collect()
        };
        self.spaces.get(&bridge.space).map(ports).unwrap_or_default()
    }

    /// Whether a link is above another, at any distance: on it as its parent, or as a bridge over its ports.
    pub(super) fn sits_on(&self, upper: Spot, lower: Spot) -> bool {
        let parent = self.link_at(upper).and_then(|link| link.nature.parent());
        let ports = self.ports_of(upper).into_iter().map(|index| Spot { index, ..upper });
        parent
            .into_iter()
            .chain(ports)
            .any(|below| below == lower || self.sits_on(below, lower))
    }
}

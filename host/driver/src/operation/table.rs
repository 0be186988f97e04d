//! The operation's links, and the handles that stand for them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use jackfield_kernel::{Ifindex, LinkAt, Place};
use jackfield_model::{Error, Family, LinkName, MacAddr, Result};

use crate::{LinkId, OwnLink};

/// Handles are numbered through all operations of the process, so that one from an earlier operation means nothing in a later.
static NEXT_HANDLE: AtomicU32 = AtomicU32::new(1);

/// Whose link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Made by the plan under way.
    New,
    /// Made by an earlier operation of the same network or endpoint.
    Own,
    /// A link of the host that the driver was granted.
    Parent,
    /// A link that somebody else made for this endpoint: it goes to the sandbox and comes back.
    Lent,
}

/// A link as the operation knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub label: String,
    pub of_endpoint: bool,
    pub at: LinkAt,
    pub name: LinkName,
    pub kind: String,
    /// None for some links of the host.
    pub mac: Option<MacAddr>,
    pub mtu: Option<u32>,
    pub ports_isolated: bool,
    pub routed: Vec<Family>,
    pub origin: Origin,
    /// A bridge of the host that serves as the network's own: what a network does with its bridge may be done with this one.
    pub adopted: bool,
    /// Deleted by this operation.
    pub gone: bool,
}

impl Entry {
    /// What an earlier operation left, or planned for this one.
    pub fn own(link: OwnLink) -> Self {
        Self {
            label: link.label,
            of_endpoint: link.of_endpoint,
            at: link.at,
            name: link.name,
            kind: link.kind,
            mac: Some(link.mac),
            mtu: link.mtu,
            ports_isolated: link.ports_isolated,
            routed: link.routed,
            origin: if link.planned { Origin::New } else { Origin::Own },
            adopted: false,
            gone: false,
        }
    }

    /// What it leaves. None for a link of the host.
    pub fn to_own(&self, planned: bool) -> Option<OwnLink> {
        Some(OwnLink {
            label: self.label.clone(),
            of_endpoint: self.of_endpoint,
            at: self.at,
            name: self.name.clone(),
            kind: self.kind.clone(),
            mac: self.mac?,
            mtu: self.mtu,
            ports_isolated: self.ports_isolated,
            routed: self.routed.clone(),
            planned,
        })
    }

    /// Refuses a link that is in a sandbox: what is there can be reached only by the steps of its join.
    pub fn in_realm(&self) -> Result<()> {
        if self.at.place == Place::Realm {
            return Ok(());
        }
        Err(Error::new(
            jackfield_model::ErrorCode::InvalidState,
            format!(
                "link {} is the sandbox's interface: from here it can neither be read nor used",
                self.name
            ),
        ))
    }
}

/// All links that the operation knows.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    entries: Vec<Entry>,
    handles: BTreeMap<u32, usize>,
}

impl LinkTable {
    pub fn new(links: impl IntoIterator<Item = OwnLink>) -> Self {
        Self {
            entries: links.into_iter().map(Entry::own).collect(),
            handles: BTreeMap::new(),
        }
    }

    /// The link behind a handle.
    ///
    /// # Errors
    /// invalid-argument for a handle that is unknown, was dropped, or whose link was deleted.
    pub fn get(&self, link: LinkId) -> Result<&Entry> {
        let entry = self.handles.get(&link.0).and_then(|at| self.entries.get(*at));
        entry.filter(|entry| !entry.gone).ok_or_else(stale)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, link: LinkId) -> Result<&mut Entry> {
        let entry = self.handles.get(&link.0).and_then(|at| self.entries.get_mut(*at));
        entry.filter(|entry| !entry.gone).ok_or_else(stale)
    }

    /// Adds a link, with a handle for it.
    pub fn add(&mut self, entry: Entry) -> LinkId {
        self.entries.push(entry);
        self.handle(self.entries.len() - 1)
    }

    /// A handle for the first link that fits.
    pub fn find(&mut self, fits: impl Fn(&Entry) -> bool) -> Option<LinkId> {
        let at = self.entries.iter().position(|entry| !entry.gone && fits(entry))?;
        Some(self.handle(at))
    }

    /// Handles for all links that fit.
    pub fn find_all(&mut self, fits: impl Fn(&Entry) -> bool) -> Vec<LinkId> {
        let fitting = |(at, entry): (usize, &Entry)| (!entry.gone && fits(entry)).then_some(at);
        let found: Vec<usize> = self.entries.iter().enumerate().filter_map(fitting).collect();
        found.into_iter().map(|at| self.handle(at)).collect()
    }

    /// The links that are not deleted.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.gone)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().filter(|entry| !entry.gone)
    }

    /// The link of that index.
    pub fn by_index(&self, index: Ifindex) -> Option<&Entry> {
        self.iter().find(|entry| entry.at.index == index)
    }

    /// A handle is of no more use; unknown ones are nobody's loss.
    pub fn forget(&mut self, link: LinkId) {
        self.handles.remove(&link.0);
    }

    fn handle(&mut self, at: usize) -> LinkId {
        let handle = NEXT_HANDLE.fetch_add(1, Ordering::Relaxed);
        self.handles.insert(handle, at);
        LinkId(handle)
    }
}

fn stale() -> Error {
    Error::invalid("this link handle means nothing here: its link was deleted, or it is of an earlier operation")
}

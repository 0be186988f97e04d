//! Namespaces: made, named, found again, and gone with all that is in them.

use std::path::Path;

use nix::errno::Errno;

use super::{
    Simulated,
    link::{Link, Nature, Spot},
    space::Space,
    state::State,
};
use crate::{KernelError, Namespace, NamespaceId, NamespaceSource, Result};

impl Simulated {
    /// The namespace is gone, as when its last process exits: its virtual links with it, and the other ends of its pairs.
    pub fn kill_namespace(&self, id: NamespaceId) {
        self.state().kill_namespace(id);
    }

    /// Whether the namespace is still there.
    pub fn is_alive(&self, id: NamespaceId) -> bool {
        self.state().spaces.contains_key(&id)
    }

    /// From now on that process is in that namespace, for [`NamespaceSource::Pid`].
    pub fn attach_process(&self, pid: u32, namespace: &Namespace) {
        self.state().processes.insert(pid, namespace.id());
    }

    /// Whose user namespace owns that network namespace; root's, where nothing was said.
    pub fn set_owner(&self, namespace: &Namespace, uid: u32) {
        if let Some(space) = self.state().spaces.get_mut(&namespace.id()) {
            space.owner = uid;
        }
    }
}

impl State {
    pub(super) fn create_namespace(&mut self, deaf: bool) -> NamespaceId {
        self.next_cookie += 1;
        let id = NamespaceId(self.next_cookie);
        let mut space = Space::new(id);
        space.deaf = deaf;
        self.spaces.insert(id, space);
        id
    }

    pub(super) fn find_namespace(&self, source: &NamespaceSource) -> Result<NamespaceId> {
        let found = match source {
            NamespaceSource::Own => Some(self.own),
            NamespaceSource::Path(path) => self.pins.get(path).copied(),
            NamespaceSource::Pid(pid) => self.processes.get(pid).copied(),
        };
        found
            .filter(|id| self.spaces.contains_key(id))
            .ok_or_else(|| KernelError::NamespaceGone(format!("{source:?}")))
    }

    /// Pinning a namespace again where it is pinned already is no error.
    pub(super) fn pin(&mut self, id: NamespaceId, path: &Path) -> Result<()> {
        self.space(id)?;
        match self.pins.get(path) {
            Some(there) if *there != id => Err(KernelError::System {
                operation: "pin namespace at",
                object: path.display().to_string(),
                cause: Errno::EEXIST.into(),
            }),
            _ => {
                self.pins.insert(path.to_owned(), id);
                Ok(())
            }
        }
    }

    pub(super) fn unpin(&mut self, path: &Path) {
        let Some(id) = self.pins.remove(path) else { return };
        let held = self
            .pins
            .values()
            .chain(self.processes.values())
            .any(|other| *other == id)
            || id == self.own;
        if !held {
            self.kill_namespace(id);
        }
    }

    pub(super) fn kill_namespace(&mut self, id: NamespaceId) {
        let dies = |spot: Spot, link: &Link| {
            spot.space == id || matches!(link.nature, Nature::Vxlan { home, .. } if home == id)
        };
        let dying: Vec<_> = self
            .all_links()
            .filter(|(spot, link)| dies(*spot, link))
            .map(|(spot, _)| spot)
            .collect();
        dying
            .into_iter()
            .for_each(|spot| self.unregister(spot.space, spot.index));
        self.spaces.remove(&id);
        self.pins.retain(|_, pinned| *pinned != id);
        self.processes.retain(|_, within| *within != id);
    }
}

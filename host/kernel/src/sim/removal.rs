//! Links gone, and all that goes with them.

use nix::errno::Errno;

use super::{
    Answer,
    link::{Link, Nature, Spot},
    space::Space,
    state::State,
};
use crate::{Ifindex, NamespaceId};

impl State {
    pub(super) fn delete_link(&mut self, space: NamespaceId, index: Ifindex) -> Answer {
        if !self.within(space)?.link(index)?.nature.deletable() {
            return Err(Errno::EOPNOTSUPP);
        }
        self.unregister(space, index);
        Ok(())
    }

    /// All of a group or none: one that cannot be deleted saves the others (`rtnl_group_dellink`).
    pub(super) fn delete_group(&mut self, space: NamespaceId, group: u32) -> Answer {
        if group == 0 {
            return Err(Errno::EPERM);
        }
        let links = &self.within(space)?.links;
        let members: Vec<_> = links
            .iter()
            .filter(|(_, l)| l.group == group)
            .map(|(i, l)| (*i, l.nature.deletable()))
            .collect();
        if members.is_empty() {
            return Err(Errno::ENODEV);
        }
        if members.iter().any(|(_, deletable)| !deletable) {
            return Err(Errno::EOPNOTSUPP);
        }
        members.into_iter().for_each(|(index, _)| self.unregister(space, index));
        Ok(())
    }

    /// Takes a link away, and with it the other end of its pair, wherever that is, and what sits on it. A bridge lets go of its ports.
    pub(super) fn unregister(&mut self, space: NamespaceId, index: Ifindex) {
        let spot = Spot { space, index };
        self.release_ports(spot);
        // Out of its own bridge, which then follows the ports that are left. Nothing to refuse in that.
        let _ = self.set_controller(spot, None);
        let Some(link) = self.spaces.get_mut(&space).and_then(|s| s.remove_link(index)) else {
            return;
        };
        if let Nature::Veth { peer } = link {
            self.unregister(peer.space, peer.index);
        }
        for child in self.children_of(spot) {
            self.unregister(child.space, child.index);
        }
    }

    fn release_ports(&mut self, bridge: Spot) {
        for port in self.ports_of(bridge) {
            let _ = self.set_controller(Spot { index: port, ..bridge }, None);
        }
    }
}

impl Space {
    fn remove_link(&mut self, index: Ifindex) -> Option<Nature> {
        self.strip(index).map(|link| link.nature)
    }

    /// Takes a link out, without anything that it had here.
    pub(super) fn strip(&mut self, index: Ifindex) -> Option<Link> {
        self.bring_down(index);
        let link = self.links.remove(&index)?;
        self.forget_ipv4(index);
        self.forwarding.retain(|(of, _)| *of != index);
        self.sysctls.retain(|(of, _), _| *of != index);
        self.bandwidth.remove(&index);
        Some(link)
    }
}

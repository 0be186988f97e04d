//! Links moved to another namespace (`__dev_change_net_namespace` of net/core/dev.c).

use jackfield_model::LinkName;
use nix::errno::Errno;

use super::{
    Answer,
    link::{Link, Nature, Spot, fresh_port},
    state::State,
};
use crate::{Ifindex, NamespaceId};

impl State {
    /// Its checks first, in the kernel's order; then it leaves with nothing but what it is, and whoever knows it by its place learns the new one.
    ///
    /// The name asked for is looked at on the way only where the present one is taken there: else the link has moved when it is refused.
    pub(super) fn move_link(&mut self, from: Spot, to: NamespaceId, name: &LinkName, new_index: Ifindex) -> Answer {
        let link = self.link_at(from).ok_or(Errno::ENODEV)?;
        let own_name = link.name.clone();
        if matches!(link.nature, Nature::Loopback | Nature::Bridge) {
            return Err(Errno::EINVAL);
        }
        if from.space == to {
            return Ok(());
        }
        let there = self.within(to)?;
        let keeps_name = !there.has_name(&own_name);
        if !keeps_name && there.has_name(name) {
            return Err(Errno::EEXIST);
        }
        if there.links.contains_key(&new_index) {
            return Err(Errno::EBUSY);
        }
        let _ = self.set_controller(from, None);
        let Some(link) = self.within(from.space)?.strip(from.index) else {
            return Err(Errno::ENODEV);
        };
        let arrived = Link {
            name: if keeps_name { own_name } else { name.clone() },
            up: false,
            port: fresh_port(),
            address_generation: true,
            ..link
        };
        self.within(to)?.insert_link(new_index, arrived);
        let there = Spot {
            space: to,
            index: new_index,
        };
        self.tell_of_move(from, there);
        self.within(to)?.rename(new_index, name)
    }

    /// The other end of its pair, and what sits on it.
    fn tell_of_move(&mut self, from: Spot, to: Spot) {
        for link in self.spaces.values_mut().flat_map(|space| space.links.values_mut()) {
            match &mut link.nature {
                Nature::Veth { peer: known }
                | Nature::Macvlan { parent: known, .. }
                | Nature::Ipvlan { parent: known, .. }
                | Nature::Vlan { parent: known, .. }
                | Nature::Vxlan {
                    parent: Some(known), ..
                } if *known == from => *known = to,
                _ => {}
            }
        }
    }
}

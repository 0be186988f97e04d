//! Links made (RTM_NEWLINK with CREATE and EXCL; net/core/rtnetlink.c, and each kind's `newlink`).

use jackfield_model::{LinkName, MacAddr};
use nix::errno::Errno;

use super::{
    Answer,
    link::{Link, MIN_MTU, Nature, Spot},
    state::State,
};
use crate::{
    Ifindex, LinkAt, NamespaceId,
    plan::{LinkKind, MacvlanMode, NewLink, Place, VethPeer, VxlanAttributes},
};

/// Port of a VXLAN for which none is given: the one from before IANA gave 4789 (drivers/net/vxlan).
const VXLAN_PORT: u16 = 8472;

impl State {
    /// Makes a link, as the kernel does: all its checks, then the link, and then its controller; where that refuses, the link goes again.
    pub(super) fn create_link(
        &mut self,
        realm: NamespaceId,
        new: &NewLink,
        controller: Option<Ifindex>,
        group: u32,
        sandbox: Option<NamespaceId>,
    ) -> Answer {
        validate(new)?;
        let spot = locate(realm, sandbox, new.at)?;
        if self.within(spot.space)?.links.contains_key(&spot.index) {
            return Err(Errno::EEXIST);
        }
        check_first_mtu(new)?;
        let nature = self.nature_of(realm, sandbox, &new.kind)?;
        let (mtu, mac) = (self.initial_mtu(&nature, new.mtu)?, self.initial_mac(&nature, new.mac));
        self.admit(&nature)?;
        let link = Link {
            mac,
            mtu,
            group,
            ..Link::new(new.name.clone(), nature)
        };
        match &new.kind {
            LinkKind::Veth { peer } => self.register_pair(spot, link, peer, locate(realm, sandbox, peer.at)?)?,
            _ => self.register(spot, link)?,
        }
        controller.map_or(Ok(()), |bridge| self.enslave_new(spot, bridge))
    }

    fn enslave_new(&mut self, spot: Spot, bridge: Ifindex) -> Answer {
        self.set_controller(spot, Some(bridge))
            .inspect_err(|_| self.unregister(spot.space, spot.index))
    }

    /// Gives a link its place, where name and index are free. The index was asked about before, except for a peer's.
    fn register(&mut self, spot: Spot, link: Link) -> Answer {
        let space = self.within(spot.space)?;
        if space.has_name(&link.name) {
            return Err(Errno::EEXIST);
        }
        if space.links.contains_key(&spot.index) {
            return Err(Errno::EBUSY);
        }
        space.insert_link(spot.index, link);
        Ok(())
    }

    /// The peer is made first, and goes again where the other end is refused.
    fn register_pair(&mut self, spot: Spot, link: Link, peer: &VethPeer, peer_spot: Spot) -> Answer {
        let nature = Nature::Veth { peer: spot };
        let mtu = self.initial_mtu(&nature, peer.mtu)?;
        self.register(peer_spot, veth_end(peer.name.clone(), peer.mac, mtu, nature))?;
        self.register(spot, link).inspect_err(|_| {
            if let Some(space) = self.spaces.get_mut(&peer_spot.space) {
                space.links.remove(&peer_spot.index);
            }
        })
    }

    /// What sort of link it becomes; its parent is looked up in the realm.
    fn nature_of(&self, realm: NamespaceId, sandbox: Option<NamespaceId>, kind: &LinkKind) -> Answer<Nature> {
        Ok(match kind {
            LinkKind::Bridge(_) => Nature::Bridge,
            LinkKind::Veth { peer } => Nature::Veth {
                peer: locate(realm, sandbox, peer.at)?,
            },
            LinkKind::Macvlan { parent, mode } => Nature::Macvlan {
                parent: self.lower(realm, *parent)?,
                mode: *mode,
            },
            LinkKind::Ipvlan { parent, mode } => Nature::Ipvlan {
                parent: self.lower(realm, *parent)?,
                mode: *mode,
            },
            LinkKind::Vlan { parent, id } => Nature::Vlan {
                parent: self.present(realm, *parent)?,
                id: *id,
            },
            LinkKind::Vxlan(attributes) => self.vxlan(realm, attributes)?,
            LinkKind::Dummy => Nature::Dummy,
            LinkKind::Tap(_) => Nature::Tap,
        })
    }

    fn vxlan(&self, realm: NamespaceId, attributes: &VxlanAttributes) -> Answer<Nature> {
        let parent = attributes.parent.map(|index| self.present(realm, index)).transpose()?;
        let over_ipv6 = attributes.local.is_some_and(|address| address.is_ipv6());
        let port = attributes.port.unwrap_or(VXLAN_PORT);
        Ok(Nature::Vxlan {
            vni: attributes.vni,
            port,
            parent,
            over_ipv6,
            home: realm,
        })
    }

    fn present(&self, space: NamespaceId, index: Ifindex) -> Answer<Spot> {
        let spot = Spot { space, index };
        self.link_at(spot).map(|_| spot).ok_or(Errno::ENODEV)
    }

    /// A macvlan on a macvlan sits on the latter's parent; so does an ipvlan on an ipvlan.
    fn lower(&self, space: NamespaceId, index: Ifindex) -> Answer<Spot> {
        let spot = self.present(space, index)?;
        Ok(match self.link_at(spot).map(|link| &link.nature) {
            Some(Nature::Macvlan { parent, .. } | Nature::Ipvlan { parent, .. }) => *parent,
            _ => spot,
        })
    }

    /// What the parent says to one more child.
    fn admit(&self, nature: &Nature) -> Answer {
        match nature {
            Nature::Macvlan { parent, mode } => self.admit_macvlan(*parent, *mode),
            Nature::Ipvlan { parent, .. } => self.parent_is_free(*parent, "ipvlan"),
            Nature::Vlan { parent, id } => self.admit_vlan(*parent, *id),
            Nature::Vxlan { .. } => self.admit_vxlan(nature),
            _ => Ok(()),
        }
    }

    fn admit_macvlan(&self, parent: Spot, mode: MacvlanMode) -> Answer {
        self.parent_is_free(parent, "macvlan")?;
        let siblings = self.children_of(parent);
        let passthru = |spot: &Spot| {
            matches!(
                self.link_at(*spot).map(|l| &l.nature),
                Some(Nature::Macvlan {
                    mode: MacvlanMode::Passthru,
                    ..
                })
            )
        };
        let alone = siblings
            .iter()
            .all(|s| self.link_at(*s).is_none_or(|l| l.nature.kind() != "macvlan"));
        if siblings.iter().any(passthru) || (mode == MacvlanMode::Passthru && !alone) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Frames of a link go to one receiver only: a bridge, or links of one of these kinds on it.
    fn parent_is_free(&self, parent: Spot, kind: &str) -> Answer {
        let Some(link) = self.link_at(parent) else {
            return Err(Errno::ENODEV);
        };
        if link.is_loopback() {
            return Err(Errno::EINVAL);
        }
        let others = ["macvlan", "ipvlan"].into_iter().filter(|other| *other != kind);
        if link.controller.is_some() || others.into_iter().any(|other| self.receives_for(parent, other)) {
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// Whether links of that kind sit on it and take its frames.
    pub(super) fn receives_for(&self, parent: Spot, kind: &str) -> bool {
        self.children_of(parent)
            .into_iter()
            .any(|child| self.link_at(child).is_some_and(|l| l.nature.kind() == kind))
    }

    fn admit_vlan(&self, parent: Spot, id: u16) -> Answer {
        let taken = |spot: Spot| matches!(self.link_at(spot).map(|l| &l.nature), Some(Nature::Vlan { id: other, .. }) if *other == id);
        if self.children_of(parent).into_iter().any(taken) {
            Err(Errno::EEXIST)
        } else {
            Ok(())
        }
    }

    /// What comes in by a port of one namespace can go to one VXLAN with that identifier.
    fn admit_vxlan(&self, new: &Nature) -> Answer {
        let key = |nature: &Nature| match nature {
            Nature::Vxlan {
                vni,
                port,
                over_ipv6,
                home,
                ..
            } => Some((*vni, *port, *over_ipv6, *home)),
            _ => None,
        };
        if self
            .all_links()
            .any(|(_, link)| key(&link.nature).is_some() && key(&link.nature) == key(new))
        {
            return Err(Errno::EEXIST);
        }
        Ok(())
    }

    /// One that takes its parent over has its MAC.
    fn initial_mac(&self, nature: &Nature, wanted: MacAddr) -> Option<MacAddr> {
        match nature {
            Nature::Macvlan {
                parent,
                mode: MacvlanMode::Passthru,
            } => self.link_at(*parent).and_then(|l| l.mac),
            _ => Some(wanted),
        }
    }

    /// The MTU asked for, where the kind takes it, or the kind's own.
    fn initial_mtu(&self, nature: &Nature, wanted: Option<u32>) -> Answer<u32> {
        let room = self.room(nature);
        match (nature, room, wanted) {
            (_, _, None) => Ok(room.unwrap_or(1500)),
            (Nature::Macvlan { .. }, Some(most), Some(wanted)) if wanted > most => Err(Errno::EINVAL),
            (Nature::Vlan { .. }, Some(most), Some(wanted)) if wanted > most => Err(Errno::ERANGE),
            (Nature::Vxlan { .. }, Some(most), Some(wanted)) => Ok(wanted.min(most)),
            (_, _, Some(wanted)) => Ok(wanted),
        }
    }

    /// What a parent leaves room for: its own MTU, less the headers of a tunnel (drivers/net/vxlan: Ethernet, VXLAN, UDP and IP).
    pub(super) fn room(&self, nature: &Nature) -> Option<u32> {
        let headers = match nature {
            Nature::Vxlan { over_ipv6: true, .. } => 70,
            Nature::Vxlan { .. } => 50,
            _ => 0,
        };
        let parent = nature.parent().and_then(|spot| self.link_at(spot))?;
        Some(parent.mtu.saturating_sub(headers).max(MIN_MTU))
    }
}

/// What a kind says to its attributes before anything else is looked at (`rtnl_link_ops.validate`).
fn validate(new: &NewLink) -> Answer {
    let fits = |mtu: Option<u32>| mtu.is_none_or(|mtu| (MIN_MTU..=65_535).contains(&mtu));
    let (taken, error) = match &new.kind {
        LinkKind::Veth { peer } => (fits(new.mtu) && fits(peer.mtu), Errno::EINVAL),
        LinkKind::Vxlan(attributes) if attributes.vni >= 1 << 24 => (false, Errno::ERANGE),
        LinkKind::Vxlan(_) => (fits(new.mtu), Errno::EINVAL),
        LinkKind::Vlan { id, .. } => (*id < 4095, Errno::ERANGE),
        _ => (true, Errno::EINVAL),
    };
    if taken { Ok(()) } else { Err(error) }
}

/// Where a link of a request is: the realm is the namespace that the request was sent to.
fn locate(realm: NamespaceId, sandbox: Option<NamespaceId>, at: LinkAt) -> Answer<Spot> {
    let space = match at.place {
        Place::Realm => realm,
        Place::Sandbox => sandbox.ok_or(Errno::EINVAL)?,
    };
    Ok(Spot { space, index: at.index })
}

fn veth_end(name: LinkName, mac: MacAddr, mtu: u32, nature: Nature) -> Link {
    Link {
        mac: Some(mac),
        mtu,
        ..Link::new(name, nature)
    }
}

/// What is asked of an MTU before the kind sees it (`rtnl_create_link`): a VLAN has no smallest one, a dummy none at all.
fn check_first_mtu(new: &NewLink) -> Answer {
    let smallest = match new.kind {
        LinkKind::Dummy => return Ok(()),
        LinkKind::Vlan { .. } => 0,
        _ => MIN_MTU,
    };
    if new.mtu.is_none_or(|mtu| (smallest..=65_535).contains(&mtu)) {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Whether links of that sort take the MTU at all.
pub(super) fn check_mtu(nature: &Nature, mtu: u32) -> Answer {
    match nature.max_mtu() {
        Some(max) if !(MIN_MTU..=max).contains(&mtu) => Err(Errno::EINVAL),
        _ => Ok(()),
    }
}

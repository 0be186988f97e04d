//! Links changed (RTM_SETLINK; `do_setlink` of net/core/rtnetlink.c).

use jackfield_model::{Family, LinkName, MacAddr};
use nix::errno::Errno;

use super::{
    Answer,
    creation::check_mtu,
    link::{Link, MIN_MTU_IPV6, Nature, Spot, fresh_port},
    space::Space,
    state::State,
};
use crate::{
    Ifindex, NamespaceId,
    plan::{BridgePortAttributes, LinkSetting, MacvlanMode, Rate},
};

/// Most ports of a bridge (BR_MAX_PORTS of net/bridge/br_private.h: ten bits, of which zero is no port).
const MOST_PORTS: usize = 1023;
/// Longest alias, in bytes: IFALIASZ of linux/if.h less one, of which the closing zero that is sent takes another.
const LONGEST_ALIAS: usize = 254;

impl State {
    pub(super) fn set_link(&mut self, space: NamespaceId, index: Ifindex, setting: &LinkSetting) -> Answer {
        let spot = Spot { space, index };
        self.within(space)?.link(index)?;
        match setting {
            LinkSetting::Up(up) => self.set_up(spot, *up),
            LinkSetting::Mtu(mtu) => self.set_mtu(spot, *mtu),
            LinkSetting::Mac(mac) => self.set_mac(spot, *mac),
            LinkSetting::Controller(bridge) => self.set_controller(spot, *bridge),
            LinkSetting::BridgePort(attributes) => self.within(space)?.set_port(index, attributes),
            LinkSetting::AddressGeneration(on) => self.within(space)?.set_address_generation(index, *on),
        }
    }

    pub(super) fn retire(&mut self, space: NamespaceId, index: Ifindex, group: u32) -> Answer {
        let spot = Spot { space, index };
        self.within(space)?.link(index)?;
        self.set_controller(spot, None)?;
        self.set_up(spot, false)?;
        self.within(space)?.link_mut(index)?.group = group;
        Ok(())
    }

    fn set_up(&mut self, spot: Spot, up: bool) -> Answer {
        if self.within(spot.space)?.is_up(spot.index) == up {
            return Ok(());
        }
        if up {
            self.may_open(spot)?;
        }
        let space = self.within(spot.space)?;
        if up {
            space.bring_up(spot.index)
        } else {
            space.bring_down(spot.index)
        }
        self.carry_vlans(spot, up);
        Ok(())
    }

    /// What a kind asks before it comes up (`ndo_open`).
    fn may_open(&self, spot: Spot) -> Answer {
        let Some(link) = self.link_at(spot) else {
            return Err(Errno::ENODEV);
        };
        match &link.nature {
            Nature::Macvlan { parent, mode } if *mode != MacvlanMode::Passthru => {
                self.mac_is_free(spot, *parent, link.mac)
            }
            Nature::Vlan { parent, .. } if !self.link_at(*parent).is_some_and(|l| l.up) => Err(Errno::ENETDOWN),
            _ => Ok(()),
        }
    }

    /// Of the macvlans that are up on one parent, and that parent, each has a MAC of its own.
    fn mac_is_free(&self, spot: Spot, parent: Spot, mac: Option<MacAddr>) -> Answer {
        let sibling = |other: &Spot| *other != spot && self.link_at(*other).is_some_and(|l| l.up && l.mac == mac);
        let busy = self.link_at(parent).is_some_and(|l| l.mac == mac) || self.children_of(parent).iter().any(sibling);
        if busy { Err(Errno::EADDRINUSE) } else { Ok(()) }
    }

    /// VLANs go up and down with their parent.
    fn carry_vlans(&mut self, parent: Spot, up: bool) {
        for child in self.children_of(parent) {
            if matches!(self.link_at(child).map(|l| &l.nature), Some(Nature::Vlan { .. })) {
                // Its parent's state is what it asks about, and that has just been set.
                let _ = self.set_up(child, up);
            }
        }
    }

    pub(super) fn set_mtu(&mut self, spot: Spot, mtu: u32) -> Answer {
        let link = self.link_at(spot).ok_or(Errno::ENODEV)?;
        if link.mtu == mtu {
            // The kernel does not even call the driver then: a bridge goes on following its ports.
            return Ok(());
        }
        check_mtu(&link.nature, mtu)?;
        match (&link.nature, self.room(&link.nature)) {
            (Nature::Vlan { .. }, Some(most)) if mtu > most => return Err(Errno::ERANGE),
            (Nature::Macvlan { .. } | Nature::Vxlan { .. }, Some(most)) if mtu > most => return Err(Errno::EINVAL),
            _ => {}
        }
        if let Some(link) = self.link_at_mut(spot) {
            link.mtu_fixed |= link.is_bridge();
        }
        self.change_mtu(spot, mtu)
    }

    /// Sets it, and tells whoever follows: a bridge its ports, macvlans and VLANs their parent.
    fn change_mtu(&mut self, spot: Spot, mtu: u32) -> Answer {
        self.within(spot.space)?.change_mtu(spot.index, mtu)?;
        for child in self.children_of(spot) {
            let follows = |kind: &Nature| {
                matches!(
                    kind,
                    Nature::Macvlan { .. } | Nature::Vlan { .. } | Nature::Ipvlan { .. }
                )
            };
            if self.link_at(child).is_some_and(|l| follows(&l.nature) && l.mtu > mtu) {
                self.change_mtu(child, mtu)?;
            }
        }
        match self.link_at(spot).and_then(|l| l.controller) {
            Some(bridge) => self.follow_ports(Spot { index: bridge, ..spot }),
            None => Ok(()),
        }
    }

    /// The smallest MTU of its ports is a bridge's, 1500 without any, until somebody sets it.
    fn follow_ports(&mut self, bridge: Spot) -> Answer {
        if self.link_at(bridge).is_none_or(|l| l.mtu_fixed) {
            return Ok(());
        }
        let of = |index| self.link_at(Spot { index, ..bridge }).map(|l| l.mtu);
        let smallest = self.ports_of(bridge).into_iter().filter_map(of).min().unwrap_or(1500);
        if self.link_at(bridge).is_some_and(|l| l.mtu == smallest) {
            Ok(())
        } else {
            self.change_mtu(bridge, smallest)
        }
    }

    fn set_mac(&mut self, spot: Spot, mac: MacAddr) -> Answer {
        let link = self.link_at(spot).ok_or(Errno::ENODEV)?;
        match &link.nature {
            Nature::Ipvlan { .. } => return Err(Errno::EOPNOTSUPP),
            nature if link.up && !nature.live_mac_change() => return Err(Errno::EBUSY),
            Nature::Macvlan { .. } if link.mac == Some(mac) => {}
            Nature::Macvlan {
                parent,
                mode: MacvlanMode::Passthru,
            } => return self.set_mac(*parent, mac),
            Nature::Macvlan { parent, .. } => self.mac_is_free(spot, *parent, Some(mac))?,
            _ => {}
        }
        self.change_mac(spot, mac)
    }

    /// Neighbours go, since the kernel's frames to them carried the old address; what is answered for stays. Whoever took the link over follows.
    fn change_mac(&mut self, spot: Spot, mac: MacAddr) -> Answer {
        let space = self.within(spot.space)?;
        space.link_mut(spot.index)?.mac = Some(mac);
        space.forget_neighbours(spot.index);
        let passthru = |l: &Link| {
            matches!(
                l.nature,
                Nature::Macvlan {
                    mode: MacvlanMode::Passthru,
                    ..
                }
            )
        };
        for child in self.children_of(spot) {
            if self.link_at(child).is_some_and(passthru) {
                self.change_mac(child, mac)?;
            }
        }
        Ok(())
    }

    /// The kernel takes a link out of its bridge before it looks whether there is the other.
    pub(super) fn set_controller(&mut self, spot: Spot, bridge: Option<Ifindex>) -> Answer {
        let link = self.link_at_mut(spot).ok_or(Errno::ENODEV)?;
        let before = link.controller;
        if before == bridge {
            return Ok(());
        }
        link.controller = None;
        link.port = fresh_port();
        if let Some(before) = before {
            self.within(spot.space)?.forget_static(spot.index);
            self.follow_ports(Spot { index: before, ..spot })?;
        }
        bridge.map_or(Ok(()), |index| self.enslave(spot, Spot { index, ..spot }))
    }

    /// `br_add_if` of net/bridge/br_if.c, in its order.
    fn enslave(&mut self, spot: Spot, bridge: Spot) -> Answer {
        let target = self.link_at(bridge).ok_or(Errno::EINVAL)?;
        if !target.is_bridge() {
            return Err(Errno::EOPNOTSUPP);
        }
        let link = self.link_at(spot).ok_or(Errno::ENODEV)?;
        if link.is_loopback() || link.mac.is_none() {
            return Err(Errno::EINVAL);
        }
        if link.is_bridge() {
            return Err(Errno::ELOOP);
        }
        if self.ports_of(bridge).len() >= MOST_PORTS {
            return Err(Errno::EXFULL);
        }
        if self.receives_for(spot, "macvlan") || self.receives_for(spot, "ipvlan") || self.sits_on(spot, bridge) {
            return Err(Errno::EBUSY);
        }
        if let Some(link) = self.link_at_mut(spot) {
            link.controller = Some(bridge.index);
        }
        self.follow_ports(bridge)
    }
}

impl Space {
    /// Comes up, and gets what the kernel makes by itself: the loopback its addresses, and each address the route to its subnet.
    fn bring_up(&mut self, index: Ifindex) {
        let Some(link) = self.links.get_mut(&index) else { return };
        link.up = true;
        if link.is_loopback() {
            self.address_loopback(index);
        }
        self.connect_all(index);
    }

    /// Goes down, and loses its routes, neighbours and IPv6 addresses; IPv4 addresses stay (`fib_disable_ip`, `addrconf_ifdown`).
    pub(super) fn bring_down(&mut self, index: Ifindex) {
        let Some(link) = self.links.get_mut(&index) else { return };
        link.up = false;
        self.routes.retain(|entry| entry.link() != Some(index));
        self.forget_ipv6(index);
        self.forget_neighbours(index);
        self.proxies.retain(|(link, _), _| *link != index);
    }

    fn change_mtu(&mut self, index: Ifindex, mtu: u32) -> Answer {
        let link = self.link_mut(index)?;
        let (before, spoken) = (
            link.mtu,
            [Family::Ipv4, Family::Ipv6].map(|family| (family, link.speaks(family))),
        );
        link.mtu = mtu;
        for (family, spoke) in spoken {
            if spoke && !self.speaks(index, family) {
                self.remove_family(index, family);
            }
        }
        if mtu < MIN_MTU_IPV6 && before >= MIN_MTU_IPV6 {
            self.forget_ipv6(index);
        }
        Ok(())
    }

    pub(super) fn set_alias(&mut self, index: Ifindex, alias: &str) -> Answer {
        let link = self.link_mut(index)?;
        if alias.len() > LONGEST_ALIAS {
            return Err(Errno::ERANGE);
        }
        link.alias = Some(alias.to_owned()).filter(|a| !a.is_empty());
        Ok(())
    }

    pub(super) fn rename(&mut self, index: Ifindex, name: &LinkName) -> Answer {
        if self.link(index)?.name == *name {
            return Ok(());
        }
        if self.has_name(name) {
            return Err(Errno::EEXIST);
        }
        self.link_mut(index)?.name = name.clone();
        Ok(())
    }

    fn set_port(&mut self, index: Ifindex, to: &BridgePortAttributes) -> Answer {
        let link = self.link_mut(index)?;
        if link.controller.is_none() {
            return Err(Errno::EOPNOTSUPP);
        }
        let port = &mut link.port;
        *port = BridgePortAttributes {
            isolated: to.isolated.or(port.isolated),
            hairpin: to.hairpin.or(port.hairpin),
            learning: to.learning.or(port.learning),
            neigh_suppress: to.neigh_suppress.or(port.neigh_suppress),
            flood: to.flood.or(port.flood),
            mcast_flood: to.mcast_flood.or(port.mcast_flood),
        };
        Ok(())
    }

    fn set_address_generation(&mut self, index: Ifindex, on: bool) -> Answer {
        let link = self.link_mut(index)?;
        if !link.speaks(Family::Ipv6) {
            return Err(Errno::EAFNOSUPPORT);
        }
        link.address_generation = on;
        Ok(())
    }

    pub(super) fn set_bandwidth(&mut self, index: Ifindex, ingress: Option<Rate>, egress: Option<Rate>) -> Answer {
        self.link(index)?;
        match (ingress, egress) {
            (None, None) => self.bandwidth.remove(&index),
            limits => self.bandwidth.insert(index, limits),
        };
        Ok(())
    }
}

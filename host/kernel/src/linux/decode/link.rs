//! RTM_NEWLINK.

use jackfield_model::LinkName;

use super::{header_u32, mac};
use crate::{
    LinkInfo, LinkStatistics,
    linux::attributes::Attributes,
    plan::{BridgePortAttributes, Ifindex},
};

/// struct ifinfomsg of include/uapi/linux/rtnetlink.h: family, type, index, flags, change.
const HEADER: usize = 16;
const INDEX: usize = 4;
const FLAGS: usize = 8;

// include/uapi/linux/if_link.h, where libc does not have them.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_MCAST_FLOOD: u16 = 27;
const IFLA_BRPORT_NEIGH_SUPPRESS: u16 = 32;
const IFLA_BRPORT_ISOLATED: u16 = 33;

/// A link; None when its name is none that the host could write.
pub(in crate::linux) fn link(message: &[u8]) -> Option<LinkInfo> {
    let attributes = Attributes::after(message, HEADER);
    let info = attributes
        .get_nested(libc::IFLA_LINKINFO)
        .unwrap_or(Attributes::nested(&[]));
    Some(LinkInfo {
        index: Ifindex::new(header_u32(message, INDEX)?)?,
        name: attributes.get_text(libc::IFLA_IFNAME)?.parse::<LinkName>().ok()?,
        kind: kind(info),
        mac: attributes.get(libc::IFLA_ADDRESS).and_then(mac),
        mtu: attributes.get_u32(libc::IFLA_MTU).unwrap_or_default(),
        up: header_u32(message, FLAGS)? & libc::IFF_UP as u32 != 0,
        controller: attributes.get_u32(libc::IFLA_MASTER).and_then(Ifindex::new),
        parent: attributes.get_u32(libc::IFLA_LINK).and_then(Ifindex::new),
        group: attributes.get_u32(libc::IFLA_GROUP).unwrap_or_default(),
        alias: attributes.get_text(libc::IFLA_IFALIAS).map(str::to_owned),
        bridge_port: bridge_port(info),
        address_generation: address_generation(attributes),
    })
}

/// The kind as iproute2 names it: rtnetlink calls TUN and TAP devices both "tun".
fn kind(info: Attributes<'_>) -> String {
    let tap = || {
        info.get_nested(libc::IFLA_INFO_DATA)
            .and_then(|d| d.get_u8(IFLA_TUN_TYPE))
            == Some(libc::IFF_TAP as u8)
    };
    match info.get_text(libc::IFLA_INFO_KIND) {
        Some("tun") if tap() => "tap".to_owned(),
        kind => kind.unwrap_or_default().to_owned(),
    }
}

fn bridge_port(info: Attributes<'_>) -> Option<BridgePortAttributes> {
    if info.get_text(libc::IFLA_INFO_SLAVE_KIND) != Some("bridge") {
        return None;
    }
    let port = info.get_nested(libc::IFLA_INFO_SLAVE_DATA)?;
    let flag = |kind| port.get_u8(kind).map(|on| on != 0);
    Some(BridgePortAttributes {
        isolated: flag(IFLA_BRPORT_ISOLATED),
        hairpin: flag(IFLA_BRPORT_MODE),
        learning: flag(IFLA_BRPORT_LEARNING),
        neigh_suppress: flag(IFLA_BRPORT_NEIGH_SUPPRESS),
        flood: flag(IFLA_BRPORT_UNICAST_FLOOD),
        mcast_flood: flag(IFLA_BRPORT_MCAST_FLOOD),
    })
}

/// A link without IPv6 makes no addresses.
fn address_generation(attributes: Attributes<'_>) -> bool {
    let inet6 = attributes
        .get_nested(libc::IFLA_AF_SPEC)
        .and_then(|a| a.get_nested(libc::AF_INET6 as u16));
    inet6
        .and_then(|a| a.get_u8(IFLA_INET6_ADDR_GEN_MODE))
        .is_some_and(|mode| mode != IN6_ADDR_GEN_MODE_NONE)
}

/// The counters of a link: struct rtnl_link_stats64, eight bytes each.
pub(in crate::linux) fn link_statistics(message: &[u8]) -> Option<LinkStatistics> {
    let counters = Attributes::after(message, HEADER).get(libc::IFLA_STATS64)?;
    let counter = |place: usize| {
        Some(u64::from_ne_bytes(
            counters.get(place * 8..place * 8 + 8)?.try_into().ok()?,
        ))
    };
    Some(LinkStatistics {
        rx_packets: counter(0)?,
        tx_packets: counter(1)?,
        rx_bytes: counter(2)?,
        tx_bytes: counter(3)?,
        rx_dropped: counter(6)?,
        tx_dropped: counter(7)?,
    })
}

/// The name of a link as the kernel has it, for paths; also such as the host could not write.
pub(in crate::linux) fn link_name(message: &[u8]) -> Option<&str> {
    Attributes::after(message, HEADER).get_text(libc::IFLA_IFNAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_cuts_off_or_names_strangely_is_no_link_and_no_panic() {
        assert_eq!(link(&[]), None);
        assert_eq!(link(&[0; HEADER]), None, "index zero");
        let mut message = vec![0; HEADER];
        message[INDEX] = 7;
        message.extend([9, 0, 3, 0, b'a', b'/', b'b', b'c', 0, 0, 0, 0]);
        assert_eq!(link(&message), None);
    }
}

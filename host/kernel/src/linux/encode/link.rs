//! Links as RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK and RTM_GETLINK.

use std::{net::IpAddr, os::fd::AsRawFd};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoBridgePort, InfoData, InfoIpVlan,
        InfoKind, InfoMacVlan, InfoPortData, InfoPortKind, InfoVeth, InfoVlan, InfoVxlan, IpVlanMode as Ipvlan,
        LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, MacVlanMode as Macvlan,
    },
};

use super::{CREATE_EXCLUSIVE, serialised};
use crate::{
    KernelError, Namespace, Result,
    linux::socket::Message,
    plan::{
        BridgeAttributes, BridgePortAttributes, Ifindex, IpvlanMode, LinkKind, LinkSetting, MacvlanMode, NewLink,
        Place, VethPeer, VxlanAttributes,
    },
};
use jackfield_model::LinkName;

/// The kernel makes four and more queues by default, and each costs time (two RCU periods for the pair of a veth) and memory.
const QUEUES: u32 = 1;

/// RTEXT_FILTER_SKIP_STATS: the counters are most of a GETLINK's answer and of its cost.
const SKIP_STATISTICS: LinkExtentMask = LinkExtentMask::SkipStats;

/// A new link. No IFF_UP for a veth's peer (ENOTCONN) and no IFLA_AF_SPEC (EAFNOSUPPORT): those are messages of their own.
pub(super) fn create(
    link: &NewLink,
    controller: Option<Ifindex>,
    group: u32,
    sandbox: Option<&Namespace>,
) -> Result<Message> {
    let mut attributes = vec![
        LinkAttribute::IfName(link.name.to_string()),
        LinkAttribute::Address(link.mac.octets().to_vec()),
        LinkAttribute::NumTxQueues(QUEUES),
        LinkAttribute::NumRxQueues(QUEUES),
    ];
    attributes.extend(link.mtu.map(LinkAttribute::Mtu));
    attributes.extend(controller.map(|c| LinkAttribute::Controller(c.get())));
    attributes.extend((group != 0).then_some(LinkAttribute::Group(group)));
    attributes.extend(parent(&link.kind).map(|p| LinkAttribute::Link(p.get())));
    attributes.extend(namespace_of(link.at.place, sandbox, link)?);
    attributes.push(LinkAttribute::LinkInfo(info(link, sandbox)?));
    Ok(serialised(
        CREATE_EXCLUSIVE,
        &RouteNetlinkMessage::NewLink(message(link.at.index, attributes)),
    ))
}

/// IFLA_NET_NS_FD for what is made in the sandbox.
fn namespace_of(place: Place, sandbox: Option<&Namespace>, link: &NewLink) -> Result<Option<LinkAttribute>> {
    match (place, sandbox.and_then(Namespace::fd)) {
        (Place::Realm, _) => Ok(None),
        (Place::Sandbox, Some(fd)) => Ok(Some(LinkAttribute::NetNsFd(fd.as_raw_fd()))),
        (Place::Sandbox, None) => Err(no_sandbox(link)),
    }
}

/// The refusal of a request that contradicts itself.
pub(in crate::linux) fn no_sandbox(link: &NewLink) -> KernelError {
    KernelError::Malformed {
        operation: "create link",
        object: link.name.to_string(),
        problem: "it is to be made in a sandbox, and the request names none".to_owned(),
    }
}

/// What the ioctl that makes a TAP device does not take.
pub(in crate::linux) fn finish_tap(link: &NewLink, controller: Option<Ifindex>, group: u32) -> Message {
    let mut attributes = vec![
        LinkAttribute::Address(link.mac.octets().to_vec()),
        LinkAttribute::Group(group),
    ];
    attributes.extend(link.mtu.map(LinkAttribute::Mtu));
    attributes.extend(controller.map(|c| LinkAttribute::Controller(c.get())));
    serialised(0, &RouteNetlinkMessage::SetLink(message(link.at.index, attributes)))
}

/// IFLA_LINK, for the kinds that sit on another link. A VXLAN has an attribute of its own for it.
fn parent(kind: &LinkKind) -> Option<Ifindex> {
    match kind {
        LinkKind::Macvlan { parent, .. } | LinkKind::Ipvlan { parent, .. } | LinkKind::Vlan { parent, .. } => {
            Some(*parent)
        }
        LinkKind::Bridge(_) | LinkKind::Veth { .. } | LinkKind::Vxlan(_) | LinkKind::Dummy | LinkKind::Tap(_) => None,
    }
}

/// IFLA_LINKINFO.
fn info(link: &NewLink, sandbox: Option<&Namespace>) -> Result<Vec<LinkInfo>> {
    let data = match &link.kind {
        LinkKind::Bridge(attributes) => Some(InfoData::Bridge(bridge(attributes))),
        LinkKind::Veth { peer } => Some(InfoData::Veth(InfoVeth::Peer(veth_peer(link, peer, sandbox)?))),
        LinkKind::Macvlan { mode, .. } => Some(InfoData::MacVlan(vec![InfoMacVlan::Mode(macvlan(*mode))])),
        LinkKind::Ipvlan { mode, .. } => Some(InfoData::IpVlan(vec![InfoIpVlan::Mode(ipvlan(*mode))])),
        LinkKind::Vlan { id, .. } => Some(InfoData::Vlan(vec![InfoVlan::Id(*id)])),
        LinkKind::Vxlan(attributes) => Some(InfoData::Vxlan(vxlan(attributes))),
        LinkKind::Dummy | LinkKind::Tap(_) => None,
    };
    let kind = LinkInfo::Kind(InfoKind::from(link.kind.name()));
    Ok(std::iter::once(kind).chain(data.map(LinkInfo::Data)).collect())
}

fn veth_peer(link: &NewLink, peer: &VethPeer, sandbox: Option<&Namespace>) -> Result<LinkMessage> {
    let mut attributes = vec![
        LinkAttribute::IfName(peer.name.to_string()),
        LinkAttribute::Address(peer.mac.octets().to_vec()),
        LinkAttribute::NumTxQueues(QUEUES),
        LinkAttribute::NumRxQueues(QUEUES),
    ];
    attributes.extend(peer.mtu.map(LinkAttribute::Mtu));
    attributes.extend(namespace_of(peer.at.place, sandbox, link)?);
    Ok(message(peer.at.index, attributes))
}

fn bridge(attributes: &BridgeAttributes) -> Vec<InfoBridge> {
    let stp = |on| {
        if on {
            BridgeStpState::KernelStp
        } else {
            BridgeStpState::Disabled
        }
    };
    [
        attributes.stp_state.map(|on| InfoBridge::StpState(stp(on))),
        attributes.forward_delay.map(InfoBridge::ForwardDelay),
        attributes.ageing_time.map(InfoBridge::AgeingTime),
        attributes.mcast_snooping.map(InfoBridge::MulticastSnooping),
        attributes.vlan_filtering.map(InfoBridge::VlanFiltering),
        attributes.vlan_default_pvid.map(InfoBridge::VlanDefaultPvid),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn macvlan(mode: MacvlanMode) -> Macvlan {
    match mode {
        MacvlanMode::Bridge => Macvlan::Bridge,
        MacvlanMode::Private => Macvlan::Private,
        MacvlanMode::Vepa => Macvlan::Vepa,
        MacvlanMode::Passthru => Macvlan::Passthrough,
    }
}

fn ipvlan(mode: IpvlanMode) -> Ipvlan {
    match mode {
        IpvlanMode::L2 => Ipvlan::L2,
        IpvlanMode::L3 => Ipvlan::L3,
        IpvlanMode::L3s => Ipvlan::L3S,
    }
}

fn vxlan(attributes: &VxlanAttributes) -> Vec<InfoVxlan> {
    let local = attributes.local.map(|address| match address {
        IpAddr::V4(v4) => InfoVxlan::Local(v4),
        IpAddr::V6(v6) => InfoVxlan::Local6(v6),
    });
    [
        Some(InfoVxlan::Id(attributes.vni)),
        attributes.parent.map(|p| InfoVxlan::Link(p.get())),
        local,
        attributes.port.map(InfoVxlan::Port),
        attributes.learning.map(InfoVxlan::Learning),
        attributes.ttl.map(InfoVxlan::Ttl),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One setting of a link that is there.
pub(super) fn set(index: Ifindex, setting: &LinkSetting) -> Message {
    match setting {
        LinkSetting::Up(up) => set_flags(index, if *up { LinkFlags::Up } else { LinkFlags::empty() }, Vec::new()),
        LinkSetting::Mtu(mtu) => change(index, LinkAttribute::Mtu(*mtu)),
        LinkSetting::Mac(mac) => change(index, LinkAttribute::Address(mac.octets().to_vec())),
        LinkSetting::Controller(bridge) => change(index, LinkAttribute::Controller(bridge.map_or(0, Ifindex::get))),
        LinkSetting::BridgePort(attributes) => set_bridge_port(index, attributes),
        LinkSetting::AddressGeneration(on) => set_address_generation(index, *on),
    }
}

fn set_address_generation(index: Ifindex, on: bool) -> Message {
    let mode = if on {
        In6AddrGenMode::Eui64
    } else {
        In6AddrGenMode::None
    };
    change(
        index,
        LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(mode)])]),
    )
}

/// By RTM_NEWLINK without CREATE: RTM_SETLINK does not look at what a link is as a port (IFLA_INFO_SLAVE_DATA).
fn set_bridge_port(index: Ifindex, attributes: &BridgePortAttributes) -> Message {
    let port = [
        attributes.isolated.map(InfoBridgePort::Isolated),
        attributes.hairpin.map(InfoBridgePort::HairpinMode),
        attributes.learning.map(InfoBridgePort::Learning),
        attributes.neigh_suppress.map(InfoBridgePort::NeighSupress),
        attributes.flood.map(InfoBridgePort::UnicastFlood),
        attributes.mcast_flood.map(InfoBridgePort::MulticastFlood),
    ];
    let data = InfoPortData::BridgePort(port.into_iter().flatten().collect());
    let info = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(data)];
    serialised(
        0,
        &RouteNetlinkMessage::NewLink(message(index, vec![LinkAttribute::LinkInfo(info)])),
    )
}

/// The alias, in a message of its own: RTM_NEWLINK ignores it.
pub(super) fn set_alias(index: Ifindex, alias: &str) -> Message {
    change(index, LinkAttribute::IfAlias(alias.to_owned()))
}

/// Another name.
pub(super) fn rename(index: Ifindex, name: &LinkName) -> Message {
    change(index, LinkAttribute::IfName(name.to_string()))
}

/// To another namespace, under a name and an index there.
pub(super) fn move_to(index: Ifindex, to: &Namespace, name: &LinkName, new_index: Ifindex) -> Result<Message> {
    let fd = to.fd().ok_or_else(|| KernelError::Malformed {
        operation: "move link",
        object: name.to_string(),
        problem: "the namespace that it is to go to is not open".to_owned(),
    })?;
    // An index fits the kernel's signed 32 bits: Ifindex holds no other.
    let new_index = i32::try_from(new_index.get()).unwrap_or(i32::MAX);
    let attributes = vec![
        LinkAttribute::IfName(name.to_string()),
        LinkAttribute::NewIfIndex(new_index),
        LinkAttribute::NetNsFd(fd.as_raw_fd()),
    ];
    Ok(serialised(0, &RouteNetlinkMessage::SetLink(message(index, attributes))))
}

/// Down, a port of nothing, and in the reaper's group.
pub(super) fn retire(index: Ifindex, group: u32) -> Message {
    set_flags(
        index,
        LinkFlags::empty(),
        vec![LinkAttribute::Controller(0), LinkAttribute::Group(group)],
    )
}

/// One link.
pub(super) fn delete(index: Ifindex) -> Message {
    serialised(0, &RouteNetlinkMessage::DelLink(message(index, Vec::new())))
}

/// All links of a group.
pub(super) fn delete_group(group: u32) -> Message {
    let mut all = LinkMessage::default();
    all.attributes.push(LinkAttribute::Group(group));
    serialised(0, &RouteNetlinkMessage::DelLink(all))
}

/// Asks for a link by its index. A side effect is wanted too: the kernel first runs what it has put off about links (linkwatch), so that
/// a bridge's new port forwards at once.
pub(in crate::linux) fn by_index(index: Ifindex) -> Message {
    let extent = LinkAttribute::ExtMask(vec![SKIP_STATISTICS]);
    serialised(0, &RouteNetlinkMessage::GetLink(message(index, vec![extent])))
}

/// Asks for a link by its name.
pub(in crate::linux) fn by_name(name: &LinkName) -> Message {
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::ExtMask(vec![SKIP_STATISTICS]),
        LinkAttribute::IfName(name.to_string()),
    ];
    serialised(0, &RouteNetlinkMessage::GetLink(link))
}

/// Asks for a link by its index, with its counters.
pub(in crate::linux) fn statistics(index: Ifindex) -> Message {
    serialised(0, &RouteNetlinkMessage::GetLink(message(index, Vec::new())))
}

/// Asks for all links, to be sent as a dump.
pub(in crate::linux) fn links() -> Message {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::ExtMask(vec![SKIP_STATISTICS]));
    serialised(0, &RouteNetlinkMessage::GetLink(link))
}

/// A link of that kind and nothing else said: what the kernel answers tells whether it has the kind.
pub(in crate::linux) fn only_kind(kind: &str) -> Message {
    let mut link = LinkMessage::default();
    link.attributes
        .push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::from(kind))]));
    serialised(CREATE_EXCLUSIVE, &RouteNetlinkMessage::NewLink(link))
}

/// One attribute of a link changed.
fn change(index: Ifindex, attribute: LinkAttribute) -> Message {
    serialised(0, &RouteNetlinkMessage::SetLink(message(index, vec![attribute])))
}

/// IFF_UP set or cleared, and attributes besides.
fn set_flags(index: Ifindex, flags: LinkFlags, attributes: Vec<LinkAttribute>) -> Message {
    let mut link = message(index, attributes);
    link.header.flags = flags;
    link.header.change_mask = LinkFlags::Up;
    serialised(0, &RouteNetlinkMessage::SetLink(link))
}

fn message(index: Ifindex, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index.get();
    link.attributes = attributes;
    link
}

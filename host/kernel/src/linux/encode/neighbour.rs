//! Neighbours and forwarding entries as RTM_NEWNEIGH, RTM_DELNEIGH and RTM_GETNEIGH.

use std::net::IpAddr;

use jackfield_model::MacAddr;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
    route::RouteProtocol,
};

use super::{APPEND, CREATE, CREATE_EXCLUSIVE, REPLACE, family_of, serialised};
use crate::{
    PROTOCOL,
    linux::socket::Message,
    plan::{ForwardingEntry, Ifindex},
};

/// A permanent neighbour, marked as ours.
pub(super) fn add(index: Ifindex, address: IpAddr, mac: MacAddr) -> Message {
    let mut message = named(index, address);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(mac.octets().to_vec()));
    message.attributes.push(ours());
    serialised(CREATE_EXCLUSIVE, &RouteNetlinkMessage::NewNeighbour(message))
}

/// A neighbour taken away.
pub(super) fn delete(index: Ifindex, address: IpAddr) -> Message {
    serialised(0, &RouteNetlinkMessage::DelNeighbour(named(index, address)))
}

/// An address answered for, marked as ours. Permanent (Linux 6.17 and later), or it would go when the link loses its carrier: as the host's
/// end of a pair does when the sandbox sets its own down.
pub(super) fn add_proxy(index: Ifindex, address: IpAddr) -> Message {
    let mut message = named(index, address);
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Proxy;
    message.attributes.push(ours());
    serialised(CREATE_EXCLUSIVE, &RouteNetlinkMessage::NewNeighbour(message))
}

/// An address answered for no more.
pub(super) fn delete_proxy(index: Ifindex, address: IpAddr) -> Message {
    let mut message = named(index, address);
    message.header.flags = NeighbourFlags::Proxy;
    serialised(0, &RouteNetlinkMessage::DelNeighbour(message))
}

/// A forwarding entry. REPLACE for one MAC, because the kernel may have learned the entry already; the destinations of the all-zero MAC,
/// where a VXLAN floods, add up, which the kernel calls APPEND and has for no other MAC.
pub(super) fn add_forwarding(index: Ifindex, entry: &ForwardingEntry) -> Message {
    let flags = if entry.mac.is_some() {
        CREATE | REPLACE
    } else {
        CREATE | APPEND
    };
    serialised(flags, &RouteNetlinkMessage::NewNeighbour(forwarding(index, entry)))
}

/// A forwarding entry taken away.
pub(super) fn delete_forwarding(index: Ifindex, entry: &ForwardingEntry) -> Message {
    serialised(0, &RouteNetlinkMessage::DelNeighbour(forwarding(index, entry)))
}

/// With a destination it stands in the VXLAN's own database (SELF), else in that of the bridge that the link is a port of (MASTER), where
/// NOARP is what `bridge fdb` calls static.
fn forwarding(index: Ifindex, entry: &ForwardingEntry) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index.get();
    (message.header.flags, message.header.state) = match entry.destination {
        Some(_) => (NeighbourFlags::Own, NeighbourState::Permanent),
        None => (NeighbourFlags::Controller, NeighbourState::Noarp),
    };
    let mac = entry.mac.map_or([0; 6], MacAddr::octets);
    message.attributes = [
        Some(NeighbourAttribute::LinkLayerAddress(mac.to_vec())),
        entry.destination.map(|d| NeighbourAttribute::Destination(d.into())),
        entry.vni.map(NeighbourAttribute::Vni),
        entry.vlan.map(NeighbourAttribute::Vlan),
    ]
    .into_iter()
    .flatten()
    .collect();
    message
}

/// Asks for all neighbours of a family, or for all proxy entries, to be sent as a dump.
pub(in crate::linux) fn neighbours(family: AddressFamily, proxies: bool) -> Message {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    message.header.flags = if proxies {
        NeighbourFlags::Proxy
    } else {
        NeighbourFlags::empty()
    };
    serialised(0, &RouteNetlinkMessage::GetNeighbour(message))
}

/// Asks for all forwarding entries, to be sent as a dump.
pub(in crate::linux) fn forwarding_entries() -> Message {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    serialised(0, &RouteNetlinkMessage::GetNeighbour(message))
}

fn named(index: Ifindex, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family_of(address);
    message.header.ifindex = index.get();
    message.attributes = vec![NeighbourAttribute::Destination(address.into())];
    message
}

fn ours() -> NeighbourAttribute {
    NeighbourAttribute::Protocol(RouteProtocol::Other(PROTOCOL))
}

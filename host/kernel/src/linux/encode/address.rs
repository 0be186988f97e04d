//! Addresses as RTM_NEWADDR, RTM_DELADDR and RTM_GETADDR.

use jackfield_model::IpNetwork;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressProtocol, AddressScope},
};

use super::{CREATE_EXCLUSIVE, family_of, serialised};
use crate::{PROTOCOL, linux::socket::Message, plan::Ifindex};

/// A new address, marked as ours.
pub(super) fn add(index: Ifindex, address: IpNetwork) -> Message {
    let mut message = named(index, address);
    message
        .attributes
        .extend(broadcast(address).map(AddressAttribute::Broadcast));
    message
        .attributes
        .push(AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL)));
    if address.is_ipv6() {
        // The host gives out addresses that nobody else has; looking for a duplicate delays each by a second.
        message.header.flags = AddressHeaderFlags::Nodad;
    }
    if address.ip().is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    serialised(CREATE_EXCLUSIVE, &RouteNetlinkMessage::NewAddress(message))
}

/// An address taken away.
pub(super) fn delete(index: Ifindex, address: IpNetwork) -> Message {
    serialised(0, &RouteNetlinkMessage::DelAddress(named(index, address)))
}

/// Asks for all addresses of a family, to be sent as a dump.
pub(in crate::linux) fn addresses(family: AddressFamily) -> Message {
    let mut message = AddressMessage::default();
    message.header.family = family;
    serialised(0, &RouteNetlinkMessage::GetAddress(message))
}

fn named(index: Ifindex, address: IpNetwork) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family_of(address.ip());
    message.header.prefix_len = address.prefix();
    message.header.index = index.get();
    message.attributes = vec![
        AddressAttribute::Local(address.ip()),
        AddressAttribute::Address(address.ip()),
    ];
    message
}

/// The broadcast address of an IPv4 subnet that has one: RFC 3021 takes it from a /31, and a /32 is no subnet.
fn broadcast(address: IpNetwork) -> Option<std::net::Ipv4Addr> {
    match address {
        IpNetwork::V4(v4) if v4.prefix() < 31 => Some(v4.broadcast()),
        _ => None,
    }
}

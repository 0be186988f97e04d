//! Requests as NETLINK_ROUTE messages.

mod address;
mod link;
mod neighbour;
mod route;
mod rule;

use netlink_packet_core::NetlinkSerializable;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::socket::Message;
use crate::{
    Request, Result,
    plan::{LinkKind, NewLink},
};

pub(super) use address::addresses;
pub(super) use link::{by_index, by_name, finish_tap, links, no_sandbox, only_kind, statistics};
pub(super) use neighbour::{forwarding_entries, neighbours};
pub(super) use route::{lookup, routes};
pub(super) use rule::rules;

const REPLACE: u16 = libc::NLM_F_REPLACE as u16;
const EXCLUSIVE: u16 = libc::NLM_F_EXCL as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const APPEND: u16 = libc::NLM_F_APPEND as u16;
const CREATE_EXCLUSIVE: u16 = CREATE | EXCLUSIVE;

/// The message of a request; None where it is no NETLINK_ROUTE message.
///
/// # Errors
/// The request contradicts itself.
pub(super) fn message(request: &Request) -> Option<Result<Message>> {
    let message = match request {
        Request::CreateLink {
            link,
            controller,
            group,
            sandbox,
        } if !is_tap(link) => {
            return Some(link::create(link, *controller, *group, sandbox.as_ref()));
        }
        Request::MoveLink {
            index,
            to,
            name,
            new_index,
        } => return Some(link::move_to(*index, to, name, *new_index)),
        Request::SetLink { index, setting } => link::set(*index, setting),
        Request::SetAlias { index, alias } => link::set_alias(*index, alias),
        Request::RenameLink { index, name } => link::rename(*index, name),
        Request::Retire { index, group } => link::retire(*index, *group),
        Request::DeleteLink { index } => link::delete(*index),
        Request::DeleteGroup { group } => link::delete_group(*group),
        Request::Settle { index } => link::by_index(*index),
        Request::AddAddress { index, address } => address::add(*index, *address),
        Request::DeleteAddress { index, address } => address::delete(*index, *address),
        Request::AddNeighbour { index, address, mac } => neighbour::add(*index, *address, *mac),
        Request::DeleteNeighbour { index, address } => neighbour::delete(*index, *address),
        Request::AddProxyNeighbour { index, address } => neighbour::add_proxy(*index, *address),
        Request::DeleteProxyNeighbour { index, address } => neighbour::delete_proxy(*index, *address),
        Request::AddForwarding { index, entry } => neighbour::add_forwarding(*index, entry),
        Request::DeleteForwarding { index, entry } => neighbour::delete_forwarding(*index, entry),
        Request::AddRoute(route) => route::add(route),
        Request::DeleteRoute(route) => route::delete(route),
        Request::AddRule(rule) => rule::add(rule),
        Request::DeleteRule(rule) => rule::delete(rule),
        Request::CreateLink { .. }
        | Request::WriteSysctl { .. }
        | Request::SetBandwidth { .. }
        | Request::Firewall(_)
        | Request::AddResolver { .. }
        | Request::DeleteResolver
        | Request::FlushConntrack { .. }
        | Request::FlushPorts(_) => return None,
    };
    Some(Ok(message))
}

/// Whether a link is made by an ioctl: rtnetlink refuses to make TUN and TAP devices.
fn is_tap(link: &NewLink) -> bool {
    matches!(link.kind, LinkKind::Tap(_))
}

/// A message of the library's types, as bytes.
pub(super) fn serialised(flags: u16, message: &RouteNetlinkMessage) -> Message {
    let mut body = vec![0; message.buffer_len()];
    message.serialize(&mut body);
    Message {
        kind: message.message_type(),
        flags,
        body,
    }
}

/// The family of an address.
fn family_of(address: std::net::IpAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

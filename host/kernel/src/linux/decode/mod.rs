//! The kernel's answers as what the host reads and compares. None where one is nothing that the host has a word for, such as a link whose
//! name cannot be written, or a route of a type that follows from an address.

mod address;
mod link;
mod neighbour;
mod route;
mod rule;

pub(super) use address::address;
pub(super) use link::{link, link_name, link_statistics};
pub(super) use neighbour::{forwarding_entry, neighbour, proxy_neighbour};
pub(super) use route::{is_local, looked_up, routes};
pub(super) use rule::rule;

use std::net::IpAddr;

use jackfield_model::{IpNetwork, MacAddr};

/// Four bytes of a fixed header as a number in the machine's order.
fn header_u32(message: &[u8], at: usize) -> Option<u32> {
    super::attributes::u32_of(message.get(at..at + 4)?)
}

/// A MAC address that an interface can carry.
fn mac(value: &[u8]) -> Option<MacAddr> {
    <[u8; 6]>::try_from(value)
        .ok()
        .and_then(|octets| MacAddr::new(octets).ok())
}

/// An address with its prefix.
fn network(address: IpAddr, prefix: u8) -> Option<IpNetwork> {
    IpNetwork::new(address, prefix).ok()
}

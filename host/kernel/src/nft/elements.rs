//! Which elements a driver's rule becomes, in which sets of the host's table. Pure.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use jackfield_model::{LinkName, PortMapping, Transport};
use nix::errno::Errno;

mod border;
mod collide;
mod laid;
mod services;

use super::{
    layout::Family,
    object::{Data, Element},
};
use crate::{KernelError, Result, plan::FirewallRule};

/// A range whose ports are shifted is an element a port. At some 100 bytes each, this many fit into one send of a socket's default buffer.
const MOST_SHIFTED_PORTS: u16 = 1024;

/// Elements of a virtual address. With N endpoints, shares differ by one in 256 / N.
pub(super) const BUCKETS: u32 = 256;

/// An element and the set that it belongs to.
pub(super) type Placed = (String, Element);

/// The elements of a rule.
///
/// # Errors
/// EINVAL, with what was expected, for a rule that cannot be had.
pub(super) fn elements(rule: &FirewallRule) -> Result<Vec<Placed>> {
    match rule {
        FirewallRule::Masquerade { subnet, link } => Ok(masquerade(*subnet, link)),
        FirewallRule::Publish { mapping, target } => publish(mapping, *target),
        FirewallRule::MasqueradeAs { subnet, link, source } => masquerade_as(*subnet, link, *source),
        FirewallRule::Spread { address, side, targets } => services::spread(*address, *side, targets),
        FirewallRule::Virtual { address, subnet } => services::virtual_address(*address, *subnet),
        FirewallRule::Laid { .. } | FirewallRule::LaidEntry { .. } | FirewallRule::LaidTrusted { .. } => {
            Ok(laid::elements(rule))
        }
        rule => border::elements(rule),
    }
}

fn masquerade_as(subnet: IpNetwork, link: &LinkName, source: IpAddr) -> Result<Vec<Placed>> {
    if subnet.is_ipv4() != source.is_ipv4() || source.is_unspecified() {
        let said =
            format!("{source} cannot be the source of what leaves {subnet}: expected an address of the same family");
        return Err(refused("masquerade", format!("{subnet} as {source}"), said));
    }
    let family = Family::of(source);
    let (as_given, set) = (family.set("masquerade"), family.set("snat"));
    let with_source = |(name, element): Placed| match name == as_given {
        true if element.ends => (set.clone(), element),
        true => (
            set.clone(),
            Element {
                data: Some(Data::Value(octets(source))),
                ..element
            },
        ),
        false => (name, element),
    };
    Ok(masquerade(subnet, link).into_iter().map(with_source).collect())
}

/// EINVAL, with what was expected.
fn refused(operation: &'static str, object: String, said: String) -> KernelError {
    KernelError::Explained {
        operation,
        object,
        said,
        errno: Errno::EINVAL,
    }
}

fn masquerade(subnet: IpNetwork, link: &LinkName) -> Vec<Placed> {
    let family = Family::of(subnet.ip());
    let (first, last) = (octets(subnet.network()), octets(subnet.broadcast()));
    let mut placed = vec![(family.set("masquerade"), Element::key(first.clone()))];
    placed.extend(behind(&last).map(|key| {
        (
            family.set("masquerade"),
            Element {
                ends: true,
                ..Element::key(key)
            },
        )
    }));
    placed.push((
        family.set("own"),
        interval([first, name(link)].concat(), [last, name(link)].concat()),
    ));
    placed
}

fn publish(mapping: &PortMapping, target: IpAddr) -> Result<Vec<Placed>> {
    check(mapping, target).map_err(|said| refused("publish", describe(mapping, target), said))?;
    if is_range(mapping) {
        return Ok(publish_range(mapping, target).into());
    }
    Ok((0..mapping.count)
        .flat_map(|n| publish_one(mapping, n, target))
        .collect())
}

/// Whether it is one element: its ports stay what they are.
fn is_range(mapping: &PortMapping) -> bool {
    mapping.count > 1 && mapping.host_port == mapping.container_port
}

/// See [`super::collide`].
pub(super) fn collide(there: &FirewallRule, new: &FirewallRule) -> bool {
    collide::collide(there, new)
}

/// What nf_tables cannot express, in words.
fn check(mapping: &PortMapping, target: IpAddr) -> Result<(), String> {
    let fits = |first: u16| mapping.count > 0 && first > 0 && first.checked_add(mapping.count - 1).is_some();
    if mapping.host_address.is_ipv4() != target.is_ipv4() {
        return Err("the host's address and the endpoint's are of two families; give them the same".into());
    }
    if !fits(mapping.host_port) || !fits(mapping.container_port) {
        return Err("ports are 1 to 65535, and a range holds at least one".into());
    }
    if mapping.host_port != mapping.container_port && mapping.count > MOST_SHIFTED_PORTS {
        return Err(format!(
            "a range whose ports differ inside and outside holds at most {MOST_SHIFTED_PORTS}; use the same ports on both sides"
        ));
    }
    Ok(())
}

fn publish_one(mapping: &PortMapping, n: u16, target: IpAddr) -> [Placed; 2] {
    let family = Family::of(target);
    let key = service(mapping, mapping.host_port + n);
    let data = [octets(target), word((mapping.container_port + n).to_be_bytes())].concat();
    let hairpin = [key.clone(), octets(target), octets(target)].concat();
    [
        (
            family.set("publish"),
            Element {
                data: Some(Data::Value(data)),
                ..Element::key(key)
            },
        ),
        (family.set("hairpin"), Element::key(hairpin)),
    ]
}

fn publish_range(mapping: &PortMapping, target: IpAddr) -> [Placed; 2] {
    let set = |name| Family::of(target).set(name);
    let first = service(mapping, mapping.host_port);
    let last = service(mapping, mapping.host_port + (mapping.count - 1));
    let returning = |key: &[u8]| [key, &octets(target), &octets(target)].concat();
    let hairpin = interval(returning(&first), returning(&last));
    [
        (
            set("publish_range"),
            Element {
                data: Some(Data::Value(octets(target))),
                ..interval(first, last)
            },
        ),
        (set("hairpin_range"), hairpin),
    ]
}

/// `address . protocol . port`, each part padded to whole words.
fn service(mapping: &PortMapping, port: u16) -> Vec<u8> {
    service_at(mapping.host_address, mapping.transport, port)
}

fn service_at(address: IpAddr, transport: Transport, port: u16) -> Vec<u8> {
    let protocol = match transport {
        Transport::Tcp => libc::IPPROTO_TCP,
        Transport::Udp => libc::IPPROTO_UDP,
        Transport::Sctp => libc::IPPROTO_SCTP,
    };
    [octets(address), word([protocol as u8]), word(port.to_be_bytes())].concat()
}

fn interval(first: Vec<u8>, last: Vec<u8>) -> Element {
    Element {
        last: Some(last),
        ..Element::key(first)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn word<const N: usize>(bytes: [u8; N]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(4, 0);
    padded
}

/// As `iifname` is compared: all of its sixteen bytes.
fn name(link: &LinkName) -> Vec<u8> {
    let mut padded = link.as_str().as_bytes().to_vec();
    padded.resize(libc::IFNAMSIZ, 0);
    padded
}

/// The address behind the last one of an interval; None when the interval reaches the end of all addresses, and needs no end.
fn behind(last: &[u8]) -> Option<Vec<u8>> {
    let mut next = last.to_vec();
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}

/// A rule in words, for errors.
pub(super) fn words(rule: &FirewallRule) -> String {
    match rule {
        FirewallRule::Masquerade { subnet, link } => format!("masquerade of {subnet} but for {link}"),
        FirewallRule::MasqueradeAs { subnet, link, source } => {
            format!("masquerade of {subnet} as {source} but for {link}")
        }
        FirewallRule::Publish { mapping, target } => describe(mapping, *target),
        FirewallRule::Spread { address, targets, .. } => {
            format!("virtual address {address} for {} endpoints", targets.len())
        }
        FirewallRule::Virtual { address, subnet } => format!("virtual address {address} within {subnet}"),
        FirewallRule::Laid { .. } | FirewallRule::LaidEntry { .. } | FirewallRule::LaidTrusted { .. } => {
            laid::words(rule)
        }
        rule => border::words(rule),
    }
}

fn describe(mapping: &PortMapping, target: IpAddr) -> String {
    let PortMapping {
        transport,
        container_port,
        host_address,
        host_port,
        count,
    } = mapping;
    let transport = format!("{transport:?}").to_lowercase();
    let many = if *count == 1 {
        String::new()
    } else {
        format!(" ({count} ports)")
    };
    let host = std::net::SocketAddr::new(*host_address, *host_port);
    let inside = std::net::SocketAddr::new(target, *container_port);
    format!("{transport} {host} to {inside}{many}")
}

//! A guest's values as the host takes them: each is checked once, here. A value that means nothing is refused in a sentence that says what
//! was expected.

use std::net::IpAddr;

use jackfield_driver::{Gateway, Guard};
use jackfield_kernel::plan::{ForwardingEntry, IpvlanMode, MacvlanMode, Rate, SysctlTable};
use jackfield_model::{
    Capabilities, EndpointReply, Error, ErrorCode, Family, IpNetwork, MacAddr, NextHop, Options, PortMapping, Result,
    Scope, StaticRoute, Transport,
};
use jackfield_wasm_bindings::jackfield::driver::{firewall, netlink, specs, types};

use crate::output::one_line;

/// Longest message of a guest's error, in bytes.
const MESSAGE_MAX: usize = 1 << 10;
/// Entries in one list: addresses, routes, options. An endpoint has a handful.
const LIST_MAX: usize = 1_024;
/// Longest key and longest value of an option, in bytes.
const OPTION_MAX: usize = 4 << 10;

pub(crate) fn error_from_guest(error: types::Error) -> Error {
    let message = one_line(&error.message, MESSAGE_MAX);
    let message = if message.is_empty() {
        "the driver gave no reason".to_owned()
    } else {
        message
    };
    let told = Error::new(code(error.code), message);
    if error.retryable { told.retryable() } else { told }
}

fn code(code: types::ErrorCode) -> ErrorCode {
    match code {
        types::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        types::ErrorCode::NotFound => ErrorCode::NotFound,
        types::ErrorCode::AlreadyExists => ErrorCode::AlreadyExists,
        types::ErrorCode::InUse => ErrorCode::InUse,
        types::ErrorCode::InvalidState => ErrorCode::InvalidState,
        types::ErrorCode::Exhausted => ErrorCode::Exhausted,
        types::ErrorCode::Denied => ErrorCode::Denied,
        types::ErrorCode::Unsupported => ErrorCode::Unsupported,
        types::ErrorCode::Unavailable => ErrorCode::Unavailable,
        types::ErrorCode::Internal => ErrorCode::Internal,
    }
}

pub(crate) fn guard(border: &firewall::Border) -> Result<Guard> {
    if border.trusted.len() > LIST_MAX {
        let count = border.trusted.len();
        return Err(Error::invalid(format!(
            "{count} trusted links are too many: expected {LIST_MAX} at most"
        )));
    }
    Ok(Guard {
        ipv4: border.ipv4.map(mode),
        ipv6: border.ipv6.map(mode),
        icc: border.icc,
        trusted: border.trusted.iter().map(|name| name.parse()).collect::<Result<_>>()?,
    })
}

fn mode(gateway: firewall::Gateway) -> Gateway {
    match gateway {
        firewall::Gateway::Nat => Gateway::Nat,
        firewall::Gateway::NatUnprotected => Gateway::NatUnprotected,
        firewall::Gateway::Routed => Gateway::Routed,
    }
}

pub(crate) fn address(address: types::IpAddress) -> IpAddr {
    match address {
        types::IpAddress::Ipv4(octets) => <[u8; 4]>::from(octets).into(),
        types::IpAddress::Ipv6(segments) => <[u16; 8]>::from(segments).into(),
    }
}

pub(crate) fn network(network: types::IpNetwork) -> Result<IpNetwork> {
    let ip = address(network.address);
    let most = Family::of(ip).host_prefix();
    IpNetwork::new(ip, network.prefix_length).map_err(|cause| {
        let message = format!(
            "{ip}/{} has no such prefix: expected a length of 0 to {most}",
            network.prefix_length
        );
        Error::invalid(message).caused_by(cause)
    })
}

fn networks(list: Vec<types::IpNetwork>) -> Result<Vec<IpNetwork>> {
    bounded("addresses", list.len())?;
    list.into_iter().map(network).collect()
}

pub(crate) fn mac(octets: types::MacAddress) -> Result<MacAddr> {
    MacAddr::new(octets.into())
}

fn bounded(what: &str, count: usize) -> Result<()> {
    if count > LIST_MAX {
        return Err(Error::invalid(format!(
            "{count} {what} are too many: expected at most {LIST_MAX}"
        )));
    }
    Ok(())
}

pub(crate) fn options(list: types::Options) -> Result<Options> {
    bounded("options", list.len())?;
    let mut options = Options::new();
    for (key, value) in list {
        if key.len() > OPTION_MAX || value.len() > OPTION_MAX {
            return Err(Error::invalid(format!(
                "an option's key and value may have {OPTION_MAX} bytes at most"
            )));
        }
        if let Some(twice) = options.insert(key.clone(), value) {
            let (key, twice) = (one_line(&key, 60), one_line(&twice, 60));
            return Err(Error::invalid(format!(
                "the option \"{key}\" comes twice, first as \"{twice}\": expected each key once"
            )));
        }
    }
    Ok(options)
}

pub(crate) fn family(family: types::AddressFamily) -> Family {
    match family {
        types::AddressFamily::Ipv4 => Family::Ipv4,
        types::AddressFamily::Ipv6 => Family::Ipv6,
    }
}

pub(crate) fn port(port: types::PortMapping) -> Result<PortMapping> {
    let past_end = |first: u16| u32::from(first) + u32::from(port.count) > 1 << 16;
    if port.container_port == 0 || port.count == 0 || past_end(port.container_port) || past_end(port.host_port) {
        let message = format!(
            "{} ports from {} on, on the host from {}, are no range: expected 1 or more ports, from 1 on and up to 65535",
            port.count, port.container_port, port.host_port
        );
        return Err(Error::invalid(message));
    }
    Ok(PortMapping {
        transport: match port.transport {
            types::Transport::Tcp => Transport::Tcp,
            types::Transport::Udp => Transport::Udp,
            types::Transport::Sctp => Transport::Sctp,
        },
        container_port: port.container_port,
        host_address: address(port.host_address),
        host_port: port.host_port,
        count: port.count,
    })
}

pub(crate) fn macvlan_mode(mode: netlink::MacvlanMode) -> MacvlanMode {
    match mode {
        netlink::MacvlanMode::Bridge => MacvlanMode::Bridge,
        netlink::MacvlanMode::Private => MacvlanMode::Private,
        netlink::MacvlanMode::Vepa => MacvlanMode::Vepa,
        netlink::MacvlanMode::Passthru => MacvlanMode::Passthru,
    }
}

pub(crate) fn ipvlan_mode(mode: netlink::IpvlanMode) -> IpvlanMode {
    match mode {
        netlink::IpvlanMode::L2 => IpvlanMode::L2,
        netlink::IpvlanMode::L3 => IpvlanMode::L3,
        netlink::IpvlanMode::L3s => IpvlanMode::L3s,
    }
}

pub(crate) fn sysctl_table(table: netlink::SysctlTable) -> SysctlTable {
    match table {
        netlink::SysctlTable::Conf => SysctlTable::Conf,
        netlink::SysctlTable::Neigh => SysctlTable::Neigh,
    }
}

pub(crate) fn rate(rate: netlink::Rate) -> Result<Rate> {
    if rate.bytes_per_second == 0 || rate.burst_bytes == 0 {
        return Err(Error::invalid(
            "a rate of 0 bytes would let nothing pass: expected more than 0, or none for no limit",
        ));
    }
    Ok(Rate {
        bytes_per_second: rate.bytes_per_second,
        burst_bytes: rate.burst_bytes,
    })
}

pub(crate) fn forwarding_entry(entry: netlink::ForwardingEntry) -> Result<ForwardingEntry> {
    let octets = <[u8; 6]>::from(entry.mac);
    if let Some(vni) = entry.vni.filter(|vni| *vni >= 1 << 24) {
        return Err(Error::invalid(format!(
            "{vni} is no VXLAN network identifier: expected 0 to 16777215"
        )));
    }
    if let Some(vlan) = entry.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
        return Err(Error::invalid(format!("{vlan} is no VLAN: expected 1 to 4094")));
    }
    Ok(ForwardingEntry {
        // The all-zero address is where VXLAN floods.
        mac: if octets == [0; 6] {
            None
        } else {
            Some(MacAddr::new(octets)?)
        },
        destination: entry.destination.map(address),
        vni: entry.vni,
        vlan: entry.vlan,
    })
}

pub(crate) fn capabilities(capabilities: specs::Capabilities) -> Capabilities {
    let scope = |scope| match scope {
        specs::Scope::Local => Scope::Local,
        specs::Scope::Global => Scope::Global,
    };
    Capabilities {
        scope: scope(capabilities.scope),
        connectivity_scope: scope(capabilities.connectivity_scope),
    }
}

pub(crate) fn endpoint_reply(reply: specs::EndpointReply) -> Result<EndpointReply> {
    Ok(EndpointReply {
        mac: reply.mac.map(mac).transpose()?,
        addresses: networks(reply.addresses)?,
    })
}

pub(crate) fn static_routes(routes: Vec<specs::StaticRoute>) -> Result<Vec<StaticRoute>> {
    bounded("routes", routes.len())?;
    routes.into_iter().map(static_route).collect()
}

fn static_route(route: specs::StaticRoute) -> Result<StaticRoute> {
    Ok(StaticRoute {
        destination: network(route.destination)?,
        next_hop: match route.next_hop {
            specs::NextHop::Gateway(gateway) => NextHop::Gateway(address(gateway)),
            specs::NextHop::Connected => NextHop::Connected,
        },
        attributes: options(route.attributes)?,
    })
}

/// A default gateway of that family.
pub(crate) fn gateway(given: Option<types::IpAddress>, family: Family) -> Result<Option<IpAddr>> {
    let Some(gateway) = given.map(address) else {
        return Ok(None);
    };
    if Family::of(gateway) != family {
        return Err(Error::invalid(format!(
            "{gateway} is given as the other family's gateway"
        )));
    }
    Ok(Some(gateway))
}

/// The beginning of an interface's name, to which the host puts a number.
pub(crate) fn name_prefix(prefix: String) -> Result<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let starts = prefix.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if !starts || prefix.len() > 12 || !prefix.bytes().all(good) {
        let shown = one_line(&prefix, 40);
        return Err(Error::invalid(format!(
            "\"{}\" cannot begin an interface's name: expected 1 to 12 letters, digits, '-', '_' or '.', beginning with a letter",
            shown.escape_default()
        )));
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_refused() {
        let v4 = types::IpAddress::Ipv4((10, 0, 0, 1));
        assert!(
            network(types::IpNetwork {
                address: v4,
                prefix_length: 33
            })
            .unwrap_err()
            .message
            .contains("0 to 32")
        );
        assert!(mac((0, 0, 0, 0, 0, 0)).is_err());
        assert!(mac((1, 0, 0, 0, 0, 0)).is_err(), "a group address");
        assert!(
            options(vec![("a".into(), "1".into()), ("a".into(), "2".into())])
                .unwrap_err()
                .message
                .contains("twice")
        );
        assert!(options(vec![("a".into(), "x".repeat(OPTION_MAX + 1))]).is_err());
        assert!(options((0..=LIST_MAX).map(|i| (i.to_string(), String::new())).collect()).is_err());
        assert!(gateway(Some(v4), Family::Ipv6).is_err());
        let border = |trusted: Vec<String>| firewall::Border {
            ipv4: Some(firewall::Gateway::Nat),
            ipv6: None,
            icc: false,
            trusted,
        };
        let taken = guard(&border(vec!["eth0".into()])).unwrap();
        assert_eq!((taken.ipv4, taken.ipv6, taken.icc), (Some(Gateway::Nat), None, false));
        assert!(guard(&border(vec!["no name at all".into()])).is_err());
        assert!(guard(&border(vec!["eth0".into(); LIST_MAX + 1])).is_err());
        for prefix in ["", "1eth", "e/h", "thirteen-long", "eth\n"] {
            assert!(name_prefix(prefix.into()).is_err(), "{prefix:?}");
        }
        assert!(
            rate(netlink::Rate {
                bytes_per_second: 0,
                burst_bytes: 1
            })
            .is_err()
        );
    }

    #[test]
    fn port_ranges_end_at_65535() {
        let mapping = |container_port, host_port, count| types::PortMapping {
            transport: types::Transport::Tcp,
            container_port,
            host_address: types::IpAddress::Ipv4((0, 0, 0, 0)),
            host_port,
            count,
        };
        for (container, host, count, good) in [
            (80, 8080, 1, true),
            (65535, 0, 1, true),
            (0, 80, 1, false),
            (80, 80, 0, false),
            (65535, 80, 2, false),
            (80, 65535, 2, false),
        ] {
            assert_eq!(
                port(mapping(container, host, count)).is_ok(),
                good,
                "{container} {host} {count}"
            );
        }
    }

    #[test]
    fn the_zero_address_of_a_forwarding_entry_is_where_vxlan_floods() {
        let entry = |mac, vni, vlan| netlink::ForwardingEntry {
            mac,
            destination: None,
            vni,
            vlan,
        };
        assert_eq!(
            forwarding_entry(entry((0, 0, 0, 0, 0, 0), None, None)).unwrap().mac,
            None
        );
        assert!(forwarding_entry(entry((2, 0, 0, 0, 0, 1), Some(1 << 24), None)).is_err());
        assert!(forwarding_entry(entry((2, 0, 0, 0, 0, 1), None, Some(4095))).is_err());
    }

    #[test]
    fn a_guests_error_stays_one_bounded_line() {
        let error = types::Error {
            code: types::ErrorCode::Denied,
            message: "a\nb".repeat(2_000),
            retryable: true,
        };
        let error = error_from_guest(error);
        assert!(error.message.len() <= MESSAGE_MAX && !error.message.contains('\n') && error.retryable);
    }
}

//! The host as the network's gateway: addresses on the bridge, forwarding, masquerading.

use std::net::IpAddr;

use jackfield_driver::{Gateway, Guard, LinkId, Operation};
use jackfield_kernel::plan::SysctlTable;
use jackfield_model::{Error, ErrorCode, Family, IpNetwork, JoinSpec, NetworkSpec, Pool, Result};

use super::{
    link::Bridge,
    options::{GatewayMode, NetworkOptions},
};

/// Gives the bridge its pools' gateways, and opens the way to the world where the network has one.
///
/// # Errors
/// What the operation refuses.
pub fn open(op: &mut Operation, bridge: Bridge, spec: &NetworkSpec, options: &NetworkOptions) -> Result<()> {
    let there = if bridge.adopted {
        op.link_addresses(bridge.link)?
    } else {
        Vec::new()
    };
    let pools: Vec<&Pool> = spec
        .pools
        .iter()
        .filter(|pool| !options.keeps_out(Family::of(pool.subnet.ip())))
        .collect();
    for pool in &pools {
        add_gateway(op, bridge.link, pool, &there)?;
    }
    guard(op, bridge, options)?;
    if spec.internal {
        return op.make_internal(bridge.link);
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        if pools.iter().any(|p| Family::of(p.subnet.ip()) == family) {
            forward(op, bridge.link, family)?;
        }
    }
    for pool in pools.iter().filter(|_| options.masquerade.unwrap_or(true)) {
        masquerade(op, bridge.link, pool, options)?;
    }
    Ok(())
}

/// Who may enter.
fn guard(op: &mut Operation, bridge: Bridge, options: &NetworkOptions) -> Result<()> {
    let let_in = |family| match options.mode(family) {
        Some(GatewayMode::Open(gateway)) => Some(gateway),
        Some(GatewayMode::Isolated) => None,
        None => Some(Gateway::Nat),
    };
    let guard = Guard {
        ipv4: let_in(Family::Ipv4),
        ipv6: let_in(Family::Ipv6),
        icc: options.icc.unwrap_or(true),
        trusted: options.trusted.clone(),
    };
    if guard == Guard::default() {
        return Ok(());
    }
    op.guard(bridge.link, &guard)
}

/// Nothing is translated where the world reaches the sandboxes at their own addresses.
fn masquerade(op: &mut Operation, bridge: LinkId, pool: &Pool, options: &NetworkOptions) -> Result<()> {
    let family = Family::of(pool.subnet.ip());
    if options.mode(family) == Some(GatewayMode::Open(Gateway::Routed)) {
        return Ok(());
    }
    let source = match family {
        Family::Ipv4 => options.host_ipv4.map(IpAddr::from),
        Family::Ipv6 => options.host_ipv6.map(IpAddr::from),
    };
    match source {
        Some(source) => op.masquerade_as(pool.subnet, bridge, source),
        None => op.masquerade(pool.subnet, bridge),
    }
}

/// An adopted bridge may be the gateway already; what it has it keeps.
fn add_gateway(op: &mut Operation, bridge: LinkId, pool: &Pool, there: &[IpNetwork]) -> Result<()> {
    let Some(gateway) = pool.gateway.filter(|gateway| there.iter().all(|a| a.ip() != *gateway)) else {
        return Ok(());
    };
    let address = IpNetwork::new(gateway, pool.subnet.prefix()).map_err(|e| {
        Error::internal(format!("gateway {gateway} does not fit the prefix of {}", pool.subnet)).caused_by(e)
    })?;
    op.add_address(bridge, address)
}

/// Lets what comes in by the bridge be forwarded. For IPv6 a kernel older than 6.17 has no such switch for a single link; there the network
/// works within itself, and forwarding beyond is the operator's to turn on for the whole host.
fn forward(op: &mut Operation, bridge: LinkId, family: Family) -> Result<()> {
    let key = match family {
        Family::Ipv4 => "forwarding",
        Family::Ipv6 => "force_forwarding",
    };
    match op.set_sysctl(bridge, family, SysctlTable::Conf, key, "1") {
        Err(e) if matches!(e.code, ErrorCode::Unsupported | ErrorCode::NotFound) => Ok(()),
        other => other,
    }
}

/// The gateway of the pool that the endpoint has an address of.
pub fn of_endpoint(spec: &JoinSpec, family: Family) -> Option<IpAddr> {
    let mut addresses = spec
        .endpoint
        .addresses
        .iter()
        .map(|a| a.ip())
        .filter(|a| Family::of(*a) == family);
    addresses.find_map(|address| spec.network.pools.iter().find(|p| p.subnet.contains(address))?.gateway)
}

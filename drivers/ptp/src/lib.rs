//! `ptp`: routed endpoints without a bridge.
//!
//! ```text
//!   sandbox                                        host
//!   eth0 10.1.0.2/24 ---- veth ---- link 10.1.0.1/32 (the pool's gateway, on every pair)
//!     10.1.0.1      on eth0                10.1.0.2/32 by the link
//!     10.1.0.0/25   by 10.1.0.1
//!     10.1.0.128/25 by 10.1.0.1
//!     default       by 10.1.0.1, unless the network is internal
//! ```
//!
//! The sandbox's address has the subnet's prefix, so that the sandbox takes its peers to be on its link. The two halves of the subnet, by the
//! gateway, are more specific than that: packets to peers go to the host, which has a route to each. That spares proxy ARP, and for
//! IPv6 an entry for every peer on every link.

use std::net::IpAddr;

use jackfield_sdk::{
    Cidr, Driver, EndpointReply, EndpointSpec, Error, ErrorCode, Family, JoinReply, JoinSpec, Link, NetworkSpec,
    NextHop, Options, Pairs, Pool, Result, Route, StaticRoute, SysctlTable, Takes,
};

/// The label of an endpoint's pair.
const PAIR: &str = "pair";
const NETWORK_OPTIONS: &[Takes] = &[Takes::new("mtu", "bytes, 68 to 65535")];

/// The driver.
#[derive(Debug)]
pub struct Ptp;

jackfield_sdk::export!(Ptp, manifest = "driver.toml");

impl Driver for Ptp {
    fn create_network(network: &NetworkSpec) -> Result<()> {
        mtu(&network.options)?;
        if network.pools.is_empty() {
            return Err(Error::invalid(
                "a ptp network routes to addresses: expected at least one subnet",
            ));
        }
        network.pools.iter().try_for_each(|pool| gateway(pool).map(|_| ()))
    }

    fn create_endpoint(_network: &NetworkSpec, endpoint: &EndpointSpec) -> Result<EndpointReply> {
        Options::read(&endpoint.options, &[])?;
        Ok(EndpointReply::default())
    }

    fn join(join: &JoinSpec) -> Result<JoinReply> {
        Options::read(&join.options, &[])?;
        let (host, sandbox) = Link::create_veth(PAIR)?;
        if let Some(mtu) = mtu(&join.network.options)? {
            host.set_mtu(mtu)?;
            sandbox.set_mtu(mtu)?;
        }
        introduce(join, &host, &sandbox)?;
        let mut reply = JoinReply::interface(sandbox, "eth");
        for address in &join.endpoint.addresses {
            Route::to(Cidr::host(address.address())).add(Some(&host))?;
        }
        for pool in pools_of(join) {
            let gateway = gateway(pool)?;
            host.add_address(Cidr::host(gateway))?;
            forward(&host, pool.subnet.family())?;
            reply = route_by(gateway, pool.subnet, reply);
            // What is internal leads to its own addresses alone.
            if !join.network.internal {
                reply = reply.gateway(gateway);
            }
        }
        host.set_up(true)?;
        Ok(reply)
    }
}

/// Tells the two ends of a pair each other's MAC for IPv6. The kernel makes a new address known to its link in deferred work, and a
/// solicitation that comes before is lost for a second; ARP needs no such help.
fn introduce(join: &JoinSpec, host: &Link, sandbox: &Link) -> Result<()> {
    let of_ipv6 = |address: &IpAddr| address.is_ipv6();
    if let Some(mac) = join.endpoint.mac.or_else(|| sandbox.mac()) {
        let addresses = join.endpoint.addresses.iter().map(Cidr::address);
        addresses
            .filter(of_ipv6)
            .try_for_each(|address| host.add_neighbour(address, mac))?;
    }
    if let Some(mac) = host.mac() {
        let gateways = pools_of(join).filter_map(|pool| pool.gateway);
        gateways
            .filter(of_ipv6)
            .try_for_each(|gateway| sandbox.add_neighbour(gateway, mac))?;
    }
    Ok(())
}

fn mtu(options: &Pairs) -> Result<Option<u32>> {
    let options = Options::read(options, NETWORK_OPTIONS)?;
    match options.get::<u32>("mtu")? {
        Some(mtu) if !(68..=65_535).contains(&mtu) => Err(options.refuse("mtu")),
        mtu => Ok(mtu),
    }
}

fn gateway(pool: &Pool) -> Result<IpAddr> {
    pool.gateway.ok_or_else(|| {
        Error::invalid(format!(
            "a ptp network routes by a gateway: expected one for {}",
            pool.subnet
        ))
    })
}

/// The pools that the endpoint has addresses of.
fn pools_of(join: &JoinSpec) -> impl Iterator<Item = &Pool> {
    let of = |pool: &&Pool| {
        join.endpoint
            .addresses
            .iter()
            .any(|address| pool.subnet.contains(address.address()))
    };
    join.network.pools.iter().filter(of)
}

/// For IPv6 a kernel older than 6.17 has no such switch for a single link: there forwarding is the operator's to turn on.
fn forward(host: &Link, family: Family) -> Result<()> {
    let key = match family {
        Family::Ipv4 => "forwarding",
        Family::Ipv6 => "force_forwarding",
    };
    match host.set_sysctl(family, SysctlTable::Conf, key, "1") {
        Err(error) if error.code == ErrorCode::Unsupported => Ok(()),
        other => other,
    }
}

/// The sandbox's end: everything of the subnet by the gateway.
fn route_by(gateway: IpAddr, subnet: Cidr, reply: JoinReply) -> JoinReply {
    let reply = reply.route(StaticRoute::connected(Cidr::host(gateway)));
    halves(subnet).into_iter().fold(reply, |reply, destination| {
        reply.route(StaticRoute {
            destination,
            next_hop: NextHop::Gateway(gateway),
            attributes: Pairs::new(),
        })
    })
}

/// The two halves of a subnet. None where they would be the gateway's and the endpoint's own addresses, to which there are routes already.
fn halves(subnet: Cidr) -> Vec<Cidr> {
    let longer = subnet.prefix() + 1;
    if longer >= subnet.family().bits() {
        return Vec::new();
    }
    let host_bits = u32::from(subnet.family().bits() - longer);
    let second = match subnet.network().address() {
        IpAddr::V4(v4) => IpAddr::from((v4.to_bits() | 1 << host_bits).to_be_bytes()),
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() | 1 << host_bits).to_be_bytes()),
    };
    [subnet.network().address(), second]
        .into_iter()
        .filter_map(|address| Cidr::new(address, longer))
        .collect()
}

#[cfg(test)]
mod tests;

//! Which gateway, range and auxiliary address belongs to which subnet: to the one that contains it.

use std::net::IpAddr;

use clap::Args;
use jackfield_model::{IpNetwork, parse_subnet};

use super::Failure;
use crate::wire::{Auxiliary, PoolRequest};

/// The flags for addresses.
#[derive(Debug, Default, Args)]
pub(super) struct PoolArguments {
    /// Subnet, as 10.9.0.0/24; once for each subnet
    #[arg(long, value_name = "CIDR", value_parser = parse_subnet)]
    pub subnet: Vec<IpNetwork>,
    /// Gateway of the subnet that it lies in
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<IpAddr>,
    /// Give out addresses from this part of the subnet only
    #[arg(long, value_name = "CIDR", value_parser = parse_subnet)]
    pub ip_range: Vec<IpNetwork>,
    /// Set an address aside, as router=10.9.0.2
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = auxiliary)]
    pub aux_address: Vec<Auxiliary>,
}

impl PoolArguments {
    /// One pool for each subnet.
    pub fn into_pools(self) -> Result<Vec<PoolRequest>, Failure> {
        let mut pools: Vec<_> = self
            .subnet
            .into_iter()
            .map(|subnet| PoolRequest {
                subnet: Some(subnet),
                ..PoolRequest::default()
            })
            .collect();
        for gateway in self.gateway {
            let pool = containing(&mut pools, "--gateway", gateway)?;
            set(&mut pool.gateway, "--gateway", gateway, pool.subnet)?;
        }
        for range in self.ip_range {
            let pool = containing(&mut pools, "--ip-range", range.ip())?;
            set(&mut pool.range, "--ip-range", range, pool.subnet)?;
        }
        for auxiliary in self.aux_address {
            containing(&mut pools, "--aux-address", auxiliary.address)?
                .auxiliary
                .push(auxiliary);
        }
        Ok(pools)
    }
}

fn containing<'a>(pools: &'a mut [PoolRequest], flag: &str, address: IpAddr) -> Result<&'a mut PoolRequest, Failure> {
    if pools.is_empty() {
        return Err(Failure::usage(format!(
            "{flag} {address} needs the --subnet that it lies in"
        )));
    }
    let pool = pools
        .iter_mut()
        .find(|pool| pool.subnet.is_some_and(|subnet| subnet.contains(address)));
    pool.ok_or_else(|| Failure::usage(format!("{flag} {address} lies in none of the subnets given")))
}

fn set<T>(slot: &mut Option<T>, flag: &str, value: T, subnet: Option<IpNetwork>) -> Result<(), Failure> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!(
            "{flag} is given twice for {}",
            subnet.map_or_else(String::new, |s| s.to_string())
        ))),
    }
}

fn auxiliary(text: &str) -> Result<Auxiliary, String> {
    let expected = || "expected NAME=ADDRESS".to_owned();
    let (name, address) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(expected)?;
    Ok(Auxiliary {
        name: name.to_owned(),
        address: address.parse().map_err(|_| expected())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(subnets: &[&str], gateways: &[&str], ranges: &[&str]) -> PoolArguments {
        PoolArguments {
            subnet: subnets.iter().map(|s| s.parse().unwrap()).collect(),
            gateway: gateways.iter().map(|s| s.parse().unwrap()).collect(),
            ip_range: ranges.iter().map(|s| s.parse().unwrap()).collect(),
            aux_address: vec![],
        }
    }

    #[test]
    fn each_address_goes_to_the_subnet_that_contains_it() {
        let pools = arguments(
            &["10.9.0.0/24", "fd00::/64"],
            &["fd00::9", "10.9.0.9"],
            &["10.9.0.128/25"],
        )
        .into_pools()
        .unwrap();
        assert_eq!(pools[0].gateway, Some("10.9.0.9".parse().unwrap()));
        assert_eq!(pools[0].range, Some("10.9.0.128/25".parse().unwrap()));
        assert_eq!(pools[1].gateway, Some("fd00::9".parse().unwrap()));
    }

    #[test]
    fn what_belongs_to_no_subnet_is_refused() {
        for (bad, sentence) in [
            (
                arguments(&[], &["10.9.0.1"], &[]),
                "--gateway 10.9.0.1 needs the --subnet that it lies in",
            ),
            (
                arguments(&["10.9.0.0/24"], &["10.8.0.1"], &[]),
                "--gateway 10.8.0.1 lies in none of the subnets given",
            ),
            (
                arguments(&["10.9.0.0/24"], &["10.9.0.1", "10.9.0.2"], &[]),
                "--gateway is given twice for 10.9.0.0/24",
            ),
        ] {
            assert_eq!(bad.into_pools().unwrap_err().to_string(), sentence);
        }
    }
}

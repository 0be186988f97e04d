//! Address ranges as host-local writes them: from one address to another.
//!
//! The host gives out addresses of a subnet, or of a part of it that has a prefix length. A range between two addresses becomes the smallest
//! such part that has all of it, with the addresses around it set aside.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use jackfield_model::parse_subnet;
use serde_json::Value;

use super::{Failure, PoolWanted};
use crate::fields::Fields;

/// Most addresses that are set aside for one range: each is on record.
const MOST_ASIDE: u128 = 1024;
/// What a range may have.
pub const KEYS: [&str; 4] = ["subnet", "rangeStart", "rangeEnd", "gateway"];

/// Sets of ranges: a container gets an address of each set, which here is one of each family.
///
/// # Errors
/// Code 7 for what is none, and for two sets of one family.
pub fn sets(what: &str, sets: Vec<Value>) -> Result<Vec<PoolWanted>, Failure> {
    let mut pools: Vec<PoolWanted> = Vec::new();
    for set in sets {
        let Value::Array(ranges) = set else {
            return Err(Failure::config(format!(
                "\"{what}\" is no list of lists of ranges: expected [[{{\"subnet\": \"10.0.0.0/24\"}}]]"
            )));
        };
        let set: Vec<PoolWanted> = ranges
            .into_iter()
            .map(|range| one(Fields::of(format!("a range of {what}"), range)?))
            .collect::<Result<_, _>>()?;
        let ipv4 = |pool: &PoolWanted| pool.subnet.is_ipv4();
        if set
            .iter()
            .any(|pool| pools.iter().any(|other| ipv4(other) == ipv4(pool)))
        {
            return Err(Failure::config(format!(
                "\"{what}\" has two sets of one address family: a container gets one address of each family; put the ranges into one set"
            )));
        }
        pools.extend(set);
    }
    Ok(pools)
}

/// One range.
///
/// # Errors
/// Code 7.
pub fn one(mut fields: Fields) -> Result<PoolWanted, Failure> {
    let subnet: Option<String> = fields.take("subnet", "a subnet as 10.0.0.0/24")?;
    let start = fields.take("rangeStart", "an address")?;
    let end = fields.take("rangeEnd", "an address")?;
    let gateway = fields.take("gateway", "an address")?;
    fields.end(&KEYS)?;
    let subnet = subnet.ok_or_else(|| Failure::config("a range has no \"subnet\": expected one as 10.0.0.0/24"))?;
    let subnet = parse_subnet(&subnet)?;
    let (range, aside) = match (start, end) {
        (None, None) => (None, Vec::new()),
        (start, end) => part(subnet, start, end)?,
    };
    Ok(PoolWanted {
        subnet,
        range,
        // As host-local: the subnet's first address, wherever the range begins.
        gateway: Some(gateway.unwrap_or_else(|| address(first(subnet).saturating_add(1), subnet))),
        aside,
    })
}

fn part(
    subnet: IpNetwork,
    start: Option<IpAddr>,
    end: Option<IpAddr>,
) -> Result<(Option<IpNetwork>, Vec<IpAddr>), Failure> {
    let start = start.map_or(first(subnet).saturating_add(1), number);
    // Without the broadcast address, which is no host's.
    let end = end.map_or(last(subnet).saturating_sub(u128::from(subnet.is_ipv4())), number);
    if start > end || start < first(subnet) || end > last(subnet) {
        return Err(Failure::config(format!(
            "the range from {} to {} is none of {subnet}",
            address(start, subnet),
            address(end, subnet)
        )));
    }
    let bits = if subnet.is_ipv4() { 32 } else { 128 };
    let differing = 128 - (start ^ end).leading_zeros();
    let prefix = (bits - differing) as u8;
    let around = IpNetwork::new(address(start, subnet), prefix).map_err(|e| Failure::config(e.to_string()))?;
    let around = IpNetwork::new(around.network(), prefix).map_err(|e| Failure::config(e.to_string()))?;
    let (from, to) = (first(around), last(around));
    if (start - from).saturating_add(to - end) > MOST_ASIDE {
        return Err(Failure::config(format!(
            "the range from {} to {} leaves more than {MOST_ASIDE} addresses of {around} out: expected a range that is nearly a subnet, as that one",
            address(start, subnet),
            address(end, subnet)
        )));
    }
    let aside = (from..start)
        .chain((end..=to).skip(1))
        .map(|n| address(n, subnet))
        .collect();
    Ok((Some(around), aside))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn first(subnet: IpNetwork) -> u128 {
    number(subnet.network())
}

fn last(subnet: IpNetwork) -> u128 {
    number(subnet.broadcast())
}

fn address(number: u128, of: IpNetwork) -> IpAddr {
    match (of.is_ipv4(), u32::try_from(number)) {
        (true, Ok(number)) => IpAddr::from(number.to_be_bytes()),
        _ => IpAddr::from(number.to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(range: Value) -> Result<PoolWanted, Failure> {
        one(Fields::of("a range", range)?)
    }

    #[test]
    fn a_range_is_the_smallest_part_around_it() {
        for (start, end, part, aside) in [
            ("10.1.0.64", "10.1.0.127", "10.1.0.64/26", 0),
            ("10.1.0.50", "10.1.0.100", "10.1.0.0/25", 50 + 27),
            ("10.1.0.10", "10.1.0.10", "10.1.0.10/32", 0),
            ("10.1.0.1", "10.1.0.254", "10.1.0.0/24", 2),
        ] {
            let pool = read(json!({"subnet": "10.1.0.0/24", "rangeStart": start, "rangeEnd": end})).unwrap();
            assert_eq!(
                (pool.range, pool.aside.len()),
                (Some(part.parse().unwrap()), aside),
                "{start}"
            );
            assert_eq!(pool.gateway, Some("10.1.0.1".parse().unwrap()));
        }
        let pool = read(json!({"subnet": "fd00::/64", "gateway": "fd00::9"})).unwrap();
        assert_eq!((pool.range, pool.gateway), (None, Some("fd00::9".parse().unwrap())));
    }

    #[test]
    fn what_is_no_range_is_code_7() {
        for bad in [
            json!({}),
            json!({"subnet": "10.1.0.7/24"}),
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}),
            json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}),
            json!({"subnet": "10.1.0.0/24", "rangeStart": "fd00::1"}),
            json!({"subnet": "10.0.0.0/8", "rangeStart": "10.0.0.9", "rangeEnd": "10.200.0.8"}),
            json!({"subnet": "10.1.0.0/24", "range": "x"}),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().code, 7, "{bad}");
        }
        assert!(
            sets(
                "ranges",
                vec![json!([{"subnet": "10.1.0.0/24"}]), json!([{"subnet": "10.2.0.0/24"}])]
            )
            .is_err()
        );
        assert_eq!(
            sets(
                "ranges",
                vec![json!([{"subnet": "10.1.0.0/24"}]), json!([{"subnet": "fd00::/64"}])]
            )
            .unwrap()
            .len(),
            2
        );
    }
}

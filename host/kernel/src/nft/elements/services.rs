//! Elements of the sets that spread connections to virtual addresses.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::{BUCKETS, Placed, interval, octets, refused};
use crate::{
    Result,
    nft::{
        layout::Family,
        object::{Data, Element},
    },
};

/// An element for each bucket of that side. Bucket after bucket goes to target after target, so that none has two more than another.
pub(super) fn spread(address: IpAddr, side: bool, targets: &[IpAddr]) -> Result<Vec<Placed>> {
    if targets.is_empty() || targets.len() > BUCKETS as usize {
        let said = format!(
            "a virtual address stands for 1 to {BUCKETS} addresses, not {}",
            targets.len()
        );
        return Err(refused("spread", address.to_string(), said));
    }
    if let Some(other) = targets.iter().find(|t| t.is_ipv4() != address.is_ipv4()) {
        let said = format!("{other} is of another family: expected the same");
        return Err(refused("spread", address.to_string(), said));
    }
    let set = Family::of(address).set("spread");
    let first = u32::from(side) * BUCKETS;
    let buckets = (first..first + BUCKETS).zip(targets.iter().cycle());
    Ok(buckets
        .map(|(bucket, target)| {
            let key = [octets(address), bucket.to_ne_bytes().to_vec()].concat();
            let element = Element {
                data: Some(Data::Value(octets(*target))),
                ..Element::key(key)
            };
            (set.clone(), element)
        })
        .collect())
}

/// Whoever in the subnet asks the virtual address.
pub(super) fn virtual_address(address: IpAddr, subnet: IpNetwork) -> Result<Vec<Placed>> {
    if address.is_ipv4() != subnet.is_ipv4() {
        let said = format!("{subnet} is of another family: expected the same");
        return Err(refused("spread", address.to_string(), said));
    }
    let asked = |from: IpAddr| [octets(from), octets(address)].concat();
    let element = interval(asked(subnet.network()), asked(subnet.broadcast()));
    Ok(vec![(Family::of(address).set("virtual"), element)])
}

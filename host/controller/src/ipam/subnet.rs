//! Subnets as numbers: what overlaps what, and which of a larger one's parts is free.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_model::{Family, IpNetwork};

/// An address as a number.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The address of that number; what does not fit IPv4 is cut off.
pub fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::from_bits(number as u32).into(),
        Family::Ipv6 => Ipv6Addr::from_bits(number).into(),
    }
}

/// How far the last address of a subnet is from its first.
pub fn span(subnet: IpNetwork) -> u128 {
    span_of(Family::of(subnet.ip()), subnet.prefix())
}

fn span_of(family: Family, prefix: u8) -> u128 {
    let bits = u32::from(family.host_prefix() - prefix.min(family.host_prefix()));
    if bits == 128 { u128::MAX } else { (1 << bits) - 1 }
}

/// First and last address, as numbers.
pub fn bounds(subnet: IpNetwork) -> (u128, u128) {
    let first = number(subnet.network());
    (first, first + span(subnet))
}

/// Whether two subnets have an address in common.
pub fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    let ((a_first, a_last), (b_first, b_last)) = (bounds(a), bounds(b));
    a.is_ipv4() == b.is_ipv4() && a_first <= b_last && b_first <= a_last
}

/// Whether `inner` is a part of `outer`.
pub fn within(inner: IpNetwork, outer: IpNetwork) -> bool {
    overlap(inner, outer) && inner.prefix() >= outer.prefix()
}

/// How many subnets of that prefix length `base` has; saturates.
pub fn count(base: IpNetwork, prefix: u8) -> u128 {
    (span(base) / span_of(Family::of(base.ip()), prefix).saturating_add(1)).saturating_add(1)
}

/// The first part of `base` with that prefix length which overlaps nothing of `taken`. Steps over what is taken as a whole, so that it
/// costs what is taken, and not the size of the base.
pub fn first_free(base: IpNetwork, prefix: u8, taken: &[IpNetwork]) -> Option<IpNetwork> {
    let family = Family::of(base.ip());
    let prefix = prefix.clamp(base.prefix(), family.host_prefix());
    let (mut at, last) = bounds(base);
    let size = span_of(family, prefix);
    loop {
        let candidate = IpNetwork::new(address(family, at), prefix).ok()?;
        let Some(obstacle) = taken.iter().find(|t| overlap(candidate, **t)) else {
            return Some(candidate);
        };
        let after = bounds(*obstacle).1.max(at + size).checked_add(1)?;
        // Up to the next multiple: parts begin at multiples of their size, counted from the base.
        let offset = after - number(base.network());
        let parts = offset.div_ceil(size.checked_add(1)?);
        at = number(base.network()).checked_add(parts.checked_mul(size + 1)?)?;
        if at > last {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn parts_that_overlap_are_stepped_over() {
        let cases: [(&str, u8, &[&str], Option<&str>); 7] = [
            ("172.18.0.0/16", 24, &[], Some("172.18.0.0/24")),
            ("172.18.0.0/16", 24, &["172.18.0.0/24"], Some("172.18.1.0/24")),
            (
                "172.18.0.0/16",
                24,
                &["172.18.0.128/25", "172.18.1.7/32"],
                Some("172.18.2.0/24"),
            ),
            ("172.18.0.0/16", 24, &["172.16.0.0/12"], None),
            ("172.18.0.0/16", 16, &["172.18.255.255/32"], None),
            (
                "255.255.255.0/24",
                25,
                &["255.255.255.0/25"],
                Some("255.255.255.128/25"),
            ),
            ("fd00::/48", 64, &["fd00::/64", "10.0.0.0/8"], Some("fd00:0:0:1::/64")),
        ];
        for (base, prefix, taken, expected) in cases {
            let taken: Vec<_> = taken.iter().map(|t| net(t)).collect();
            assert_eq!(first_free(net(base), prefix, &taken), expected.map(net), "{base}");
        }
    }

    #[test]
    fn counting_saturates_only_at_the_very_end() {
        assert_eq!(count(net("172.18.0.0/16"), 24), 256);
        assert_eq!(count(net("::/0"), 128), u128::MAX);
        assert_eq!(count(net("10.0.0.0/24"), 24), 1);
    }

    proptest! {
        #[test]
        fn a_free_part_overlaps_nothing_and_lies_in_the_base(taken in proptest::collection::vec((any::<u16>(), 18u8..=32), 0..30)) {
            let base = net("10.7.0.0/16");
            let taken: Vec<_> = taken.iter().map(|(low, prefix)| {
                let ip = Ipv4Addr::from_bits(u32::from(*low) | 0x0a07_0000);
                let raw = IpNetwork::new(ip.into(), *prefix).unwrap();
                IpNetwork::new(raw.network(), *prefix).unwrap()
            }).collect();
            let naive = (0..256u32).map(|i| IpNetwork::new(Ipv4Addr::from_bits(0x0a07_0000 + i * 256).into(), 24).unwrap())
                .find(|part| !taken.iter().any(|t| overlap(*part, *t)));
            prop_assert_eq!(first_free(base, 24, &taken), naive);
        }
    }
}

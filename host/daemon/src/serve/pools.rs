//! The pools that networks get which ask for none.

use std::net::Ipv6Addr;

use jackfield_model::IpNetwork;

/// Private IPv4 (RFC 1918, the blocks that Docker takes too) and an IPv6 prefix of this machine's own, each with the prefix length of its
/// subnets. What overlaps a route of the realm is not given out.
pub(crate) fn default_pools() -> Vec<(IpNetwork, u8)> {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let ipv4 = [([172, 16, 0, 0], 12, 20), ([192, 168, 0, 0], 16, 24)];
    let ipv4 = ipv4
        .into_iter()
        .filter_map(|(ip, prefix, part)| Some((IpNetwork::new(ip.into(), prefix).ok()?, part)));
    ipv4.chain(
        IpNetwork::new(unique_local(machine.trim()).into(), 48)
            .ok()
            .map(|prefix| (prefix, 64)),
    )
    .collect()
}

/// A unique local prefix (RFC 4193): fd, then 40 bits that two machines are unlikely to share and that stay the same on one.
fn unique_local(machine: &str) -> Ipv6Addr {
    let [a, b, c, d, e, ..] = fnv1a(machine.as_bytes()).to_be_bytes();
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(word(0xfd, a), word(b, c), word(d, e), 0, 0, 0, 0, 0)
}

/// FNV-1a, 64 bits: the same in every build, which the standard library's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_local_and_stays_the_same() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        let prefix = unique_local("0123456789abcdef");
        assert_eq!(prefix, unique_local("0123456789abcdef"));
        assert_ne!(prefix, unique_local("0123456789abcdee"));
        assert_eq!(prefix.octets()[0], 0xfd);
    }

    #[test]
    fn every_default_pool_is_a_subnet_that_can_be_cut() {
        let pools = default_pools();
        assert_eq!(pools.len(), 3);
        assert!(
            pools
                .iter()
                .all(|(pool, part)| pool.ip() == pool.network() && *part > pool.prefix())
        );
    }
}

//! The pools that networks get which ask for none.

use jackfield_model::IpNetwork;

/// Private IPv4 (RFC 1918, the blocks that Docker takes too), each with the prefix length of its subnets. What overlaps a route of the
/// realm is not given out. The controller adds an IPv6 prefix of this host's own, which it draws once and keeps.
pub(crate) fn default_pools() -> Vec<(IpNetwork, u8)> {
    let blocks = [([172, 16, 0, 0], 12, 20), ([192, 168, 0, 0], 16, 24)];
    let pool = |(ip, prefix, part): ([u8; 4], u8, u8)| Some((IpNetwork::new(ip.into(), prefix).ok()?, part));
    blocks.into_iter().filter_map(pool).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_pool_is_a_subnet_that_can_be_cut() {
        let pools = default_pools();
        assert_eq!(pools.len(), 2);
        assert!(
            pools
                .iter()
                .all(|(pool, part)| pool.ip() == pool.network() && *part > pool.prefix())
        );
    }
}

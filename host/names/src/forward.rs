//! Questions that go outside: whom to ask, and in what order.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use jackfield_kernel::Namespace;

use crate::upstream::Upstream;

/// How long a server that was silent is asked last.
const SHUNNED: Duration = Duration::from_secs(30);
/// Servers that are asked for one question.
const MOST: usize = 6;

/// The servers of the first that names any: sandbox, networks, host. A loopback one is the realm's, and is asked from there.
pub fn servers(
    sandbox: &[IpAddr],
    networks: &[IpAddr],
    host: &[IpAddr],
    inside: &Namespace,
    realm: &Namespace,
) -> Vec<Upstream> {
    let named = [sandbox, networks, host]
        .into_iter()
        .find(|s| !s.is_empty())
        .unwrap_or_default();
    let from = |address: &IpAddr| if address.is_loopback() { realm } else { inside };
    let upstream = |address: &IpAddr| Upstream {
        address: *address,
        from: from(address).clone(),
    };
    named.iter().take(MOST).map(upstream).collect()
}

/// Servers that were silent a short while ago. There are as many as a sandbox has servers at most.
#[derive(Debug, Default)]
pub struct Shunned(Vec<(IpAddr, Instant)>);

impl Shunned {
    /// Those that are not shunned first; else in the order given.
    pub fn sort(&mut self, servers: &mut [Upstream], now: Instant) {
        self.0
            .retain(|(_, since)| now.saturating_duration_since(*since) < SHUNNED);
        servers.sort_by_key(|server| self.0.iter().any(|(address, _)| *address == server.address));
    }

    /// They were silent.
    pub fn add(&mut self, silent: &[IpAddr], now: Instant) {
        self.0.retain(|(address, _)| !silent.contains(address));
        self.0.extend(silent.iter().map(|address| (*address, now)));
        let over = self.0.len().saturating_sub(MOST);
        self.0.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_kernel::NamespaceId;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn the_nearest_that_names_servers_is_asked_and_loopback_from_the_realm() {
        let (inside, realm) = (
            Namespace::simulated(NamespaceId(2)),
            Namespace::simulated(NamespaceId(1)),
        );
        let local: IpAddr = "127.0.0.53".parse().unwrap();
        let asked = |sandbox: &[IpAddr], networks: &[IpAddr], host: &[IpAddr]| -> Vec<(IpAddr, u64)> {
            let servers = servers(sandbox, networks, host, &inside, &realm);
            servers.into_iter().map(|s| (s.address, s.from.id().0)).collect()
        };
        assert_eq!(asked(&[address(1)], &[address(2)], &[local]), [(address(1), 2)]);
        assert_eq!(asked(&[], &[address(2)], &[local]), [(address(2), 2)]);
        assert_eq!(asked(&[], &[], &[local, address(3)]), [(local, 1), (address(3), 2)]);
        assert!(asked(&[], &[], &[]).is_empty());
    }

    #[test]
    fn who_was_silent_is_asked_last_for_a_while() {
        let (namespace, now) = (Namespace::simulated(NamespaceId(2)), Instant::now());
        let mut shunned = Shunned::default();
        shunned.add(&[address(1)], now);
        let order = |shunned: &mut Shunned, now| -> Vec<IpAddr> {
            let mut all = servers(&[address(1), address(2)], &[], &[], &namespace, &namespace);
            shunned.sort(&mut all, now);
            all.into_iter().map(|s| s.address).collect()
        };
        assert_eq!(order(&mut shunned, now), [address(2), address(1)]);
        assert_eq!(order(&mut shunned, now + SHUNNED), [address(1), address(2)]);
    }
}

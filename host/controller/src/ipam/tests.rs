//! What IPAM promises, in examples and against a model.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ask(subnet: &str) -> PoolRequest {
    PoolRequest {
        subnet: Some(net(subnet)),
        ..PoolRequest::default()
    }
}

fn ipam() -> Ipam {
    Ipam::new(vec![(net("172.18.0.0/15"), 16), (net("fd00:1::/48"), 64)])
}

/// A network with one pool, and the IPAM that has it.
fn with_pool(request: PoolRequest) -> (Ipam, NetworkId) {
    let (mut ipam, id) = (ipam(), NetworkId::random());
    ipam.request_pools(&id, &[request], &[], &[]).unwrap();
    (ipam, id)
}

#[test]
fn a_network_that_asks_for_nothing_gets_the_first_default_subnet_that_is_free() {
    let (mut ipam, routes) = (ipam(), [net("172.18.3.0/24")]);
    let plans = ipam
        .request_pools(&NetworkId::random(), &[], &[Family::Ipv4, Family::Ipv6], &routes)
        .unwrap();
    assert_eq!(
        plans.iter().map(|p| p.subnet).collect::<Vec<_>>(),
        [net("172.19.0.0/16"), net("fd00:1::/64")]
    );
    assert_eq!(plans[0].gateway, Some(ip("172.19.0.1")));
    let full = ipam
        .request_pools(&NetworkId::random(), &[], &[Family::Ipv4], &routes)
        .unwrap_err();
    assert_eq!(
        full.to_string(),
        "none of the 2 default subnets for IPv4 is free: name a subnet, or delete a network"
    );
}

#[test]
fn a_pool_that_cannot_be_is_refused_in_words_and_nothing_is_kept() {
    let with = |change: fn(&mut PoolRequest)| {
        let mut request = ask("10.1.0.0/24");
        change(&mut request);
        request
    };
    let cases: [(PoolRequest, &str); 11] = [
        (ask("10.0.0.0/25"), "overlaps 10.0.0.0/24, which another network"),
        (
            ask("192.168.0.0/16"),
            "overlaps 192.168.7.0/24, to which the host has a route",
        ),
        (ask("10.1.0.7/24"), "write 10.1.0.0/24"),
        (
            with(|r| r.gateway = Some(ip("10.2.0.1"))),
            "gateway 10.2.0.1 is not inside the subnet 10.1.0.0/24",
        ),
        (
            with(|r| r.gateway = Some(ip("fd00::1"))),
            "gateway fd00::1 is not inside",
        ),
        (
            with(|r| r.gateway = Some(ip("10.1.0.0"))),
            "10.1.0.0 is the network address",
        ),
        (
            with(|r| r.gateway = Some(ip("10.1.0.255"))),
            "10.1.0.255 is the broadcast address",
        ),
        (
            with(|r| r.range = Some(net("10.1.1.0/25"))),
            "range 10.1.1.0/25 is not inside",
        ),
        (
            with(|r| r.range = Some(net("10.1.0.0/16"))),
            "range 10.1.0.0/16 is not inside",
        ),
        (
            with(|r| r.auxiliary = vec![("nas".into(), ip("10.9.0.1"))]),
            "auxiliary address nas=10.9.0.1 is not inside",
        ),
        (
            with(|r| {
                r.gateway = Some(ip("10.1.0.9"));
                r.auxiliary = vec![("nas".into(), ip("10.1.0.9"))];
            }),
            "10.1.0.9 is asked for twice",
        ),
    ];
    let (mut ipam, _) = with_pool(ask("10.0.0.0/24"));
    for (request, expected) in cases {
        let error = ipam
            .request_pools(&NetworkId::random(), &[request], &[], &[net("192.168.7.0/24")])
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(
        ipam.request_pools(&NetworkId::random(), &[ask("10.1.0.0/24")], &[], &[])
            .is_ok()
    );
}

#[test]
fn one_request_cannot_name_the_same_subnet_twice() {
    let error = ipam()
        .request_pools(
            &NetworkId::random(),
            &[ask("10.0.0.0/24"), ask("10.0.0.0/24")],
            &[],
            &[],
        )
        .unwrap_err();
    assert!(matches!(error, IpamError::PoolOverlap { .. }));
}

#[test]
fn addresses_are_given_out_in_order_and_reused_last() {
    let (mut ipam, id) = with_pool(ask("10.0.0.0/29"));
    let next = |ipam: &mut Ipam| ipam.request(&id, &[]).map(|a| a[0].to_string());
    assert_eq!(next(&mut ipam).unwrap(), "10.0.0.2/29");
    assert_eq!(next(&mut ipam).unwrap(), "10.0.0.3/29");
    ipam.release(&id, &[net("10.0.0.2/29")]);
    for expected in ["10.0.0.4/29", "10.0.0.5/29", "10.0.0.6/29", "10.0.0.2/29"] {
        assert_eq!(next(&mut ipam).unwrap(), expected);
    }
    assert_eq!(
        next(&mut ipam).unwrap_err(),
        IpamError::Exhausted { pools: ipam.usage(&id) }
    );
    assert_eq!(
        ipam.request(&id, &[]).unwrap_err().to_string(),
        "no address is left: 10.0.0.0/29 has 6 of 6 given out"
    );
}

#[test]
fn an_address_asked_for_is_given_or_refused_in_words() {
    let mut request = ask("10.0.0.0/24");
    request.auxiliary = vec![("nas".into(), ip("10.0.0.9"))];
    request.range = Some(net("10.0.0.128/25"));
    let (mut ipam, id) = with_pool(request);
    // The gateway is the first of the range; outside of the range an address can still be asked for.
    assert_eq!(ipam.request(&id, &[ip("10.0.0.5")]).unwrap(), [net("10.0.0.5/24")]);
    assert_eq!(ipam.request(&id, &[]).unwrap(), [net("10.0.0.129/24")]);
    for (address, expected) in [
        ("10.0.0.5", "is given to another endpoint"),
        ("10.0.0.128", "is the gateway"),
        ("10.0.0.9", "is set aside as \"nas\""),
        ("10.0.0.0", "is the network address"),
        ("10.0.0.255", "is the broadcast address"),
        ("10.0.1.1", "is not in any subnet of this network (10.0.0.0/24)"),
        ("fd00::1", "is not in any subnet"),
    ] {
        let error = ipam.request(&id, &[ip(address)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn both_families_are_given_or_none() {
    let (mut ipam, id) = (ipam(), NetworkId::random());
    ipam.request_pools(&id, &[ask("10.0.0.0/24"), ask("fd00::/127")], &[], &[])
        .unwrap();
    assert_eq!(
        ipam.request(&id, &[]).unwrap(),
        [net("10.0.0.2/24"), net("fd00::1/127")]
    );
    // IPv6 is used up: the IPv4 address of the failed request must be free again.
    let before = ipam.usage(&id);
    assert!(ipam.request(&id, &[]).is_err());
    assert_eq!(ipam.usage(&id), before);
}

#[test]
fn the_smallest_subnets_use_every_address() {
    for (subnet, gateway, endpoints) in [
        ("10.0.0.0/31", Some("10.0.0.0"), &["10.0.0.1/31"][..]),
        ("10.0.0.0/32", None, &["10.0.0.0/32"]),
        ("10.0.0.0/30", Some("10.0.0.1"), &["10.0.0.2/30"]),
        ("fd00::/127", Some("fd00::"), &["fd00::1/127"]),
        ("fd00::/128", None, &["fd00::/128"]),
        ("fd00::/126", Some("fd00::1"), &["fd00::2/126", "fd00::3/126"]),
    ] {
        let (mut ipam, id) = (ipam(), NetworkId::random());
        let plans = ipam.request_pools(&id, &[ask(subnet)], &[], &[]).unwrap();
        assert_eq!(plans[0].gateway, gateway.map(ip), "{subnet}");
        for endpoint in endpoints {
            assert_eq!(ipam.request(&id, &[]).unwrap(), [net(endpoint)], "{subnet}");
        }
        assert!(ipam.request(&id, &[]).is_err(), "{subnet}");
    }
}

#[test]
fn the_whole_of_ipv6_is_no_trap() {
    let (mut ipam, id) = with_pool(ask("::/0"));
    assert_eq!(ipam.request(&id, &[]).unwrap(), [net("::2/0")]);
    assert_eq!(ipam.usage(&id)[0].capacity, u64::MAX);
    assert_eq!(
        ipam.request(&id, &[ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")])
            .unwrap()
            .len(),
        1
    );
}

proptest! {
    /// Whatever is asked and given back: an address has one holder, and what is free can be had.
    #[test]
    fn an_address_is_never_given_twice(steps in proptest::collection::vec((0u8..4, 0u8..16), 0..200)) {
        let (mut ipam, id) = with_pool(ask("10.0.0.0/28"));
        let mut held: BTreeSet<IpNetwork> = BTreeSet::new();
        for (step, low) in steps {
            let address = IpNetwork::new(IpAddr::from([10, 0, 0, low]), 28).unwrap();
            match step {
                0 | 1 => match ipam.request(&id, &[]) {
                    Ok(given) => prop_assert!(held.insert(given[0]), "{:?} given twice", given),
                    Err(error) => prop_assert_eq!(held.len(), 13, "{}", error),
                },
                2 => match ipam.request(&id, &[address.ip()]) {
                    Ok(given) => prop_assert!(held.insert(given[0])),
                    Err(_) => prop_assert!(held.contains(&address) || [0, 1, 15].contains(&low)),
                },
                _ => {
                    ipam.release(&id, &[address]);
                    held.remove(&address);
                }
            }
            prop_assert_eq!(ipam.usage(&id)[0].used, held.len() as u64 + 1);
        }
    }

    /// Pools of a realm never overlap, whatever mix is asked for and released.
    #[test]
    fn pools_never_overlap(steps in proptest::collection::vec((any::<bool>(), 0u8..8, 20u8..28), 0..60)) {
        let mut ipam = Ipam::new(vec![(net("10.0.0.0/20"), 24)]);
        let mut held: Vec<(NetworkId, IpNetwork)> = Vec::new();
        for (default, third, prefix) in steps {
            let raw = IpNetwork::new(IpAddr::from([10, 0, third, 0]), prefix).unwrap();
            let subnet = IpNetwork::new(raw.network(), prefix).unwrap();
            let id = NetworkId::random();
            let asked = if default { vec![] } else { vec![PoolRequest { subnet: Some(subnet), ..PoolRequest::default() }] };
            if let Ok(plans) = ipam.request_pools(&id, &asked, &[Family::Ipv4], &[]) {
                prop_assert!(held.iter().all(|(_, other)| !subnet::overlap(plans[0].subnet, *other)));
                held.push((id, plans[0].subnet));
            } else if let Some((id, _)) = held.pop() {
                ipam.release_pools(&id);
            }
        }
    }
}

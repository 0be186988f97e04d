//! What IPAM promises, in examples and against a model.

use std::collections::{BTreeMap, BTreeSet};

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

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn reached(subnet: &str, by: &str) -> Reached {
    Reached {
        subnet: net(subnet),
        by: by.to_owned(),
    }
}

/// These pools, in a realm that reaches nothing.
fn just(asked: &[PoolRequest]) -> PoolsWanted<'_> {
    PoolsWanted {
        asked,
        ..PoolsWanted::default()
    }
}

/// A default pool for each of these families.
fn defaults<'a>(families: &'a [Family], reached: &'a [Reached]) -> PoolsWanted<'a> {
    PoolsWanted {
        families,
        reached,
        ..PoolsWanted::default()
    }
}

fn ipam() -> Ipam {
    Ipam::new(vec![(net("172.18.0.0/15"), 16), (net("fd00:1::/48"), 64)])
}

/// A network with one pool, and the IPAM that has it.
fn with_pool(request: PoolRequest) -> (Ipam, NetworkId) {
    let (mut ipam, id) = (ipam(), NetworkId::random());
    ipam.request_pools(&id, &just(&[request])).unwrap();
    (ipam, id)
}

#[test]
fn a_network_that_asks_for_nothing_gets_the_first_default_subnet_that_is_free() {
    let (mut ipam, there) = (ipam(), [reached("172.18.3.0/24", "eth0")]);
    let plans = ipam
        .request_pools(&NetworkId::random(), &defaults(&[Family::Ipv4, Family::Ipv6], &there))
        .unwrap();
    assert_eq!(
        plans.iter().map(|p| p.subnet).collect::<Vec<_>>(),
        [net("172.19.0.0/16"), net("fd00:1::/64")]
    );
    assert_eq!(plans[0].gateway, Some(ip("172.19.0.1")));
    let full = ipam
        .request_pools(&NetworkId::random(), &defaults(&[Family::Ipv4], &there))
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
    let cases: [(PoolRequest, &str); 14] = [
        (ask("10.0.0.0/25"), "overlaps 10.0.0.0/24, which another network"),
        (
            ask("192.168.0.0/16"),
            "overlaps 192.168.7.0/24, to which the host has a route by eth1",
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
        (
            with(|r| {
                r.subnet = Some(net("10.1.0.0/31"));
                r.auxiliary = vec![("nas".into(), ip("10.1.0.1"))];
            }),
            "10.1.0.0/31 has no address for an endpoint: all 2 are the gateway's or auxiliary",
        ),
        (
            with(|r| {
                r.subnet = Some(net("10.1.0.9/32"));
                r.gateway = Some(ip("10.1.0.9"));
            }),
            "10.1.0.9/32 has no address for an endpoint: the only one is the gateway's or auxiliary",
        ),
        (
            with(|r| r.range = Some(net("10.1.0.0/32"))),
            "10.1.0.0/32 has no address for an endpoint: it holds nothing but network or broadcast addresses",
        ),
    ];
    let (mut ipam, _) = with_pool(ask("10.0.0.0/24"));
    let there = [reached("192.168.7.0/24", "eth1")];
    for (request, expected) in cases {
        let wanted = PoolsWanted {
            asked: &[request],
            reached: &there,
            ..PoolsWanted::default()
        };
        let error = ipam.request_pools(&NetworkId::random(), &wanted).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(
        ipam.request_pools(&NetworkId::random(), &just(&[ask("10.1.0.0/24")]))
            .is_ok()
    );
}

#[test]
fn one_request_cannot_name_the_same_subnet_twice() {
    let error = ipam()
        .request_pools(&NetworkId::random(), &just(&[ask("10.0.0.0/24"), ask("10.0.0.0/24")]))
        .unwrap_err();
    assert!(matches!(error, IpamError::PoolOverlap { .. }));
}

/// The one address that comes next.
fn next(ipam: &mut Ipam, id: &NetworkId) -> Result<String, IpamError> {
    ipam.request(id, &[], &[]).map(|given| given[0].to_string())
}

#[test]
fn a_subnet_that_overlaps_a_route_is_allowed_by_an_explicit_word_but_never_one_that_overlaps_a_pool() {
    let (mut ipam, there) = (ipam(), [reached("10.0.0.0/8", "tun0")]);
    let asked = [ask("10.1.0.0/24")];
    let allowed = PoolsWanted {
        asked: &asked,
        reached: &there,
        allow_overlap: true,
        ..PoolsWanted::default()
    };
    let refused = PoolsWanted {
        allow_overlap: false,
        ..allowed
    };
    assert_eq!(
        ipam.request_pools(&NetworkId::random(), &refused)
            .unwrap_err()
            .to_string(),
        "subnet 10.1.0.0/24 overlaps 10.0.0.0/8, to which the host has a route by tun0: choose another, or say that it may (--allow-overlap)"
    );
    ipam.request_pools(&NetworkId::random(), &allowed).unwrap();
    let again = ipam.request_pools(&NetworkId::random(), &allowed).unwrap_err();
    assert!(matches!(again, IpamError::PoolOverlap { .. }), "{again}");
}

#[test]
fn addresses_are_given_out_in_order_and_reused_last() {
    let (mut ipam, id) = with_pool(ask("10.0.0.0/29"));
    assert_eq!(next(&mut ipam, &id).unwrap(), "10.0.0.2/29");
    assert_eq!(next(&mut ipam, &id).unwrap(), "10.0.0.3/29");
    // One ahead, that was asked for and is given back, is not new any more.
    ipam.request(&id, &[ip("10.0.0.4")], &[]).unwrap();
    ipam.release(&id, &[net("10.0.0.4/29")]);
    ipam.release(&id, &[net("10.0.0.2/29")]);
    for expected in ["10.0.0.5/29", "10.0.0.6/29", "10.0.0.4/29", "10.0.0.2/29"] {
        assert_eq!(next(&mut ipam, &id).unwrap(), expected);
    }
    // From here on, the one that was given back first goes first.
    for address in ["10.0.0.6/29", "10.0.0.3/29", "10.0.0.5/29"] {
        ipam.release(&id, &[net(address)]);
    }
    for expected in ["10.0.0.6/29", "10.0.0.3/29", "10.0.0.5/29"] {
        assert_eq!(next(&mut ipam, &id).unwrap(), expected);
    }
}

#[test]
fn after_a_restart_the_search_goes_on_where_it_was() {
    let (mut ipam, id) = (ipam(), NetworkId::random());
    ipam.request_pools(&id, &just(&[ask("10.0.0.0/24")])).unwrap();
    // The youngest is the last, and one that was asked for says nothing.
    ipam.restore(&id, &[net("10.0.0.9/24"), net("10.0.0.4/24")], |_| true);
    ipam.restore(&id, &[net("10.0.0.77/24")], |_| false);
    assert_eq!(next(&mut ipam, &id).unwrap(), "10.0.0.5/24");
}

#[test]
fn exhaustion_is_told_with_figures() {
    let ranged = PoolRequest {
        range: Some(net("10.0.0.128/31")),
        gateway: Some(ip("10.0.0.1")),
        ..ask("10.0.0.0/24")
    };
    for (request, words) in [
        (
            ask("10.0.0.0/30"),
            "10.0.0.0/30 has 1 address for endpoints, which is in use",
        ),
        (
            ask("fd00::/126"),
            "fd00::/126 has 2 addresses for endpoints, both in use",
        ),
        (
            ask("10.0.0.0/29"),
            "10.0.0.0/29 has 5 addresses for endpoints, all in use",
        ),
        (
            ranged,
            "the range 10.0.0.128/31 of 10.0.0.0/24 has 2 addresses for endpoints, both in use",
        ),
    ] {
        let (mut ipam, id) = with_pool(request);
        // What is beside the range does not count.
        let _ = ipam.request(&id, &[ip("10.0.0.77")], &[]);
        let error = loop {
            if let Err(error) = next(&mut ipam, &id) {
                break error.to_string();
            }
        };
        let expected =
            format!("no address is left: {words}; disconnect an endpoint, or create a network with more addresses");
        assert_eq!(error, expected);
    }
}

#[test]
fn a_reserved_address_is_kept_for_its_name_until_it_is_released() {
    let (mut ipam, id) = with_pool(ask("10.0.0.0/29"));
    let (web, db) = (name("web"), name("db"));
    assert_eq!(next(&mut ipam, &id).unwrap(), "10.0.0.2/29");
    assert_eq!(ipam.reserve(&id, &web, &[ip("10.0.0.2")]).unwrap(), [ip("10.0.0.2")]);
    assert_eq!(ipam.reserve(&id, &web, &[ip("10.0.0.2")]).unwrap(), [] as [IpAddr; 0]);
    let two = ipam.reserve(&id, &web, &[ip("10.0.0.5")]).unwrap_err();
    assert_eq!(
        two.to_string(),
        "web has 10.0.0.2 reserved already: release that first, or connect without asking for another address"
    );
    ipam.release(&id, &[net("10.0.0.2/29")]);
    assert_eq!((ipam.usage(&id)[0].used, ipam.usage(&id)[0].reserved), (0, 1));
    let others = ipam.request(&id, &[ip("10.0.0.2")], &[&db]).unwrap_err();
    assert_eq!(
        others.to_string(),
        "10.0.0.2 is reserved for web: choose another address, or release it"
    );
    for expected in ["10.0.0.3/29", "10.0.0.4/29", "10.0.0.5/29", "10.0.0.6/29"] {
        assert_eq!(ipam.request(&id, &[], &[&db]).unwrap(), [net(expected)]);
    }
    let full = next(&mut ipam, &id).unwrap_err().to_string();
    assert!(
        full.contains("5 addresses for endpoints, 4 in use and 1 reserved"),
        "{full}"
    );
    // By its name it is had again, asked for or not; by another endpoint of that name at the same time it is not.
    assert_eq!(ipam.request(&id, &[], &[&db, &web]).unwrap(), [net("10.0.0.2/29")]);
    let held = ipam.request(&id, &[ip("10.0.0.2")], &[&web]).unwrap_err();
    assert!(matches!(held, IpamError::Taken { .. }), "{held}");
    ipam.release(&id, &[net("10.0.0.2/29")]);
    assert_eq!(
        ipam.request(&id, &[ip("10.0.0.2")], &[&web]).unwrap(),
        [net("10.0.0.2/29")]
    );
    // Released while somebody has it, it stays his, and is then anybody's.
    assert_eq!(ipam.unreserve(&id, ip("10.0.0.2")), Some(web));
    assert_eq!(ipam.unreserve(&id, ip("10.0.0.2")), None);
    assert!(next(&mut ipam, &id).is_err());
    ipam.release(&id, &[net("10.0.0.2/29")]);
    assert_eq!(next(&mut ipam, &id).unwrap(), "10.0.0.2/29");
}

#[test]
fn an_address_asked_for_is_given_or_refused_in_words() {
    let mut request = ask("10.0.0.0/24");
    request.auxiliary = vec![("nas".into(), ip("10.0.0.9"))];
    request.range = Some(net("10.0.0.128/25"));
    let (mut ipam, id) = with_pool(request);
    // The gateway is the first of the range; outside of the range an address can still be asked for.
    assert_eq!(ipam.request(&id, &[ip("10.0.0.5")], &[]).unwrap(), [net("10.0.0.5/24")]);
    assert_eq!(ipam.request(&id, &[], &[]).unwrap(), [net("10.0.0.129/24")]);
    for (address, expected) in [
        ("10.0.0.5", "is given to another endpoint"),
        ("10.0.0.128", "is the gateway"),
        ("10.0.0.9", "is set aside as \"nas\""),
        ("10.0.0.0", "is the network address"),
        ("10.0.0.255", "is the broadcast address"),
        ("10.0.1.1", "is not in any subnet of this network (10.0.0.0/24)"),
        ("fd00::1", "is not in any subnet"),
    ] {
        let error = ipam.request(&id, &[ip(address)], &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn both_families_are_given_or_none() {
    let (mut ipam, id) = (ipam(), NetworkId::random());
    ipam.request_pools(&id, &just(&[ask("10.0.0.0/24"), ask("fd00::/127")]))
        .unwrap();
    assert_eq!(
        ipam.request(&id, &[], &[]).unwrap(),
        [net("10.0.0.2/24"), net("fd00::1/127")]
    );
    // IPv6 is used up: the IPv4 address of the failed request must be free again.
    let before = ipam.usage(&id);
    assert!(ipam.request(&id, &[], &[]).is_err());
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
        let plans = ipam.request_pools(&id, &just(&[ask(subnet)])).unwrap();
        assert_eq!(plans[0].gateway, gateway.map(ip), "{subnet}");
        for endpoint in endpoints {
            assert_eq!(ipam.request(&id, &[], &[]).unwrap(), [net(endpoint)], "{subnet}");
        }
        assert!(ipam.request(&id, &[], &[]).is_err(), "{subnet}");
    }
}

#[test]
fn the_whole_of_ipv6_is_no_trap() {
    let (mut ipam, id) = with_pool(ask("::/0"));
    assert_eq!(ipam.request(&id, &[], &[]).unwrap(), [net("::2/0")]);
    assert_eq!(ipam.usage(&id)[0].capacity, u64::MAX);
    assert_eq!(
        ipam.request(&id, &[ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")], &[])
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn many_subnets_of_a_family_are_used_up_one_after_the_other() {
    let (mut ipam, id) = (ipam(), NetworkId::random());
    let asked = [
        ask("10.0.0.0/30"),
        ask("10.0.7.0/30"),
        ask("fd00::/126"),
        ask("fd00:7::/126"),
    ];
    ipam.request_pools(&id, &just(&asked)).unwrap();
    let given: Vec<_> = (0..2).map(|_| ipam.request(&id, &[], &[]).unwrap()).collect();
    assert_eq!(given[0], [net("10.0.0.2/30"), net("fd00::2/126")]);
    assert_eq!(given[1], [net("10.0.7.2/30"), net("fd00::3/126")]);
    let full = ipam.request(&id, &[], &[]).unwrap_err().to_string();
    assert!(
        full.contains("10.0.0.0/30 has 1 address")
            && full.contains("10.0.7.0/30 has 1 address")
            && !full.contains("fd00"),
        "{full}"
    );
}

/// The work of a request does not grow with what is given out: there is no loop over addresses in it, and what it looks up in stays a
/// handful of runs while a /16 fills, empties in any order, and fills again.
#[test]
fn a_network_of_65_534_addresses_allocates_in_constant_time() {
    let (mut pool, mut most) = (
        pool::AddressPool::new(plan::PoolPlan::new(net("10.7.0.0/16"), &ask("10.7.0.0/16")).unwrap()),
        0,
    );
    let all: Vec<IpNetwork> = std::iter::from_fn(|| {
        most = most.max(pool.runs());
        pool.next()
    })
    .collect();
    assert_eq!(
        (all.len(), most),
        (65_533, 1),
        "the gateway has one, and what is taken is always one run"
    );
    for address in all.iter().step_by(2).chain(all.iter().skip(1).step_by(2)) {
        pool.release(address.ip());
    }
    assert_eq!((pool.usage().used, pool.runs()), (0, 1));
    let again: Vec<IpNetwork> = std::iter::from_fn(|| pool.next()).collect();
    assert_eq!(again.len(), all.len());
    assert_eq!(
        (again[0], again[1]),
        (all[0], all[2]),
        "in the order in which they were given back"
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
                0 | 1 => match ipam.request(&id, &[], &[]) {
                    Ok(given) => prop_assert!(held.insert(given[0]), "{:?} given twice", given),
                    Err(error) => prop_assert_eq!(held.len(), 13, "{}", error),
                },
                2 => match ipam.request(&id, &[address.ip()], &[]) {
                    Ok(given) => prop_assert!(held.insert(given[0])),
                    Err(_) => prop_assert!(held.contains(&address) || [0, 1, 15].contains(&low)),
                },
                _ => {
                    ipam.release(&id, &[address]);
                    held.remove(&address);
                }
            }
            prop_assert_eq!(ipam.usage(&id)[0].used, held.len() as u64);
        }
    }

    /// A restart, and reservations, in between: no address has two holders, none is the gateway's or somebody else's, and the figures are right.
    #[test]
    fn restarts_and_reservations_keep_every_promise(steps in proptest::collection::vec((0u8..6, 0u8..3, 0u8..16), 0..200)) {
        let request = PoolRequest { range: Some(net("10.0.0.4/30")), ..ask("10.0.0.0/28") };
        let (mut ipam, id) = with_pool(request.clone());
        let (mut held, mut kept): (Vec<IpNetwork>, BTreeMap<IpAddr, Name>) = Default::default();
        for (step, who, low) in steps {
            let (name, address) = (name(["web", "db", "mq"][usize::from(who)]), IpAddr::from([10, 0, 0, low]));
            let theirs = |a: &IpAddr| kept.get(a).is_some_and(|n| *n != name);
            match step {
                0 | 1 => {
                    let asked = if step == 0 { vec![] } else { vec![address] };
                    if let Ok(given) = ipam.request(&id, &asked, &[&name]) {
                        let ip = given[0].ip();
                        prop_assert!(!held.contains(&given[0]) && !theirs(&ip) && ip != super::tests::ip("10.0.0.4"));
                        held.push(given[0]);
                    }
                }
                2 => if let Some(i) = held.iter().position(|h| h.ip() == address) {
                    ipam.release(&id, &[held.swap_remove(i)]);
                },
                3 => if held.iter().any(|h| h.ip() == address) && !kept.contains_key(&address)
                    && ipam.reserve(&id, &name, &[address]).is_ok() {
                    kept.insert(address, name);
                },
                4 => prop_assert_eq!(ipam.unreserve(&id, address), kept.remove(&address)),
                _ => {
                    ipam = self::ipam();
                    ipam.request_pools(&id, &just(std::slice::from_ref(&request))).unwrap();
                    for (address, name) in &kept {
                        ipam.reserve(&id, name, &[*address]).unwrap();
                    }
                    ipam.restore(&id, &held, |_| true);
                }
            }
            let usage = ipam.usage(&id)[0];
            let inside = |a: &IpAddr| net("10.0.0.4/30").contains(*a);
            let waiting = |a: &&IpAddr| held.iter().all(|h| h.ip() != **a);
            prop_assert_eq!(usage.used as usize, held.iter().filter(|h| inside(&h.ip())).count());
            prop_assert_eq!(usage.reserved as usize, kept.keys().filter(waiting).filter(|a| inside(a)).count());
            let beside = held.iter().filter(|h| !inside(&h.ip())).count() + kept.keys().filter(waiting).filter(|a| !inside(a)).count();
            prop_assert_eq!(usage.beside as usize, beside);
            prop_assert_eq!(usage.capacity, 3);
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
            let wanted = PoolsWanted { asked: &asked, families: &[Family::Ipv4], ..PoolsWanted::default() };
            if let Ok(plans) = ipam.request_pools(&id, &wanted) {
                prop_assert!(held.iter().all(|(_, other)| !subnet::overlap(plans[0].subnet, *other)));
                held.push((id, plans[0].subnet));
            } else if let Some((id, _)) = held.pop() {
                ipam.release_pools(&id);
            }
        }
    }
}

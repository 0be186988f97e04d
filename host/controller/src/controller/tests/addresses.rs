//! Addresses as the controller gives them: reservations that outlive endpoint, restart and reboot, and what overlaps what.

use std::net::IpAddr;

use jackfield_model::ErrorCode;

use super::fixture::*;
use crate::request::*;

fn reserving(name: Option<&str>) -> CreateEndpoint {
    CreateEndpoint {
        name: name.map(|n| n.parse().unwrap()),
        reserve: true,
        ..CreateEndpoint::default()
    }
}

fn connect(host: &Fixture, sandbox: &str, endpoint: CreateEndpoint) -> String {
    let joined = host
        .controller()
        .connect(OWN, "blue", sandbox, endpoint, Join::default());
    joined.unwrap().into_inner().addresses[0].ip().to_string()
}

/// Address and the name that it is reserved for, of all leases of blue.
fn leases(host: &Fixture) -> Vec<(String, bool, Option<String>)> {
    let pool = host.controller().network(OWN, "blue").unwrap().pools.remove(0);
    let row = |l: LeaseInfo| {
        (
            l.address.to_string(),
            l.endpoint.is_some(),
            l.reserved_for.map(|n| n.to_string()),
        )
    };
    pool.leases.into_iter().map(row).collect()
}

fn row(address: &str, held: bool, name: Option<&str>) -> (String, bool, Option<String>) {
    (address.to_owned(), held, name.map(ToOwned::to_owned))
}

#[test]
fn a_reservation_outlives_its_endpoint_a_restart_and_a_reboot() {
    let mut host = Fixture::new();
    host.network("blue", "bridge");
    for name in ["web", "db", "other"] {
        host.sandbox(name);
    }
    assert_eq!(connect(&host, "other", CreateEndpoint::default()), "10.20.0.2");
    assert_eq!(
        connect(&host, "web", reserving(None)),
        "10.20.0.3",
        "for the sandbox's name"
    );
    assert_eq!(connect(&host, "db", reserving(Some("master"))), "10.20.0.4");
    for name in ["web", "db"] {
        host.controller().disconnect(OWN, "blue", name).unwrap();
    }
    let kept = [
        row("10.20.0.2", true, None),
        row("10.20.0.3", false, Some("web")),
        row("10.20.0.4", false, Some("master")),
    ];
    assert_eq!(leases(&host), kept);
    host.restart();
    assert_eq!(leases(&host), kept);
    assert_eq!(connect(&host, "web", CreateEndpoint::default()), "10.20.0.3");
    host.reboot();
    host.start();
    assert_eq!(leases(&host), kept[1..]);
    host.sandbox("db");
    let named = CreateEndpoint {
        name: Some("master".parse().unwrap()),
        ..CreateEndpoint::default()
    };
    assert_eq!(connect(&host, "db", named), "10.20.0.4");
    assert_eq!(host.controller().prune_networks(OWN).unwrap(), [] as [&str; 0]);
}

#[test]
fn a_released_address_is_anybodys_and_stays_so() {
    let mut host = Fixture::new();
    let address: IpAddr = "10.20.0.2".parse().unwrap();
    host.network("blue", "bridge");
    host.sandbox("web");
    connect(&host, "web", reserving(None));
    host.controller().disconnect(OWN, "blue", "web").unwrap();
    assert!(
        host.controller().prune_networks(OWN).unwrap().is_empty(),
        "an address is kept in it"
    );
    host.told();
    let release = |host: &Fixture| host.controller().release_address(OWN, "blue", address).unwrap();
    assert_eq!(release(&host), Done::Done(()));
    assert_eq!(release(&host), Done::AlreadySo(()));
    assert_eq!(host.told(), ["network release"]);
    host.restart();
    assert!(leases(&host).is_empty());
    assert_eq!(host.controller().prune_networks(OWN).unwrap(), ["blue"]);
}

#[test]
fn an_endpoint_that_fails_reserves_nothing() {
    let mut host = Fixture::new();
    host.network("blue", "scripted");
    host.sandbox("web");
    *host.script.fail_in.lock().unwrap() = Some("join");
    let refused = host
        .controller()
        .connect(OWN, "blue", "web", reserving(None), Join::default());
    assert!(refused.is_err());
    *host.script.fail_in.lock().unwrap() = None;
    assert!(leases(&host).is_empty());
    host.restart();
    assert!(leases(&host).is_empty());
}

#[test]
fn what_cannot_be_reserved_is_refused_in_words() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    host.network("nothing", "null");
    host.sandbox("web");
    let create = |network, endpoint| host.controller().create_endpoint(OWN, network, endpoint).unwrap_err();
    assert_eq!(
        create("blue", reserving(None)).message,
        "an address is reserved under a name: give the endpoint one, or connect a sandbox"
    );
    assert_eq!(
        create("nothing", reserving(Some("a"))).message,
        "network nothing gives out no addresses: there is nothing to reserve"
    );
    let holder = CreateEndpoint {
        name: Some("first".parse().unwrap()),
        addresses: vec!["10.20.0.9".parse().unwrap()],
        ..CreateEndpoint::default()
    };
    connect(&host, "web", holder);
    let asked = CreateEndpoint {
        addresses: vec!["10.20.0.9".parse().unwrap()],
        ..CreateEndpoint::default()
    };
    let taken = create("blue", asked);
    assert_eq!(taken.code, ErrorCode::AlreadyExists);
    assert_eq!(
        taken.message,
        "10.20.0.9 is given to endpoint first of sandbox web already: choose another address of 10.20.0.0/24"
    );
    assert!(host.controller().endpoints(OWN).unwrap().len() == 1);
}

#[test]
fn a_network_has_the_families_that_were_asked_for() {
    let host = Fixture::new();
    let subnets = |change: &dyn Fn(&mut CreateNetwork)| {
        let mut request = network("blue", "bridge");
        change(&mut request);
        let made = host
            .controller()
            .create_network(OWN, request)
            .map_err(|e| e.message)?
            .into_inner();
        host.controller().delete_network(OWN, "blue").unwrap();
        Ok::<_, String>(made.pools.iter().map(|p| p.pool.subnet.is_ipv4()).collect::<Vec<_>>())
    };
    let six = || vec![subnet("fd00:7::/64")];
    assert_eq!(subnets(&|r| r.ipv6 = true), Ok(vec![true, false]));
    assert_eq!(subnets(&|r| (r.ipv6, r.ipv4) = (true, Some(false))), Ok(vec![false]));
    assert_eq!(subnets(&|r| r.pools = six()), Ok(vec![false]));
    assert_eq!(
        subnets(&|r| (r.pools, r.ipv4) = (six(), Some(true))),
        Ok(vec![false, true])
    );
    assert_eq!(subnets(&|r| r.ipam = Some("null".into())), Ok(vec![]));
    for (change, says) in [
        (
            &(|r: &mut CreateNetwork| r.ipv4 = Some(false)) as &dyn Fn(&mut CreateNetwork),
            "leaves no address at all",
        ),
        (
            &|r| (r.pools, r.ipv4) = (vec![subnet("10.1.0.0/24")], Some(false)),
            "cannot have an IPv4 subnet",
        ),
        (
            &|r| (r.pools, r.ipam) = (six(), Some("null".into())),
            "can have no subnet",
        ),
        (&|r| r.ipam = Some("nul".into()), "did you mean \"null\"?"),
    ] {
        let refused = subnets(change).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}

/// RFC 4193: a random prefix, drawn once for this host and kept.
#[test]
fn the_ipv6_prefix_is_the_hosts_own_and_stays() {
    let prefix = |host: &Fixture| {
        let request = CreateNetwork {
            ipv6: true,
            ..network("six", "bridge")
        };
        let made = host.controller().create_network(OWN, request).unwrap().into_inner();
        host.controller().delete_network(OWN, "six").unwrap();
        made.pools[1].pool.subnet
    };
    let (mut host, other) = (Fixture::new(), Fixture::new());
    let first = prefix(&host);
    assert_eq!((first.prefix(), first.ip().to_string().starts_with("fd")), (64, true));
    host.reboot();
    host.start();
    assert_eq!(prefix(&host), first);
    assert_ne!(prefix(&other), first);
}

//! Services: a virtual address for endpoints that joined under one name, through comings, goings and restarts.

use std::{collections::BTreeSet, sync::Arc};

use jackfield_kernel::{Dump, Kernel, NamespaceSource, Request, faulty::CrashAtRecord};

use super::fixture::*;
use crate::request::*;

fn serving(name: &str) -> Join {
    Join {
        behind: Some(name.parse().unwrap()),
        ..Join::default()
    }
}

/// The virtual addresses of web, and whether the kernel has them.
fn virtual_addresses(host: &Fixture) -> Vec<String> {
    let pools = host.controller().network(OWN, "blue").unwrap().pools;
    let of_web = |lease: &LeaseInfo| lease.service.as_ref().is_some_and(|name| name.as_str() == "web");
    let leases = pools.iter().flat_map(|p| &p.leases).filter(|lease| of_web(lease));
    let addresses: Vec<String> = leases.map(|lease| lease.address.to_string()).collect();
    let there = host.dump().addresses;
    for address in &addresses {
        assert!(
            there.iter().any(|a| a.address.ip().to_string() == *address),
            "{address}"
        );
    }
    addresses
}

/// What the kernel spreads over, as its map says: keys of one side, or of none.
fn spread(dump: &Dump) -> usize {
    dump.firewall.iter().filter(|line| line.contains(" spread4 ")).count()
}

#[test]
fn a_service_is_there_from_its_first_endpoint_to_its_last() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    for name in ["a", "b", "c"] {
        host.sandbox(name);
    }
    let before = host.dump();
    host.connect("blue", "c");
    host.told();
    host.connect_with("blue", "a", serving("web"));
    let first = virtual_addresses(&host);
    assert_eq!(first.len(), 1);
    let elements = spread(&host.dump());
    assert!(elements >= 256, "{elements}");
    host.connect_with("blue", "b", serving("web"));
    assert_eq!(
        (virtual_addresses(&host), spread(&host.dump())),
        (first.clone(), elements)
    );
    host.controller().disconnect(OWN, "blue", "a").unwrap();
    assert_eq!((virtual_addresses(&host), spread(&host.dump())), (first, elements));
    host.controller().disconnect(OWN, "blue", "b").unwrap();
    assert!(virtual_addresses(&host).is_empty());
    host.controller().disconnect(OWN, "blue", "c").unwrap();
    assert_eq!(host.dump(), before);
    let services: Vec<_> = host.told().into_iter().filter(|e| e.starts_with("service")).collect();
    assert_eq!(
        services,
        ["service create", "service update", "service update", "service delete"]
    );
}

#[test]
fn a_restarted_host_knows_its_services() {
    let mut host = Fixture::new();
    host.network("blue", "bridge");
    let before = host.dump();
    for name in ["a", "b"] {
        host.sandbox(name);
        host.connect_with("blue", name, serving("web"));
    }
    let (there, kernel) = (virtual_addresses(&host), host.dump());
    host.restart();
    assert_eq!((virtual_addresses(&host), host.dump()), (there, kernel));
    for name in ["a", "b"] {
        host.controller().delete_sandbox(OWN, name).unwrap();
    }
    assert_eq!(host.dump(), before);
    assert_eq!(host.controller().network(OWN, "blue").unwrap().pools[0].used, 0);
}

#[test]
fn a_service_that_cannot_be_takes_its_endpoint_back() {
    let host = Fixture::new();
    host.network("nothing", "null");
    host.network("routed", "scripted");
    host.network("blue", "bridge");
    let closed = CreateNetwork {
        internal: true,
        ..network("closed", "bridge")
    };
    host.controller().create_network(OWN, closed).unwrap();
    host.sandbox("a");
    let before = host.dump();
    for (network, service, says) in [
        ("nothing", "web", "the endpoint has no address"),
        (
            "routed",
            "web",
            "network routed has no link of the host with the gateway of",
        ),
        ("closed", "web", "network closed is internal"),
        ("blue", "a_b", "\"a_b\" is no DNS label"),
    ] {
        let refused = host
            .controller()
            .connect(OWN, network, "a", CreateEndpoint::default(), serving(service))
            .unwrap_err();
        assert!(refused.message.contains(says), "{refused}");
        assert!(host.controller().endpoints(OWN).unwrap().is_empty());
        assert_eq!(host.dump(), before);
    }
}

/// What the kernel spreads over: the endpoints' addresses, each once.
fn targets(dump: &Dump) -> BTreeSet<String> {
    let elements = dump.firewall.iter().filter(|line| line.contains(" spread4 element"));
    elements
        .filter_map(|line| Some(line.rsplit(' ').next()?.to_owned()))
        .collect()
}

#[test]
fn a_service_that_fell_with_its_bridge_is_made_anew_at_its_addresses() {
    let mut host = Fixture::new();
    let before = host.dump();
    host.network("blue", "bridge");
    for name in ["a", "b", "c"] {
        host.sandbox(name);
    }
    host.connect_with("blue", "a", serving("web"));
    host.connect_with("blue", "b", serving("web"));
    // So that a new one would get another address.
    host.connect("blue", "c");
    host.controller().disconnect(OWN, "blue", "c").unwrap();
    let there = virtual_addresses(&host);
    let bridge = host.dump().links.iter().find(|l| l.kind == "bridge").unwrap().index;
    host.stop();
    host.kernel
        .send(&host.own, &[Request::DeleteLink { index: bridge }])
        .unwrap();
    host.start();
    assert_eq!(virtual_addresses(&host), there);
    assert_eq!(targets(&host.dump()).len(), 2);
    for name in ["a", "b", "c"] {
        host.controller().delete_sandbox(OWN, name).unwrap();
    }
    assert!(virtual_addresses(&host).is_empty());
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

/// Nobody is behind it any more, so that its addresses are free.
#[test]
fn a_service_that_fell_with_all_of_its_endpoints_is_gone() {
    let mut host = Fixture::new();
    host.network("blue", "bridge");
    let namespace = host.kernel.create_namespace().unwrap();
    host.kernel.attach_process(100, &namespace);
    let kind = SandboxKind::Adopted(NamespaceSource::Pid(100));
    host.controller()
        .create_sandbox(OWN, CreateSandbox { kind, ..sandbox("a") })
        .unwrap();
    host.connect_with("blue", "a", serving("web"));
    let bridge = host.dump().links.iter().find(|l| l.kind == "bridge").unwrap().index;
    host.stop();
    host.kernel.kill_namespace(namespace.id());
    host.kernel
        .send(&host.own, &[Request::DeleteLink { index: bridge }])
        .unwrap();
    host.start();
    assert_eq!(host.controller().network(OWN, "blue").unwrap().pools[0].used, 0);
    host.restart();
    assert_eq!(host.controller().network(OWN, "blue").unwrap().pools[0].used, 0);
}

/// Whenever the host dies while an endpoint comes or goes, the kernel afterwards spreads over those that are there, at the same address.
#[test]
fn a_host_killed_while_a_service_follows_its_endpoints_catches_up() {
    let change: [fn(&Fixture) -> jackfield_model::Result<()>; 2] = [
        |h| {
            let join = serving("web");
            let connected = h
                .controller()
                .connect(OWN, "blue", "c", CreateEndpoint::default(), join);
            connected.map(drop)
        },
        |h| h.controller().disconnect(OWN, "blue", "a").map(drop),
    ];
    for change in change {
        let mut boundaries = 0..;
        while boundaries
            .next()
            .is_some_and(|boundary| dies_and_catches_up(change, boundary))
        {}
    }
}

/// False when there was no such boundary any more.
fn dies_and_catches_up(change: fn(&Fixture) -> jackfield_model::Result<()>, boundary: u64) -> bool {
    let mut host = Fixture::new();
    host.network("blue", "bridge");
    for name in ["a", "b", "c"] {
        host.sandbox(name);
    }
    for name in ["a", "b"] {
        host.connect_with("blue", name, serving("web"));
    }
    let there = virtual_addresses(&host);
    let (record, early) = (1 + boundary / 2, boundary.is_multiple_of(2));
    let journal = &host.controller().inner.journal;
    journal.observe(Arc::new(CrashAtRecord::new(host.faulty.clone(), record, early)));
    // What it answered nobody has heard.
    let _ = change(&host);
    let died = host.faulty.is_dead();
    host.restart();
    let endpoints = host.controller().endpoints(OWN).unwrap();
    let joined = endpoints.iter().filter(|e| e.sandbox.is_some());
    let expected: BTreeSet<String> = joined.map(|e| e.addresses[0].ip().to_string()).collect();
    assert_eq!(targets(&host.dump()).len(), expected.len(), "boundary {boundary}");
    assert_eq!(virtual_addresses(&host), there, "boundary {boundary}");
    died
}

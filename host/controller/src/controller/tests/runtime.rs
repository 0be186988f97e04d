//! A runtime that manages addresses and moves interfaces by itself, as Docker does.

use std::path::PathBuf;

use jackfield_kernel::{Kernel, Request};
use jackfield_model::{ErrorCode, Family};

use super::fixture::*;
use crate::request::*;

/// A foreign sandbox with an endpoint, and the runtime's key of it.
fn abroad(host: &Fixture, driver: &str) -> (PathBuf, EndpointInfo) {
    let key = host.config().run_dir.join("key");
    host.network("blue", driver);
    let foreign = CreateSandbox {
        kind: SandboxKind::Foreign(key.clone()),
        ..sandbox("box")
    };
    host.controller().create_sandbox(OWN, foreign).unwrap();
    (key, host.connect("blue", "box"))
}

#[test]
fn an_endpoint_goes_with_the_pair_that_a_runtime_took_along() {
    let mut host = Fixture::new();
    let (_, endpoint) = abroad(&host, "bridge");
    assert_eq!(endpoint.handover.as_ref().unwrap().prefix, "eth");
    let collect = |host: &Fixture| host.controller().collect_foreign(OWN).unwrap();
    assert!(
        collect(&host).is_empty(),
        "its key was never seen, and the pair is there"
    );
    let interface = endpoint.interface.clone().unwrap();
    let link = host.dump().links.into_iter().find(|l| l.name == interface).unwrap();
    let gone = Request::DeleteLink { index: link.index };
    host.kernel.send(&host.own, &[gone]).unwrap();
    assert_eq!(collect(&host), [endpoint.id]);
    assert!(host.controller().sandboxes(OWN).unwrap().is_empty());
    host.restart();
    host.controller().delete_network(OWN, "blue").unwrap();
}

#[test]
fn an_endpoint_goes_when_a_key_that_was_there_is_gone_also_while_the_host_was_away() {
    let mut host = Fixture::new();
    let (key, endpoint) = abroad(&host, "bridge");
    std::fs::write(&key, "").unwrap();
    assert!(host.controller().collect_foreign(OWN).unwrap().is_empty());
    host.restart();
    assert_eq!(host.controller().endpoints(OWN).unwrap().len(), 1);
    std::fs::remove_file(&key).unwrap();
    host.restart();
    let left = host.controller().endpoints(OWN).unwrap();
    assert!(left.is_empty(), "{} is collected at the start", endpoint.id);
}

#[test]
fn a_runtime_says_which_address_goes_to_whom() {
    let host = Fixture::new();
    let request = CreateNetwork {
        ipam: Some("runtime".to_owned()),
        pools: vec![subnet("10.9.0.0/24")],
        ..network("blue", "bridge")
    };
    host.controller().create_network(OWN, request).unwrap();
    let endpoint = |addresses: &[&str]| {
        let asked = CreateEndpoint {
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            ..CreateEndpoint::default()
        };
        host.controller()
            .create_endpoint(OWN, "blue", asked)
            .map(Done::into_inner)
    };
    assert!(endpoint(&[]).unwrap().addresses.is_empty(), "none is given out unasked");
    let first = endpoint(&["10.9.0.1"]).unwrap();
    assert_eq!(first.addresses[0].to_string(), "10.9.0.1/24", "no gateway was named");
    assert_eq!(first.mac.unwrap().to_string(), "02:42:0a:09:00:01");
    assert_eq!(endpoint(&["10.9.0.1"]).unwrap_err().code, ErrorCode::AlreadyExists);
}

#[test]
fn a_leased_pool_outlives_the_host_and_its_addresses_too() {
    let mut host = Fixture::new();
    let request = LeasePool {
        owner: "docker".to_owned(),
        subnet: Some("10.9.0.0/24".parse().unwrap()),
        range: None,
        family: Family::Ipv4,
    };
    let lease = |host: &Fixture| host.controller().lease_pool(OWN, &request);
    let pool = lease(&host).unwrap().into_inner();
    let address = |host: &Fixture, asked| host.controller().lease_address(OWN, pool, asked);
    let given = address(&host, None).unwrap().into_inner();
    host.restart();
    assert_eq!(lease(&host).unwrap_err().code, ErrorCode::AlreadyExists);
    assert_ne!(address(&host, None).unwrap().into_inner(), given);
    assert!(address(&host, Some(given.ip())).is_err());
    host.controller().replay_pools(OWN, "docker").unwrap();
    assert_eq!(lease(&host).unwrap(), Done::AlreadySo(pool));
    assert_eq!(address(&host, Some(given.ip())).unwrap(), Done::AlreadySo(given));
    for _ in 0..2 {
        host.controller().return_address(OWN, given.ip()).unwrap();
        host.controller().return_pool(OWN, pool).unwrap();
    }
    host.restart();
    assert!(matches!(lease(&host).unwrap(), Done::Done(_)));
    assert_eq!(address(&host, None).unwrap().into_inner().to_string(), "10.9.0.1/24");
}

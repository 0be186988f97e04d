//! Up and down again, by every way there is.

use jackfield_kernel::NamespaceSource;
use jackfield_kernel::{Kernel, LinkInfo, plan::Ifindex};
use jackfield_model::{EndpointId, ErrorCode, NetworkId, SandboxId};

use super::fixture::*;
use crate::request::*;

#[test]
fn a_connected_sandbox_has_interface_address_and_default_route_and_afterwards_nothing_is_left() {
    let host = Fixture::new();
    let before = host.dump();
    let network = host.network("blue", "bridge");
    assert_eq!(network.state, "ready");
    let sandbox = host.sandbox("box");
    let endpoint = host.connect("blue", "box");
    assert_eq!(endpoint.addresses[0].to_string(), "10.20.0.2/24");
    assert_eq!(endpoint.interface.as_ref().unwrap().as_str(), "eth0");
    assert_eq!(endpoint.state, "joined");
    let inside = host.inside(&sandbox);
    let eth0 = inside.links.iter().find(|l| l.name.as_str() == "eth0").unwrap();
    assert!(eth0.up && eth0.mac == endpoint.mac);
    assert!(
        inside
            .addresses
            .iter()
            .any(|a| a.index == eth0.index && a.address.to_string() == "10.20.0.2/24")
    );
    assert_eq!(host.default_routes(&sandbox), ["10.20.0.1"]);
    assert_eq!(host.controller().network(OWN, "blue").unwrap().pools[0].used, 1);

    host.controller().disconnect(OWN, "blue", "box").unwrap();
    assert!(
        host.inside(&sandbox).links.iter().all(|l| l.name.as_str() != "eth0"),
        "its name is free at once"
    );
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
    assert_eq!(
        host.told(),
        [
            "network create",
            "sandbox create",
            "endpoint create",
            "endpoint join",
            "endpoint leave",
            "endpoint delete",
            "sandbox delete",
            "network delete"
        ]
    );
}

#[test]
fn create_join_leave_delete_by_themselves_do_the_same() {
    let host = Fixture::new();
    let before = host.dump();
    host.network("blue", "scripted");
    host.sandbox("box");
    let id = EndpointId::random();
    let request = CreateEndpoint {
        id: Some(id.clone()),
        ..CreateEndpoint::default()
    };
    let controller = host.controller();
    let created = controller.create_endpoint(OWN, "blue", request.clone()).unwrap();
    assert!(matches!(&created, Done::Done(e) if e.state == "created"));
    assert!(matches!(
        controller.create_endpoint(OWN, "blue", request).unwrap(),
        Done::AlreadySo(_)
    ));
    for _ in 0..3 {
        let joined = controller.join(OWN, id.as_str(), "box", Join::default()).unwrap();
        assert!(matches!(&joined, Done::Done(e) if e.interface.as_ref().unwrap().as_str() == "net0"));
        assert!(matches!(
            controller.join(OWN, id.as_str(), "box", Join::default()).unwrap(),
            Done::AlreadySo(_)
        ));
        assert_eq!(controller.leave(OWN, id.as_str()).unwrap(), Done::Done(()));
        assert_eq!(controller.leave(OWN, id.as_str()).unwrap(), Done::AlreadySo(()));
    }
    assert_eq!(controller.delete_endpoint(OWN, id.as_str()).unwrap(), Done::Done(()));
    assert_eq!(
        controller.delete_endpoint(OWN, id.as_str()).unwrap(),
        Done::AlreadySo(())
    );
    controller.delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn what_goes_down_may_be_asked_for_twice_by_id_and_a_name_that_nobody_has_is_a_slip() {
    let host = Fixture::new();
    let controller = host.controller();
    let network = host.network("blue", "bridge");
    assert_eq!(
        controller.delete_network(OWN, network.id.as_str()).unwrap(),
        Done::Done(())
    );
    assert_eq!(
        controller.delete_network(OWN, network.id.as_str()).unwrap(),
        Done::AlreadySo(())
    );
    assert_eq!(
        controller.delete_network(OWN, "blue").unwrap_err().code,
        ErrorCode::NotFound
    );
    assert_eq!(
        controller.delete_sandbox(OWN, SandboxId::random().as_str()).unwrap(),
        Done::AlreadySo(())
    );
}

#[test]
fn a_sandbox_takes_its_endpoints_along() {
    let host = Fixture::new();
    let before = host.dump();
    for name in ["blue", "red", "green"] {
        host.network(name, "bridge");
    }
    host.sandbox("box");
    let names: Vec<String> = ["blue", "red", "green"]
        .map(|n| host.connect(n, "box").interface.unwrap().to_string())
        .to_vec();
    assert_eq!(names, ["eth0", "eth1", "eth2"]);
    host.controller().delete_sandbox(OWN, "box").unwrap();
    assert!(host.controller().endpoints(OWN).unwrap().is_empty());
    assert_eq!(host.controller().prune_networks(OWN).unwrap().len(), 3);
    assert_eq!(host.dump(), before);
}

#[test]
fn a_strangers_interface_keeps_its_name_and_one_asked_for_is_refused_where_it_is_taken() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    let sandbox = host.sandbox("box");
    let namespace = host
        .kernel
        .open_namespace(&NamespaceSource::Path(sandbox.path.unwrap()))
        .unwrap();
    let stranger = LinkInfo {
        index: Ifindex::new(77).unwrap(),
        name: "eth0".parse().unwrap(),
        kind: "dummy".into(),
        mac: Some("02:00:00:00:00:77".parse().unwrap()),
        mtu: 1500,
        up: true,
        controller: None,
        parent: None,
        group: 0,
        alias: None,
        bridge_port: None,
        address_generation: false,
    };
    host.kernel.add_link(&namespace, stranger).unwrap();
    assert_eq!(host.connect("blue", "box").interface.unwrap().as_str(), "eth1");
    host.controller().disconnect(OWN, "blue", "box").unwrap();
    let join = Join {
        interface: Some("eth0".parse().unwrap()),
        ..Join::default()
    };
    let error = host
        .controller()
        .connect(OWN, "blue", "box", CreateEndpoint::default(), join)
        .unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            ErrorCode::AlreadyExists,
            "sandbox box has an interface eth0 already: choose another name"
        )
    );
    assert_eq!(
        host.controller().network(OWN, "blue").unwrap().pools[0].used,
        0,
        "its address is free again"
    );
}

#[test]
fn the_default_route_follows_the_priority() {
    let host = Fixture::new();
    let before = host.dump();
    for name in ["blue", "red", "green"] {
        host.network(name, "bridge");
    }
    let sandbox = host.sandbox("box");
    let with = |priority| Join {
        priority,
        ..Join::default()
    };
    host.connect_with("blue", "box", with(0));
    assert_eq!(host.default_routes(&sandbox), ["10.20.0.1"]);
    let red = host.connect_with("red", "box", with(10));
    assert_eq!(host.default_routes(&sandbox), ["10.20.1.1"]);
    host.connect_with("green", "box", with(5));
    assert_eq!(host.default_routes(&sandbox), ["10.20.1.1"]);
    assert_eq!(
        host.controller().sandbox(OWN, "box").unwrap().endpoints[0],
        red.id,
        "the one with the default route first"
    );
    host.controller().disconnect(OWN, "red", "box").unwrap();
    assert_eq!(host.default_routes(&sandbox), ["10.20.2.1"]);
    host.controller().disconnect(OWN, "green", "box").unwrap();
    assert_eq!(host.default_routes(&sandbox), ["10.20.0.1"]);
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().prune_networks(OWN).unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn leave_and_rejoin_as_eth0_at_once_and_often() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    let sandbox = host.sandbox("box");
    for _ in 0..100 {
        assert_eq!(host.connect("blue", "box").interface.unwrap().as_str(), "eth0");
        assert_eq!(host.default_routes(&sandbox), ["10.20.0.1"]);
        host.controller().disconnect(OWN, "blue", "box").unwrap();
    }
}

#[test]
fn bad_requests_are_refused_in_words_and_change_nothing() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    let (before, networks) = (host.dump(), host.controller().networks(OWN).unwrap().len());
    let with = |change: &dyn Fn(&mut CreateNetwork)| {
        let mut request = network("red", "bridge");
        change(&mut request);
        host.controller().create_network(OWN, request).unwrap_err()
    };
    let cases = [
        (
            with(&|r| r.name = "blue".parse().unwrap()),
            ErrorCode::AlreadyExists,
            "the name blue is taken by network",
        ),
        (
            with(&|r| r.driver = Some("brigde".into())),
            ErrorCode::NotFound,
            "did you mean \"bridge\"?",
        ),
        (
            with(&|r| r.pools = vec![subnet("10.20.0.0/24")]),
            ErrorCode::AlreadyExists,
            "overlaps 10.20.0.0/24",
        ),
        (
            with(&|r| drop(r.options.insert("mut".into(), "1500".into()))),
            ErrorCode::InvalidArgument,
            "unknown option of a bridge network",
        ),
        (
            with(&|r| drop(r.options.insert("bridge".into(), "sixteen-bytes-xx".into()))),
            ErrorCode::InvalidArgument,
            "1 to 15 bytes",
        ),
        (
            with(&|r| (r.driver, r.pools) = (Some("null".into()), vec![subnet("10.9.0.0/24")])),
            ErrorCode::InvalidArgument,
            "no addresses",
        ),
    ];
    for (error, code, says) in cases {
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
    let missing = host
        .controller()
        .connect(OWN, "blue", "nobox", CreateEndpoint::default(), Join::default())
        .unwrap_err();
    assert_eq!(missing.message, "there is no sandbox \"nobox\" in this realm");
    assert_eq!(host.controller().networks(OWN).unwrap().len(), networks);
    assert_eq!(host.dump(), before);
    assert_eq!(
        host.network("red", "bridge").pools[0].pool.subnet.to_string(),
        "10.20.1.0/24",
        "no pool was lost on the way"
    );
}

#[test]
fn null_and_host_networks_have_no_addresses_and_a_realm_has_one_host_network() {
    let host = Fixture::new();
    let before = host.dump();
    assert!(host.network("none", "null").pools.is_empty());
    host.network("host", "host");
    let error = host
        .controller()
        .create_network(OWN, network("host2", "host"))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::AlreadyExists);
    let sandbox = host.sandbox("box");
    let inside = host.inside(&sandbox);
    for name in ["none", "host"] {
        assert_eq!(host.connect(name, "box").interface, None);
    }
    assert_eq!(host.inside(&sandbox).links.len(), inside.links.len());
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().prune_networks(OWN).unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn an_internal_network_gives_no_gateway() {
    let host = Fixture::new();
    host.controller()
        .create_network(
            OWN,
            CreateNetwork {
                internal: true,
                ..network("vault", "bridge")
            },
        )
        .unwrap();
    let sandbox = host.sandbox("box");
    assert!(host.connect("vault", "box").gateways.is_empty());
    assert!(host.default_routes(&sandbox).is_empty());
}

#[test]
fn a_network_with_ipv6_gives_both_families() {
    let host = Fixture::new();
    host.controller()
        .create_network(
            OWN,
            CreateNetwork {
                ipv6: true,
                ..network("blue", "bridge")
            },
        )
        .unwrap();
    let sandbox = host.sandbox("box");
    let endpoint = host.connect("blue", "box");
    assert_eq!(endpoint.addresses.len(), 2);
    assert!(
        endpoint.addresses[1].to_string().starts_with("fd"),
        "{:?}",
        endpoint.addresses
    );
    assert_eq!(host.default_routes(&sandbox).len(), 2);
}

#[test]
fn adopted_sandboxes_are_opened_for_each_call_and_a_realm_is_never_one() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    let namespace = host.kernel.create_namespace().unwrap();
    host.kernel.attach_process(4711, &namespace);
    let adopt = |id: Option<SandboxId>, source| CreateSandbox {
        id,
        kind: SandboxKind::Adopted(source),
        ..sandbox("box")
    };
    let made = host
        .controller()
        .create_sandbox(OWN, adopt(None, NamespaceSource::Pid(4711)))
        .unwrap()
        .into_inner();
    assert_eq!(made.kind, "adopted");
    let again = host
        .controller()
        .create_sandbox(OWN, adopt(Some(made.id.clone()), NamespaceSource::Pid(4711)))
        .unwrap();
    assert!(matches!(again, Done::AlreadySo(_)));
    host.connect("blue", "box");
    assert!(
        host.kernel
            .dump(&namespace)
            .unwrap()
            .links
            .iter()
            .any(|l| l.name.as_str() == "eth0")
    );
    let error = host
        .controller()
        .create_sandbox(OWN, adopt(None, NamespaceSource::Own))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied, "{error}");
    assert_eq!(
        host.controller().open_realm(namespace.clone()).unwrap_err().code,
        ErrorCode::Denied
    );
}

#[test]
fn a_foreign_sandbox_gets_its_link_in_the_realm() {
    let host = Fixture::new();
    let before = host.dump();
    host.network("blue", "bridge");
    let foreign = CreateSandbox {
        kind: SandboxKind::Foreign("/var/run/docker/netns/1".into()),
        ..sandbox("box")
    };
    host.controller().create_sandbox(OWN, foreign).unwrap();
    let endpoint = host.connect("blue", "box");
    let name = endpoint.interface.unwrap();
    assert!(
        host.dump()
            .links
            .iter()
            .any(|l| l.name == name && l.mac == endpoint.mac)
    );
    assert_eq!(endpoint.gateways[0].to_string(), "10.20.0.1");
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn two_realms_may_have_networks_of_one_name_and_subnet() {
    let host = Fixture::new();
    let namespace = host.kernel.create_namespace().unwrap();
    let realm = host.controller().open_realm(namespace.clone()).unwrap();
    assert_eq!(
        host.controller().open_realm(namespace).unwrap(),
        realm,
        "opening twice is opening once"
    );
    let request = CreateNetwork {
        pools: vec![subnet("10.9.0.0/24")],
        ..network("blue", "bridge")
    };
    for place in [OWN, realm] {
        host.controller().create_network(place, request.clone()).unwrap();
        host.controller().create_sandbox(place, sandbox("box")).unwrap();
        let endpoint = host
            .controller()
            .connect(place, "blue", "box", CreateEndpoint::default(), Join::default())
            .unwrap()
            .into_inner();
        assert_eq!(endpoint.addresses[0].to_string(), "10.9.0.2/24");
    }
    assert_eq!(host.controller().networks_of_driver("bridge"), ["blue", "blue"]);
    assert_eq!(
        host.controller()
            .networks(RealmRef::Caller(jackfield_kernel::NamespaceId(999)))
            .unwrap_err()
            .code,
        ErrorCode::NotFound
    );
}

#[test]
fn the_same_id_and_specification_of_a_network_is_already_so() {
    let host = Fixture::new();
    let request = CreateNetwork {
        id: Some(NetworkId::random()),
        ..network("blue", "bridge")
    };
    assert!(matches!(
        host.controller().create_network(OWN, request.clone()).unwrap(),
        Done::Done(_)
    ));
    assert!(matches!(
        host.controller().create_network(OWN, request.clone()).unwrap(),
        Done::AlreadySo(_)
    ));
    let other = CreateNetwork {
        internal: true,
        ..request
    };
    assert_eq!(
        host.controller().create_network(OWN, other).unwrap_err().code,
        ErrorCode::AlreadyExists
    );
}

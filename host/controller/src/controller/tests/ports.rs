//! Published ports: with a join, after it, across restarts, and by drivers that see to them themselves.

use std::sync::atomic::Ordering;

use jackfield_model::{ErrorCode, Publish};

use super::fixture::*;
use crate::request::*;

fn asked(ports: &[&str]) -> Vec<Publish> {
    publishing(ports).publish
}

/// Elements that publish, in the realm's table.
fn published(host: &Fixture) -> usize {
    let is_published = |line: &&String| line.contains(" set publish") && line.contains(" element ");
    host.dump().firewall.iter().filter(is_published).count()
}

fn shown(endpoint: &EndpointInfo) -> Vec<String> {
    endpoint.ports.iter().map(ToString::to_string).collect()
}

#[test]
fn a_join_publishes_on_all_addresses_in_each_family_and_a_leave_takes_it_back() {
    let host = Fixture::new();
    let before = host.dump();
    let both = CreateNetwork {
        ipv6: true,
        ..network("blue", "bridge")
    };
    host.controller().create_network(OWN, both).unwrap();
    host.sandbox("box");
    let endpoint = host.connect_with(
        "blue",
        "box",
        publishing(&["8080:80", "53/udp", "127.0.0.1:9000-9003:9000-9003"]),
    );
    let ports = shown(&endpoint);
    assert_eq!(ports[..2], ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]);
    assert_eq!(
        endpoint.ports[2].host_port, endpoint.ports[3].host_port,
        "one number for both families"
    );
    assert_eq!(ports[4], "127.0.0.1:9000-9003->9000-9003/tcp");
    assert_eq!(published(&host), 5);
    assert!(
        host.events
            .lock()
            .unwrap()
            .iter()
            .any(|e| e.action == "join" && e.attributes["ports"].contains("8080->80"))
    );
    host.controller().disconnect(OWN, "blue", "box").unwrap();
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn a_network_says_where_ports_are_published_that_name_no_address() {
    let mut host = Fixture::new();
    let bound = CreateNetwork {
        ipv6: true,
        options: [("host-binding".to_owned(), "192.0.2.7".to_owned())].into(),
        ..network("blue", "bridge")
    };
    host.controller().create_network(OWN, bound).unwrap();
    host.sandbox("box");
    let endpoint = host.connect_with(
        "blue",
        "box",
        publishing(&["8080:80", "127.0.0.1:8081:81", "[::]:8082:82"]),
    );
    let expected = ["192.0.2.7:8080->80/tcp", "127.0.0.1:8081->81/tcp", "[::]:8082->82/tcp"];
    assert_eq!(shown(&endpoint), expected);
    // It is the network's for as long as it stands.
    host.restart();
    let later = host
        .controller()
        .set_ports(OWN, endpoint.id.as_str(), &asked(&["8090:90"]));
    assert_eq!(shown(&later.unwrap().into_inner()), ["192.0.2.7:8090->90/tcp"]);
}

#[test]
fn a_port_in_use_names_the_endpoint_and_nothing_is_left_of_the_refused_one() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    host.sandbox("web");
    host.sandbox("other");
    let named = CreateEndpoint {
        name: Some("shop".parse().unwrap()),
        ..CreateEndpoint::default()
    };
    let join = publishing(&["8080-8089:80-89"]);
    host.controller().connect(OWN, "blue", "web", named, join).unwrap();
    let before = host.dump();
    for port in ["8085:80", "192.0.2.7:8080:80", "8000-9000:8000-9000"] {
        let refused = host
            .controller()
            .connect(
                OWN,
                "blue",
                "other",
                CreateEndpoint::default(),
                publishing(&["1234:80", port]),
            )
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::AlreadyExists, "{port}");
        assert!(
            refused
                .message
                .contains("is published for endpoint shop of network blue already"),
            "{refused}"
        );
    }
    assert_eq!(host.dump(), before);
    host.controller().disconnect(OWN, "blue", "web").unwrap();
    host.connect_with("blue", "other", publishing(&["1234:80", "8085:80"]));
}

#[test]
fn what_cannot_be_published_is_said_in_words() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    host.network("nothing", "null");
    let closed = CreateNetwork {
        internal: true,
        ..network("closed", "bridge")
    };
    host.controller().create_network(OWN, closed).unwrap();
    host.sandbox("box");
    for (network, port, says) in [
        ("closed", "80:80", "network closed is internal"),
        ("nothing", "80:80", "the endpoint has no address of its own"),
        ("blue", "[fd00::1]:80:80", "no IPv6 address to lead fd00::1 to"),
        ("blue", "[::1]:80:80", "cannot be published on ::1"),
    ] {
        let join = publishing(&[port]);
        let refused = host
            .controller()
            .connect(OWN, network, "box", CreateEndpoint::default(), join)
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument);
        assert!(refused.message.contains(says), "{refused}");
    }
}

#[test]
fn ports_change_while_the_endpoint_stays_all_of_them_or_none() {
    let host = Fixture::new();
    host.network("blue", "bridge");
    host.sandbox("web");
    host.sandbox("other");
    host.connect_with("blue", "other", publishing(&["7000:70"]));
    let endpoint = host.connect_with("blue", "web", publishing(&["8080:80", "90"]));
    let (id, chosen) = (endpoint.id.as_str(), endpoint.ports[1].clone());
    let controller = host.controller();
    let set = |ports: &[&str]| controller.set_ports(OWN, id, &asked(ports));

    let changed = set(&["90", "8081:81"]).unwrap().into_inner();
    assert_eq!(changed.ports[0], chosen, "what stays keeps its port");
    assert_eq!(shown(&changed)[1..], ["0.0.0.0:8081->81/tcp"]);
    assert!(matches!(set(&["90", "8081:81"]).unwrap(), Done::AlreadySo(_)));

    let refused = set(&["90", "8082:82", "7000:82"]).unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert_eq!(shown(&controller.endpoint(OWN, id).unwrap()), shown(&changed));

    let moved = set(&["90", "8081:82"]).unwrap().into_inner();
    assert_eq!(
        shown(&moved)[1..],
        ["0.0.0.0:8081->82/tcp"],
        "the same host port, to another of the sandbox"
    );
    let refused = set(&["8081:83", "7000:83"]).unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert_eq!(
        controller.endpoint(OWN, id).unwrap().ports.len(),
        2,
        "what gave way is back"
    );
    assert_eq!(published(&host), 3);

    assert!(set(&[]).unwrap().into_inner().ports.is_empty());
    assert_eq!(published(&host), 1);
    controller.disconnect(OWN, "blue", "web").unwrap();
    assert_eq!(
        controller.set_ports(OWN, "nobody", &[]).unwrap_err().code,
        ErrorCode::NotFound
    );
    let loose = controller
        .create_endpoint(OWN, "blue", CreateEndpoint::default())
        .unwrap()
        .into_inner();
    let refused = controller
        .set_ports(OWN, loose.id.as_str(), &asked(&["80"]))
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidState);
}

#[test]
fn a_restarted_host_knows_the_ports_and_holds_them() {
    let mut host = Fixture::new();
    host.network("blue", "bridge");
    host.sandbox("web");
    host.sandbox("other");
    let endpoint = host.connect_with("blue", "web", publishing(&["8080:80", "90"]));
    let before = host.dump();
    host.restart();
    assert_eq!(host.dump(), before);
    let controller = host.controller();
    assert_eq!(
        controller.endpoint(OWN, endpoint.id.as_str()).unwrap().ports,
        endpoint.ports
    );
    let join = publishing(&["8080:80"]);
    let refused = controller
        .connect(OWN, "blue", "other", CreateEndpoint::default(), join.clone())
        .unwrap_err();
    assert!(refused.message.contains("of network blue already"), "{refused}");
    controller
        .set_ports(OWN, endpoint.id.as_str(), &asked(&["90"]))
        .unwrap();
    host.connect_with("blue", "other", join);
}

#[test]
fn a_driver_that_publishes_itself_is_asked_in_the_join_and_told_on_the_way_out() {
    let mut host = Fixture::new();
    host.script.programs.store(true, Ordering::Relaxed);
    let before = host.dump();
    host.network("blue", "scripted");
    host.sandbox("web");
    host.script.calls();
    let endpoint = host.connect_with("blue", "web", publishing(&["8080:80", "90"]));
    assert_eq!(host.script.calls(), ["create-endpoint", "join", "program"]);
    assert_eq!((endpoint.ports.len(), published(&host)), (2, 2));
    assert_ne!(endpoint.ports[1].host_port, 0, "the host has chosen");

    let set = |ports: &[&str]| host.controller().set_ports(OWN, endpoint.id.as_str(), &asked(ports));
    assert_eq!(set(&["8080:80"]).unwrap().into_inner().ports.len(), 1);
    assert_eq!(host.script.calls(), ["revoke", "program"]);
    *host.script.fail_in.lock().unwrap() = Some("program");
    assert!(set(&["8081:80"]).is_err());
    *host.script.fail_in.lock().unwrap() = None;
    host.script.calls();
    assert_eq!(set(&["8081:80"]).unwrap().into_inner().ports.len(), 1);

    host.restart();
    host.script.calls();
    host.controller().disconnect(OWN, "blue", "web").unwrap();
    assert_eq!(host.script.calls(), ["revoke", "leave", "delete-endpoint"]);
    *host.script.fail_in.lock().unwrap() = Some("program");
    let join = publishing(&["8080:80"]);
    let refused = host
        .controller()
        .connect(OWN, "blue", "web", CreateEndpoint::default(), join)
        .unwrap_err();
    assert_eq!(refused.step.as_deref(), Some("program"));
    host.controller().delete_sandbox(OWN, "web").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

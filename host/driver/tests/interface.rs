//! What an operation gives the sandbox and the world: its interface, published ports, and walls around internal networks.
#![allow(clippy::unwrap_used)] // Helpers unwrap as the tests do.

mod common;

use common::{Host, UPLINK, code, interface, ip, net, none, publish};
use jackfield_driver::{Context, Gateway, Guard, Operation, Phase, SandboxInterface, grants::Grants};
use jackfield_kernel::{
    Make, Place,
    plan::{Entry, FirewallRule, LinkKind, MacvlanMode},
};
use jackfield_model::{ErrorCode, Family, LinkName, NextHop, PortMapping, StaticRoute, Transport};

#[test]
fn publishing_needs_an_endpoint_with_such_an_address_and_a_free_port() {
    let host = Host::new();
    assert_eq!(
        code(host.begin(Phase::CreateNetwork).publish(publish(80))),
        ErrorCode::InvalidState
    );
    let mut op = host.begin(Phase::Join);
    assert_eq!(op.publish(publish(8080)).unwrap(), 8080);
    assert_eq!(code(op.publish(publish(8080))), ErrorCode::AlreadyExists);
    host.kernel.open_port(host.realm.namespace(), Transport::Tcp, 8022);
    let refused = op.publish(publish(8022)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::AlreadyExists);
    assert!(
        refused.message.starts_with("host port 8022/tcp is open in a process"),
        "{refused}"
    );
    assert!(op.publish(publish(0)).unwrap() > 49_152);
    assert_eq!(
        op.publish(PortMapping {
            host_address: ip("::"),
            ..publish(8080)
        })
        .unwrap(),
        8080
    );
    assert_eq!(
        code(op.publish(PortMapping { count: 0, ..publish(1) })),
        ErrorCode::InvalidArgument
    );
    let outcome = op.finish();
    let target = |make: &Make| {
        if let Make::Firewall(FirewallRule::Publish { target, .. }) = make {
            Some(*target)
        } else {
            None
        }
    };
    let targets: Vec<_> = outcome.plan.makes.iter().filter_map(target).collect();
    assert_eq!(targets, [ip("10.1.0.2"), ip("10.1.0.2"), ip("fd00::2")]);
    assert_eq!(outcome.ports.len(), 3);

    let mut other = host.context(Phase::Join, Grants::everything());
    let endpoint = host.endpoint.as_ref().clone();
    other.endpoint = Some(std::sync::Arc::new(jackfield_model::EndpointSpec {
        id: jackfield_model::EndpointId::random(),
        ..endpoint
    }));
    assert_eq!(
        code(Operation::new(other.clone()).publish(publish(8080))),
        ErrorCode::AlreadyExists
    );
    drop(outcome);
    assert!(
        Operation::new(other).publish(publish(8080)).is_ok(),
        "a discarded outcome frees its ports"
    );
}

#[test]
fn an_internal_network_is_cut_off_also_when_the_driver_forgets() {
    let host = Host::new().internal();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    let port = op.create_dummy("port", &none()).unwrap();
    op.set_controller(port, Some(bridge)).unwrap();
    let name = op.link_name(bridge).unwrap();
    let rules: Vec<_> = op
        .finish()
        .plan
        .makes
        .into_iter()
        .filter_map(|m| if let Make::Firewall(r) = m { Some(r) } else { None })
        .collect();
    let inside = |subnet| FirewallRule::Inside { subnet: net(subnet) };
    assert_eq!(
        rules,
        [
            FirewallRule::Member { link: name.clone() },
            inside("10.1.0.0/24"),
            inside("fd00::/64"),
            FirewallRule::Internal { link: name },
        ]
    );

    let mut op = host.begin(Phase::Join);
    let (veth, peer) = op.create_veth("v", &none()).unwrap();
    let name = op.link_name(veth).unwrap();
    op.make_internal(veth).unwrap();
    op.finish_interface(peer, &interface()).unwrap();
    let rules: Vec<_> = op
        .finish()
        .plan
        .makes
        .into_iter()
        .filter_map(|m| if let Make::Firewall(r) = m { Some(r) } else { None })
        .collect();
    let home = |address: &str| FirewallRule::Home {
        link: name.clone(),
        address: address.parse().unwrap(),
    };
    assert_eq!(
        rules,
        [
            FirewallRule::Internal { link: name.clone() },
            FirewallRule::Member { link: name.clone() },
            home("10.1.0.2"),
            home("fd00::2"),
        ],
        "once, and not for what is in the sandbox"
    );
}

#[test]
fn either_end_of_a_pair_may_become_the_interface_and_is_made_in_the_sandbox() {
    for returned in ["v", "v-peer"] {
        let host = Host::new();
        let before = host.dump();
        let mut op = host.begin(Phase::Join);
        op.create_veth("v", &none()).unwrap();
        let link = op.find_own(returned).unwrap();
        op.set_mtu(link, 1400).unwrap();
        op.add_neighbour(link, ip("10.1.0.1"), "02:00:00:00:00:01".parse().unwrap())
            .unwrap();
        op.finish_interface(link, &interface()).unwrap();
        assert_eq!(
            code(op.finish_interface(link, &interface())),
            ErrorCode::InvalidState,
            "once"
        );
        assert_eq!(code(op.link_statistics(link)), ErrorCode::InvalidState);
        let outcome = op.finish();
        assert!(
            matches!(&outcome.plan.makes[0], Make::Link(new) if new.at.place == Place::Realm
            && matches!(&new.kind, LinkKind::Veth { peer } if peer.at.place == Place::Sandbox && peer.name.as_str() == "eth0"))
        );
        let id = host.apply(&outcome);
        let sandbox = host.sandbox_dump();
        let eth0 = sandbox.links.iter().find(|l| l.name.as_str() == "eth0").unwrap();
        assert_eq!((eth0.mtu, eth0.up, eth0.address_generation), (1400, true, false));
        assert_eq!(eth0.mac, Some("02:00:00:00:00:07".parse().unwrap()));
        assert_eq!(sandbox.neighbours.len(), 1, "steps on the link went along");
        let defaults: Vec<_> = sandbox
            .routes
            .iter()
            .filter(|r| r.route.destination.prefix() == 0)
            .filter_map(|r| r.route.gateway)
            .collect();
        assert_eq!(defaults, [ip("10.1.0.1"), ip("fd00::1")]);
        let own: Vec<_> = outcome.links.iter().map(|l| (l.label.as_str(), l.at.place)).collect();
        assert!(own.contains(&(returned, Place::Sandbox)), "{own:?}");
        host.realm.release(&id, Vec::new()).unwrap();
        host.realm.quiesce();
        assert!(host.dump() == before, "nothing is left in the realm");
        let left: Vec<_> = host
            .sandbox_dump()
            .links
            .into_iter()
            .map(|link| link.name.to_string())
            .collect();
        assert_eq!(left, ["lo"]);
    }
}

#[test]
fn a_macvlan_is_made_in_the_sandbox_on_a_parent_of_the_realm() {
    let host = Host::new();
    let mut op = host.begin(Phase::Join);
    let uplink = op.find_link("up0").unwrap();
    let link = op.create_macvlan("m", uplink, MacvlanMode::Bridge, &none()).unwrap();
    op.finish_interface(link, &interface()).unwrap();
    host.apply(&op.finish());
    let eth0 = host
        .sandbox_dump()
        .links
        .into_iter()
        .find(|l| l.name.as_str() == "eth0")
        .unwrap();
    assert_eq!(
        (eth0.kind.as_str(), eth0.parent.map(|p| p.get())),
        ("macvlan", Some(UPLINK))
    );
}

#[test]
fn a_foreign_sandbox_gets_only_the_mac_since_the_runtime_does_the_rest() {
    let host = Host::new();
    let context = Context {
        foreign_sandbox: true,
        ..host.context(Phase::Join, Grants::everything())
    };
    let mut op = Operation::new(context);
    let (_, peer) = op.create_veth("v", &none()).unwrap();
    let name = op.link_name(peer).unwrap();
    op.finish_interface(peer, &interface()).unwrap();
    let plan = op.finish().plan;
    let [Make::Link(new), rest @ ..] = &plan.makes[..] else {
        panic!("no pair: {plan:?}")
    };
    let of_the_firewall = |make: &Make| matches!(make, Make::Firewall(_));
    assert!(rest.iter().all(of_the_firewall), "more than the pair: {plan:?}");
    let LinkKind::Veth { peer } = &new.kind else {
        panic!("no pair")
    };
    assert_eq!(
        (peer.at.place, &peer.name, peer.mac),
        (Place::Realm, &name, interface().mac)
    );
}

#[test]
fn what_create_endpoint_put_off_is_applied_with_each_join_on_fresh_indexes() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateEndpoint);
    let (link, peer) = op.create_veth("v", &none()).unwrap();
    op.set_up(link, true).unwrap();
    op.add_route(net("10.1.0.2/32"), None, &none(), Some(link)).unwrap();
    let _ = peer;
    let endpoint = op.finish();
    assert!(endpoint.links.iter().all(|l| l.planned));
    let mut indexes = Vec::new();
    for _ in 0..2 {
        let mut join = Operation::new(Context {
            own_links: endpoint.links.clone(),
            deferred: Some(std::sync::Arc::new(endpoint.plan.clone())),
            ..host.context(Phase::Join, Grants::everything())
        });
        let peer = join.find_own("v-peer").unwrap();
        assert_eq!(join.link_up(peer).unwrap(), None, "still planned");
        join.finish_interface(peer, &interface()).unwrap();
        let outcome = join.finish();
        assert!(outcome.links.iter().all(|l| !l.planned));
        indexes.extend(outcome.plan.new_links().map(|at| at.index));
        let id = host.apply(&outcome);
        let link = outcome.links.iter().find(|l| l.label == "v").unwrap();
        assert!(
            host.dump().routes.iter().any(|r| r.route.link == Some(link.at.index)),
            "the route followed its link"
        );
        assert!(host.sandbox_dump().links.iter().any(|l| l.name.as_str() == "eth0"));
        host.realm.release(&id, Vec::new()).unwrap();
        host.realm.quiesce();
    }
    indexes.extend(endpoint.plan.new_links().map(|at| at.index));
    let count = indexes.len();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), count, "no index comes twice");
}

#[test]
fn gateways_outside_of_the_subnet_need_a_connected_route() {
    let host = Host::new();
    let route = |destination: &str, next_hop| StaticRoute {
        destination: net(destination),
        next_hop,
        attributes: none(),
    };
    let finish = |change: &dyn Fn(&mut SandboxInterface)| {
        let mut op = host.begin(Phase::Join);
        let (_, peer) = op.create_veth("v", &none()).unwrap();
        let mut interface = interface();
        change(&mut interface);
        op.finish_interface(peer, &interface).map(|()| op.finish().plan)
    };
    assert_eq!(
        code(finish(&|i| i.gateways = vec![ip("169.254.1.1")])),
        ErrorCode::InvalidArgument
    );
    assert_eq!(
        code(finish(&|i| i.gateways = vec![ip("10.1.0.2")])),
        ErrorCode::InvalidArgument,
        "its own address"
    );
    assert_eq!(
        code(finish(&|i| i.routes = vec![route("10.9.0.1/24", NextHop::Connected)])),
        ErrorCode::InvalidArgument
    );
    let plan = finish(&|i| {
        i.routes = vec![
            route("10.9.0.0/24", NextHop::Gateway(ip("169.254.1.1"))),
            route("169.254.1.1/32", NextHop::Connected),
        ];
        i.gateways = vec![ip("169.254.1.1"), ip("fe80::1")];
    })
    .unwrap();
    let routes: Vec<_> = plan
        .makes
        .iter()
        .filter_map(|m| {
            if let Make::Route {
                route,
                place: Place::Sandbox,
            } = m
            {
                Some((route.destination, route.onlink))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        routes,
        [
            (net("169.254.1.1/32"), false),
            (net("0.0.0.0/0"), true),
            (net("::/0"), true),
            (net("10.9.0.0/24"), true)
        ],
        "connected first, then the gateways, then the rest"
    );
    host.apply_plan(&plan);
}

#[test]
fn only_a_link_of_the_endpoints_own_becomes_the_interface() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    op.create_dummy("network", &none()).unwrap();
    let outcome = op.finish();
    host.apply(&outcome);
    let mut op = host.after(Phase::Join, outcome.links);
    let (networks, uplink) = (op.find_own("network").unwrap(), op.find_link("up0").unwrap());
    let (masked, _) = op.create_veth("masked", &none()).unwrap();
    op.masquerade(net("10.1.0.0/24"), masked).unwrap();
    let (parent, _) = op.create_veth("parent", &none()).unwrap();
    op.create_vlan("vlan", parent, 7, &none()).unwrap();
    for (what, link, expected) in [
        ("the network's", networks, ErrorCode::InvalidArgument),
        ("the host's", uplink, ErrorCode::InvalidArgument),
        ("one that a rule names", masked, ErrorCode::InvalidArgument),
        ("a parent", parent, ErrorCode::InUse),
    ] {
        assert_eq!(code(op.finish_interface(link, &interface())), expected, "{what}");
    }
    let mut op = host.begin(Phase::Program);
    let dummy = op.create_dummy("d", &none()).unwrap();
    assert_eq!(code(op.finish_interface(dummy, &interface())), ErrorCode::InvalidState);
}

#[test]
fn a_link_that_routes_ipv6_gets_a_link_local_address_to_ask_for_neighbours_from() {
    let host = Host::new();
    let link_local = |op: Operation| {
        let plan = op.finish().plan;
        let is =
            |make: &&Make| matches!(make, Make::Address { address, .. } if address.to_string().starts_with("fe80:"));
        plan.makes.iter().filter(is).count()
    };
    let with_link = |work: &dyn Fn(&mut Operation, jackfield_driver::LinkId)| {
        let mut op = host.begin(Phase::Join);
        let (link, peer) = op.create_veth("v", &none()).unwrap();
        work(&mut op, link);
        op.finish_interface(peer, &interface()).unwrap();
        link_local(op)
    };
    assert_eq!(
        with_link(&|op, link| op.add_address(link, net("fd00::1/128")).unwrap()),
        1
    );
    assert_eq!(
        with_link(&|op, link| op.add_route(net("fd00::2/128"), None, &none(), Some(link)).unwrap()),
        1
    );
    assert_eq!(
        with_link(&|op, link| op.add_address(link, net("10.1.0.1/32")).unwrap()),
        0,
        "IPv4 needs none"
    );
    let own = |op: &mut Operation, link| {
        op.add_address(link, net("fd00::1/128")).unwrap();
        op.add_address(link, net("fe80::1/64")).unwrap();
    };
    assert_eq!(with_link(&own), 1, "the driver's own is enough");
}

#[test]
fn a_guard_says_who_may_enter_and_a_closed_link_has_no_homes() {
    let host = Host::new();
    let mut op = host.begin(Phase::Join);
    let (veth, peer) = op.create_veth("v", &none()).unwrap();
    let link = op.link_name(veth).unwrap();
    let from: LinkName = "up0".parse().unwrap();
    let guard = Guard {
        ipv4: Some(Gateway::Nat),
        ipv6: Some(Gateway::Routed),
        icc: false,
        trusted: vec![from.clone(), from.clone()],
    };
    op.guard(veth, &guard).unwrap();
    op.finish_interface(peer, &interface()).unwrap();
    let outcome = op.finish();
    let entry = |family, entry| FirewallRule::Entry {
        link: link.clone(),
        family,
        entry,
    };
    let rules: Vec<_> = outcome
        .plan
        .makes
        .iter()
        .filter_map(|m| {
            if let Make::Firewall(r) = m {
                Some(r.clone())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        rules,
        [
            entry(Family::Ipv4, Entry::Published),
            entry(Family::Ipv6, Entry::Open),
            FirewallRule::Trusted {
                link: link.clone(),
                from,
            },
            FirewallRule::Closed { link: link.clone() },
            FirewallRule::Member { link: link.clone() },
        ]
    );
    let routed: Vec<_> = outcome.links.iter().flat_map(|own| own.routed.clone()).collect();
    assert_eq!(routed, [Family::Ipv6], "known to whoever publishes ports later");
}

/// Of a routed network a port is published where the endpoint has it, in that family alone.
#[test]
fn a_port_of_a_routed_network_is_opened_at_the_endpoints_own_address() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    let routed = Guard {
        ipv4: Some(Gateway::Routed),
        ..Guard::default()
    };
    op.guard(bridge, &routed).unwrap();
    let outcome = op.finish();
    host.apply(&outcome);
    let mut op = host.after(Phase::Join, outcome.links);
    assert_eq!(op.publish(publish(8080)).unwrap(), 80, "the endpoint's own port");
    let opened = FirewallRule::Open {
        transport: Transport::Tcp,
        target: ip("10.1.0.2"),
        port: 80,
        count: 1,
    };
    assert!(op.finish().plan.makes.contains(&Make::Firewall(opened)));
}

/// What ports are published on is the network's to say, once a family, and an address that others send to.
#[test]
fn a_network_binds_its_ports_to_an_address_of_the_host() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    op.set_host_binding(ip("192.0.2.7")).unwrap();
    for (address, code) in [
        ("192.0.2.8", ErrorCode::AlreadyExists),
        ("::1", ErrorCode::InvalidArgument),
        ("224.0.0.1", ErrorCode::InvalidArgument),
    ] {
        assert_eq!(op.set_host_binding(ip(address)).unwrap_err().code, code, "{address}");
    }
    op.set_host_binding(ip("fd00::7")).unwrap();
    assert_eq!(op.finish().host_bindings, [ip("192.0.2.7"), ip("fd00::7")]);
    let refused = host.begin(Phase::Join).set_host_binding(ip("192.0.2.7"));
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidState);
}

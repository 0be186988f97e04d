//! Bridges that are adopted, payloads that stick, bandwidth that is limited where it is sent, and the host's deafness to advertisements.
#![allow(clippy::unwrap_used)] // Helpers unwrap as the tests do.

mod common;

use std::sync::Arc;

use common::Host;
use jackfield_driver::{Context, Gateway, Guard, Operation, Phase, SandboxInterface, grants::Grants};
use jackfield_kernel::{
    Ifindex, Kernel, LinkAt, Make, Place, Request,
    plan::{BridgeAttributes, Entry, FirewallRule, LinkKind, NewLink, Rate, SysctlTable},
};
use jackfield_model::{ErrorCode, Family, IpNetwork, LinkName, MacAddr, NetworkId, NetworkSpec, Options, Pool};

/// A bridge of the host's own, which is down and has an address.
const FOREIGN: u32 = 7;

fn foreign_bridge(host: &Host) -> LinkName {
    let index = Ifindex::new(FOREIGN).unwrap();
    let name: LinkName = "br0".parse().unwrap();
    let link = NewLink {
        at: LinkAt {
            place: Place::Realm,
            index,
        },
        name: name.clone(),
        mac: MacAddr::random(),
        mtu: None,
        kind: LinkKind::Bridge(BridgeAttributes::default()),
    };
    let requests = [
        Request::CreateLink {
            link: Box::new(link),
            controller: None,
            group: 0,
            sandbox: None,
        },
        Request::AddAddress {
            index,
            address: "10.9.0.1/24".parse().unwrap(),
        },
    ];
    for answer in host.kernel.send(host.realm.namespace(), &requests).unwrap() {
        answer.unwrap();
    }
    name
}

/// A network with that gateway alone.
fn network_of(host: &Host, gateway: &str) -> NetworkSpec {
    let gateway: IpNetwork = gateway.parse().unwrap();
    let pool = Pool {
        subnet: IpNetwork::new(gateway.network(), gateway.prefix()).unwrap(),
        gateway: Some(gateway.ip()),
        auxiliary: Vec::new(),
    };
    NetworkSpec {
        id: NetworkId::random(),
        pools: vec![pool],
        ..host.network.as_ref().clone()
    }
}

/// What a network does with a bridge that it found.
fn lay_on(op: &mut Operation, bridge: &LinkName, address: &str) {
    let link = op.adopt_bridge(bridge).unwrap().unwrap();
    op.add_address(link, address.parse().unwrap()).unwrap();
    op.set_sysctl(link, Family::Ipv4, SysctlTable::Conf, "forwarding", "1")
        .unwrap();
    op.masquerade(address.replace(".1/", ".0/").parse().unwrap(), link)
        .unwrap();
    op.set_up(link, true).unwrap();
}

#[test]
fn an_adopted_bridge_is_as_it_was_after_the_last_network_on_it() {
    let host = Host::new();
    let name = foreign_bridge(&host);
    let before = host.dump();
    for first in [0, 1] {
        let mut operations = Vec::new();
        for address in ["10.1.0.1/24", "10.2.0.1/24"] {
            let mut op = Operation::new(Context {
                network: Some(Arc::new(network_of(&host, address))),
                ..host.context(Phase::CreateNetwork, Grants::everything())
            });
            lay_on(&mut op, &name, address);
            let outcome = op.finish();
            assert!(outcome.links.is_empty(), "it is not the network's");
            assert_eq!(outcome.parents.values().collect::<Vec<_>>(), [&name]);
            operations.push(host.apply(&outcome));
        }
        host.realm.release(&operations[first], vec![]).unwrap();
        let between = host.dump();
        let link = between.links.iter().find(|l| l.name == name).unwrap();
        assert!(link.up, "the other network still needs it");
        assert_eq!(between.sysctls["ipv4/conf/br0/forwarding"], "1");
        host.realm.release(&operations[1 - first], vec![]).unwrap();
        assert_eq!(host.dump(), before, "network {first} went first");
    }
}

/// Each network has rules of its own there, which go with it; the bridge's other traffic is in none of them.
#[test]
fn networks_on_an_adopted_bridge_are_walled_by_their_subnets() {
    let host = Host::new();
    let (name, from): (_, LinkName) = (foreign_bridge(&host), "up0".parse().unwrap());
    let on = |subnet: &str| {
        let mut op = Operation::new(Context {
            network: Some(Arc::new(network_of(&host, subnet))),
            ..host.context(Phase::CreateNetwork, Grants::everything())
        });
        let link = op.adopt_bridge(&name).unwrap().unwrap();
        let guard = Guard {
            ipv4: Some(Gateway::Nat),
            ipv6: Some(Gateway::Nat),
            trusted: vec![from.clone(), from.clone()],
            ..Guard::default()
        };
        for refused in [
            Guard {
                icc: false,
                ..guard.clone()
            },
            Guard {
                ipv4: Some(Gateway::Routed),
                ..guard.clone()
            },
        ] {
            let refused = op.guard(link, &refused).unwrap_err();
            assert!(refused.message.contains("bridge br0 is the host's"), "{refused}");
        }
        op.guard(link, &guard).unwrap();
        op.finish()
    };
    let outcome = on("10.1.0.1/24");
    let (link, subnet): (_, IpNetwork) = (name.clone(), "10.1.0.0/24".parse().unwrap());
    let expected = [
        FirewallRule::LaidEntry {
            link: link.clone(),
            subnet,
            entry: Entry::Published,
        },
        FirewallRule::LaidTrusted {
            link: link.clone(),
            subnet,
            from: from.clone(),
        },
        FirewallRule::Inside { subnet },
        FirewallRule::Laid { link, subnet },
    ];
    assert_eq!(outcome.plan.makes, expected.map(Make::Firewall));
    let before = host.dump();
    let both = [outcome, on("10.2.0.1/24")].map(|outcome| host.apply(&outcome));
    both.iter()
        .for_each(|operation| host.realm.release(operation, vec![]).unwrap());
    assert_eq!(host.dump(), before);
}

#[test]
fn only_a_bridge_of_the_hosts_is_adopted_and_only_with_the_grant() {
    let host = Host::new();
    let name = foreign_bridge(&host);
    let mut op = host.begin(Phase::CreateNetwork);
    let absent = op.adopt_bridge(&"br9".parse().unwrap()).unwrap();
    assert!(absent.is_none());
    let refused = op.adopt_bridge(&"up0".parse().unwrap()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert!(refused.message.contains("expected the name of a bridge"), "{refused}");
    let granted = Grants {
        adopts: false,
        ..Grants::everything()
    };
    let mut op = Operation::new(Context {
        grants: Arc::new(granted),
        ..host.context(Phase::CreateNetwork, Grants::default())
    });
    assert_eq!(op.adopt_bridge(&name).unwrap_err().code, ErrorCode::Denied);
}

#[test]
fn a_bridges_mtu_stays_when_ports_come_and_go() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &Options::new()).unwrap();
    op.set_mtu(bridge, 9000).unwrap();
    let outcome = op.finish();
    host.apply(&outcome);
    let mtu = || host.dump().links.iter().find(|l| l.kind == "bridge").unwrap().mtu;
    assert_eq!(mtu(), 9000);
    let mut op = host.after(Phase::Join, outcome.links.clone());
    let bridge = op.find_own("b").unwrap();
    assert_eq!(op.recorded_mtu(bridge).unwrap(), Some(9000));
    let (port, _) = op.create_veth("p", &Options::new()).unwrap();
    op.set_controller(port, Some(bridge)).unwrap();
    let joined = host.apply(&op.finish());
    assert_eq!(mtu(), 9000, "with a port of 1500");
    host.realm.release(&joined, vec![]).unwrap();
    assert_eq!(mtu(), 9000, "without any port");
}

#[test]
fn what_a_sandbox_sends_is_limited_in_the_sandbox_and_what_it_receives_at_the_hosts_end() {
    let (receives, sends) = (rate(1000), rate(2000));
    for limited_end in [0, 1] {
        let host = Host::new();
        let mut op = host.begin(Phase::Join);
        let (port, peer) = op.create_veth("p", &Options::new()).unwrap();
        op.set_bandwidth([port, peer][limited_end], Some(receives), Some(sends))
            .unwrap();
        op.finish_interface(peer, &interface()).unwrap();
        let limits: Vec<_> = op
            .finish()
            .plan
            .makes
            .into_iter()
            .filter_map(|make| match make {
                Make::Bandwidth { link, ingress, egress } => Some((link.place, ingress, egress)),
                _ => None,
            })
            .collect();
        assert_eq!(
            limits,
            [
                (Place::Realm, Some(receives), None),
                (Place::Sandbox, None, Some(sends))
            ]
        );
    }
}

fn rate(bytes_per_second: u64) -> Rate {
    Rate {
        bytes_per_second,
        burst_bytes: 1 << 16,
    }
}

fn interface() -> SandboxInterface {
    SandboxInterface {
        name: "eth0".parse().unwrap(),
        mac: MacAddr::random(),
        addresses: vec!["10.1.0.2/24".parse().unwrap()],
        routes: Vec::new(),
        gateways: Vec::new(),
    }
}

#[test]
fn the_host_takes_no_router_advertisements_from_the_side_of_its_sandboxes() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let silent = op.create_bridge("b", None, &Options::new()).unwrap();
    // A link too small for IPv6 has no such key, and is as deaf.
    let small = op.create_dummy("small", &Options::new()).unwrap();
    op.set_mtu(small, 1000).unwrap();
    // A driver that wants them has said so.
    let open = op.create_dummy("open", &Options::new()).unwrap();
    op.set_sysctl(open, Family::Ipv6, SysctlTable::Conf, "accept_ra", "2")
        .unwrap();
    let names = [silent, open].map(|link| op.link_name(link).unwrap());
    host.apply(&op.finish());
    let sysctls = host.dump().sysctls;
    let values = names.map(|name| sysctls[&format!("ipv6/conf/{name}/accept_ra")].clone());
    assert_eq!(values, ["0", "2"]);
}

//! What an operation records, and what becomes of it on the simulated kernel.
#![allow(clippy::unwrap_used)] // Helpers unwrap as the tests do.

mod common;

use common::{Host, code, interface, ip, net, none, options, publish};
use jackfield_driver::{LinkId, Operation, Phase, grants::Grants};
use jackfield_kernel::{
    Make, Plan, Removal,
    plan::{FirewallRule, ForwardingEntry, LinkSetting, MacvlanMode, Rate, SysctlTable},
};
use jackfield_model::{ErrorCode, Family};

/// How many makes are the driver's: without what the host adds to keep networks apart.
fn recorded(plan: &Plan) -> usize {
    let hosts = |make: &&Make| {
        matches!(
            make,
            Make::Firewall(
                FirewallRule::Member { .. }
                    | FirewallRule::Together { .. }
                    | FirewallRule::Home { .. }
                    | FirewallRule::Inside { .. },
            )
        )
    };
    plan.makes.iter().filter(|make| !hosts(make)).count()
}

#[test]
fn steps_are_taken_in_four_phases_only() {
    let host = Host::new();
    for (phase, records) in [
        (Phase::Config, false),
        (Phase::CreateNetwork, true),
        (Phase::DeleteNetwork, false),
        (Phase::CreateEndpoint, true),
        (Phase::DeleteEndpoint, false),
        (Phase::Join, true),
        (Phase::Leave, false),
        (Phase::Program, true),
        (Phase::Revoke, false),
    ] {
        let mut op = host.begin(phase);
        let made = op.create_dummy("d", &none());
        assert_eq!(made.is_ok(), records, "{phase}");
        assert!(op.state_set("key", b"value").is_ok(), "state may be written in {phase}");
        assert_eq!(op.finish().plan.is_empty(), !records, "{phase}");
    }
    assert_eq!(
        code(Operation::detached().create_dummy("d", &none())),
        ErrorCode::InvalidState
    );
}

#[test]
fn a_handle_means_nothing_once_it_was_dropped_deleted_or_is_of_another_operation() {
    let host = Host::new();
    let mut first = host.begin(Phase::Join);
    let (kept, dropped) = (
        first.create_dummy("a", &none()).unwrap(),
        first.create_dummy("b", &none()).unwrap(),
    );
    first.forget(dropped);
    assert_eq!(code(first.set_up(dropped, true)), ErrorCode::InvalidArgument);
    let again = first.find_own("b").unwrap();
    first.set_up(again, true).unwrap();
    first.delete_link(kept).unwrap();
    assert_eq!(code(first.link_name(kept)), ErrorCode::InvalidArgument);
    let mut second = host.begin(Phase::Join);
    second.create_dummy("a", &none()).unwrap();
    assert_eq!(code(second.link_name(again)), ErrorCode::InvalidArgument);
    assert_eq!(
        code(second.set_controller(LinkId(u32::MAX), None)),
        ErrorCode::InvalidArgument
    );
}

#[test]
fn links_of_others_do_not_exist_without_a_grant() {
    let host = Host::new();
    let mut nothing = Operation::new(host.context(Phase::Join, Grants::default()));
    let denied = nothing.find_link("up0").unwrap_err();
    assert_eq!(
        (denied.code, denied.message.contains(r#"parents = ["up0"]"#)),
        (ErrorCode::Denied, true)
    );
    assert_eq!(
        code(nothing.find_link("none")),
        ErrorCode::Denied,
        "the answer does not tell whether it is there"
    );
    assert_eq!(nothing.lookup_route(ip("198.51.100.1")).unwrap().0, None);

    let mut all = host.begin(Phase::Join);
    assert_eq!(code(all.find_link("none")), ErrorCode::NotFound);
    let uplink = all.find_link("up0").unwrap();
    assert_eq!(all.link_label(uplink).unwrap(), "");
    assert_eq!(all.link_addresses(uplink).unwrap(), [net("192.0.2.7/24")]);
    let (link, gateway, source) = all.lookup_route(ip("198.51.100.1")).unwrap();
    assert_eq!(all.link_name(link.unwrap()).unwrap().as_str(), "up0");
    assert_eq!((gateway, source), (Some(ip("192.0.2.1")), Some(ip("192.0.2.7"))));

    let mut other = host.begin(Phase::CreateNetwork);
    other.create_bridge("b", Some("jf-other"), &none()).unwrap();
    host.apply(&other.finish());
    assert_eq!(
        code(all.find_link("jf-other")),
        ErrorCode::NotFound,
        "another driver's link, also with every parent granted"
    );
}

#[test]
fn a_link_of_the_host_may_be_used_but_not_changed() {
    let host = Host::new();
    let mut op = host.begin(Phase::Join);
    let uplink = op.find_link("up0").unwrap();
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    op.set_up(uplink, true).unwrap();
    for (what, answer) in [
        ("down", op.set_up(uplink, false)),
        ("mtu", op.set_mtu(uplink, 1400)),
        ("mac", op.set_mac(uplink, "02:00:00:00:00:01".parse().unwrap())),
        ("controller", op.set_controller(uplink, Some(bridge))),
        (
            "bridge port",
            op.set_bridge_port(uplink, &options(&[("isolated", "on")])),
        ),
        (
            "bandwidth",
            op.set_bandwidth(
                uplink,
                Some(Rate {
                    bytes_per_second: 1,
                    burst_bytes: 1,
                }),
                None,
            ),
        ),
        ("internal", op.make_internal(uplink)),
        ("masquerade", op.masquerade(net("10.1.0.0/24"), uplink)),
        ("delete", op.delete_link(uplink)),
    ] {
        assert_eq!(code(answer), ErrorCode::Denied, "{what}");
    }
    op.add_address(uplink, net("10.1.0.1/32")).unwrap();
    op.add_neighbour(uplink, ip("10.1.0.9"), "02:00:00:00:00:09".parse().unwrap())
        .unwrap();
    op.add_route(net("10.1.0.9/32"), None, &none(), Some(uplink)).unwrap();
    op.set_sysctl(uplink, Family::Ipv4, SysctlTable::Conf, "proxy_arp", "1")
        .unwrap();
    let outcome = op.finish();
    assert_eq!(
        outcome.parents.values().map(|n| n.as_str()).collect::<Vec<_>>(),
        ["up0"]
    );
    let was = outcome.plan.makes.iter().find_map(|make| {
        if let Make::Sysctl { was, .. } = make {
            Some(was.clone())
        } else {
            None
        }
    });
    assert_eq!(
        was,
        Some(Some("0".to_owned())),
        "what to go back to is known before the kernel is touched"
    );

    let before = host.dump();
    let id = host.apply(&outcome);
    assert!(host.dump() != before);
    host.realm.release(&id, Vec::new()).unwrap();
    host.realm.quiesce();
    assert!(host.dump() == before, "all of it was taken back");
}

#[test]
fn labels_are_unique_in_the_endpoint_and_may_repeat_the_networks() {
    let host = Host::new();
    let mut network = host.begin(Phase::CreateNetwork);
    let bridge = network.create_bridge("link", None, &none()).unwrap();
    assert_eq!(code(network.create_dummy("link", &none())), ErrorCode::AlreadyExists);
    for bad in ["", "a\nb", &"x".repeat(65)] {
        assert_eq!(
            code(network.create_dummy(bad, &none())),
            ErrorCode::InvalidArgument,
            "{bad:?}"
        );
    }
    let bridge = network.index_of(bridge);
    let links = network.finish().links;
    let mut join = host.after(Phase::Join, links);
    let found = join.find_own("link").unwrap();
    assert_eq!(join.index_of(found), bridge);
    let (veth, _) = join.create_veth("link", &none()).unwrap();
    assert_eq!(
        code(join.create_dummy("link-peer", &none())),
        ErrorCode::AlreadyExists,
        "the pair's other end has that label"
    );
    let found = join.find_own("link").unwrap();
    assert_eq!(
        join.index_of(found),
        join.index_of(veth),
        "the endpoint's own comes first"
    );
    assert_eq!(join.list_links().unwrap().len(), 3);
}

#[test]
fn names_are_the_hosts_to_choose_unless_one_is_granted() {
    let host = Host::new();
    let grants = Grants {
        links: vec!["bridge".into()],
        names: vec!["br-*".into()],
        ..Grants::default()
    };
    let mut op = Operation::new(host.context(Phase::CreateNetwork, grants));
    let chosen = op.create_bridge("a", None, &none()).unwrap();
    assert!(op.link_name(chosen).unwrap().as_str().starts_with("jfb"));
    let asked = op.create_bridge("b", Some("br-lan"), &none()).unwrap();
    assert_eq!(op.link_name(asked).unwrap().as_str(), "br-lan");
    assert_eq!(
        code(op.create_bridge("c", Some("br-lan"), &none())),
        ErrorCode::AlreadyExists
    );
    assert_eq!(code(op.create_bridge("c", Some("lan"), &none())), ErrorCode::Denied);
    assert_eq!(
        code(op.create_bridge("c", Some("br-sixteen-bytes"), &none())),
        ErrorCode::InvalidArgument
    );
}

#[test]
fn limits_end_an_operation_and_what_was_refused_is_not_recorded() {
    let host = Host::new();
    let with = |change: fn(&mut Grants)| {
        let mut grants = Grants::everything();
        change(&mut grants);
        Operation::new(host.context(Phase::Join, grants))
    };
    let mut op = with(|g| g.limits.links_per_operation = 3);
    op.create_veth("a", &none()).unwrap();
    assert_eq!(code(op.create_veth("b", &none())), ErrorCode::Exhausted);
    op.create_dummy("c", &none()).unwrap();
    assert_eq!(op.finish().plan.new_links().count(), 3);

    let mut op = with(|g| g.limits.steps_per_operation = 2);
    let dummy = op.create_dummy("a", &none()).unwrap();
    op.set_up(dummy, true).unwrap();
    let full = op.add_address(dummy, net("10.1.0.1/24")).unwrap_err();
    assert_eq!(
        (full.code, full.message.contains("steps-per-operation")),
        (ErrorCode::Exhausted, true)
    );
    assert_eq!(code(op.publish(publish(80))), ErrorCode::Exhausted);
    assert_eq!(recorded(&op.finish().plan), 2);

    let mut op = with(|g| g.limits.host_calls_per_operation = 2);
    op.state_get("a").unwrap();
    op.state_get("a").unwrap();
    assert_eq!(code(op.state_get("a")), ErrorCode::Exhausted);
}

#[test]
fn the_last_word_on_a_setting_counts() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_dummy("b", &none()).unwrap();
    op.set_up(bridge, true).unwrap();
    op.set_mtu(bridge, 1400).unwrap();
    op.set_mtu(bridge, 9000).unwrap();
    op.set_up(bridge, false).unwrap();
    assert_eq!(op.link_mtu(bridge).unwrap(), 9000);
    let plan = op.finish().plan;
    assert!(
        matches!(&plan.makes[0], Make::Link(new) if new.mtu == Some(9000)),
        "folded into the creation"
    );
    let sets: Vec<_> = plan
        .makes
        .iter()
        .filter_map(|m| {
            if let Make::Set { to, .. } = m {
                Some(to.clone())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(sets, [LinkSetting::Up(false)]);
}

#[test]
fn an_existing_links_setting_is_recorded_with_what_it_was() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    op.set_up(bridge, true).unwrap();
    let outcome = op.finish();
    host.apply(&outcome);
    let before = host.dump();

    let mut op = host.after(Phase::Join, outcome.links.clone());
    let bridge = op.find_own("b").unwrap();
    op.set_up(bridge, true).unwrap();
    op.set_mtu(bridge, 1400).unwrap();
    op.set_mtu(bridge, 1300).unwrap();
    let joined = op.finish();
    let sets: Vec<_> = joined.plan.makes.iter().collect();
    assert!(
        matches!(
            sets[..],
            [Make::Set {
                to: LinkSetting::Mtu(1300),
                was: Some(LinkSetting::Mtu(1500)),
                ..
            }]
        ),
        "what is so already is no step: {sets:?}"
    );
    let id = host.apply(&joined);
    host.realm.release(&id, Vec::new()).unwrap();
    assert!(host.dump() == before, "the old value is back");

    let mut op = host.after(Phase::Join, outcome.links);
    let bridge = op.find_own("b").unwrap();
    assert_eq!(
        code(op.set_mac(bridge, "02:00:00:00:00:01".parse().unwrap())),
        ErrorCode::InvalidState,
        "it proves that the link is ours"
    );
}

#[test]
fn ports_of_an_isolated_bridge_are_isolated_whenever_they_come() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    let early = op.create_dummy("early", &none()).unwrap();
    op.set_controller(early, Some(bridge)).unwrap();
    op.isolate_ports(bridge).unwrap();
    let outcome = op.finish();
    host.apply(&outcome);
    let mut op = host.after(Phase::Join, outcome.links.clone());
    let bridge = op.find_own("b").unwrap();
    let (late, _) = op.create_veth("late", &none()).unwrap();
    op.set_controller(late, Some(bridge)).unwrap();
    op.set_bridge_port(late, &options(&[("hairpin", "on")])).unwrap();
    assert_eq!(code(op.isolate_ports(bridge)), ErrorCode::InvalidState);
    host.apply(&op.finish());
    let isolated: Vec<_> = host
        .dump()
        .links
        .iter()
        .filter_map(|l| l.bridge_port)
        .map(|p| (p.isolated, p.hairpin))
        .collect();
    assert_eq!(isolated, [(Some(true), Some(false)), (Some(true), Some(true))]);
}

#[test]
fn a_bridge_port_has_to_be_one() {
    let host = Host::new();
    let mut op = host.begin(Phase::Join);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    let (veth, peer) = op.create_veth("v", &none()).unwrap();
    assert_eq!(
        code(op.set_bridge_port(veth, &options(&[("learning", "off")]))),
        ErrorCode::InvalidState
    );
    assert_eq!(code(op.set_controller(veth, Some(peer))), ErrorCode::InvalidArgument);
    assert_eq!(
        code(op.set_controller(bridge, Some(bridge))),
        ErrorCode::InvalidArgument
    );
    op.set_controller(veth, Some(bridge)).unwrap();
    assert_eq!(
        code(op.finish_interface(veth, &interface())),
        ErrorCode::InvalidArgument,
        "a port does not leave for the sandbox"
    );
    op.set_controller(veth, None).unwrap();
    assert_eq!(
        code(op.set_bridge_port(veth, &options(&[("learning", "off")]))),
        ErrorCode::InvalidState
    );
}

#[test]
fn taking_back_what_this_plan_added_leaves_no_step() {
    let host = Host::new();
    let mut op = host.begin(Phase::Join);
    let mac = "02:00:00:00:00:09".parse().unwrap();
    let (vxlan, _) = (op.create_vxlan("x", 7, None, &none()).unwrap(), ());
    let entry = ForwardingEntry {
        mac: None,
        destination: Some(ip("192.0.2.9")),
        vni: None,
        vlan: None,
    };
    op.add_address(vxlan, net("10.1.0.1/24")).unwrap();
    op.add_neighbour(vxlan, ip("10.1.0.9"), mac).unwrap();
    op.add_proxy_neighbour(vxlan, ip("10.1.0.8")).unwrap();
    op.add_forwarding_entry(vxlan, entry.clone()).unwrap();
    op.add_route(net("10.1.0.9/32"), None, &none(), Some(vxlan)).unwrap();
    op.add_rule(Family::Ipv4, &options(&[("priority", "100"), ("table", "7")]))
        .unwrap();

    op.remove_address(vxlan, net("10.1.0.1/24")).unwrap();
    op.remove_neighbour(vxlan, ip("10.1.0.9")).unwrap();
    op.remove_proxy_neighbour(vxlan, ip("10.1.0.8")).unwrap();
    op.remove_forwarding_entry(vxlan, entry.clone()).unwrap();
    op.remove_route(net("10.1.0.9/32"), None, &none(), Some(vxlan)).unwrap();
    op.remove_rule(Family::Ipv4, &options(&[("priority", "100"), ("table", "7")]))
        .unwrap();
    assert_eq!(code(op.remove_address(vxlan, net("10.1.0.1/24"))), ErrorCode::NotFound);
    assert_eq!(code(op.remove_forwarding_entry(vxlan, entry)), ErrorCode::NotFound);

    let plan = op.finish().plan;
    assert_eq!((recorded(&plan), plan.removals.len()), (1, 0), "only the link is left");
}

#[test]
fn taking_back_what_an_earlier_operation_added_is_a_removal_but_never_of_what_is_the_hosts() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    op.add_address(bridge, net("10.1.0.1/24")).unwrap();
    let outcome = op.finish();
    host.apply(&outcome);
    let mut op = host.after(Phase::Join, outcome.links);
    let (bridge, uplink) = (op.find_own("b").unwrap(), op.find_link("up0").unwrap());
    op.remove_address(bridge, net("10.1.0.1/24")).unwrap();
    assert_eq!(
        code(op.remove_address(uplink, net("192.0.2.7/24"))),
        ErrorCode::NotFound
    );
    op.delete_link(bridge).unwrap();
    assert_eq!(code(op.link_name(bridge)), ErrorCode::InvalidArgument);
    let removals = op.finish().plan.removals;
    assert!(
        matches!(removals[..], [Removal::Address { .. }, Removal::Link { .. }]),
        "{removals:?}"
    );
}

#[test]
fn deleting_a_planned_link_takes_all_that_was_recorded_on_it() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    let (veth, peer) = op.create_veth("v", &none()).unwrap();
    op.set_controller(veth, Some(bridge)).unwrap();
    op.set_up(veth, true).unwrap();
    op.add_address(peer, net("10.1.0.1/24")).unwrap();
    op.add_route(net("10.1.0.9/32"), None, &none(), Some(peer)).unwrap();
    op.masquerade(net("10.1.0.0/24"), veth).unwrap();
    op.delete_link(peer).unwrap();
    assert_eq!(code(op.link_name(veth)), ErrorCode::InvalidArgument, "both ends go");
    let uplink = op.find_link("up0").unwrap();
    let vlan = op.create_vlan("vlan", uplink, 5, &none()).unwrap();
    op.create_macvlan("m", vlan, MacvlanMode::Bridge, &none()).unwrap();
    assert_eq!(code(op.delete_link(vlan)), ErrorCode::InUse);
    let (left, right) = op.create_veth("w", &none()).unwrap();
    op.create_macvlan("n", right, MacvlanMode::Bridge, &none()).unwrap();
    for end in [left, right] {
        assert_eq!(code(op.delete_link(end)), ErrorCode::InUse, "both ends would go");
    }
    assert_eq!(recorded(&op.finish().plan), 5);
}

#[test]
fn sysctls_that_this_kernel_lacks_are_unsupported_before_anything_is_done() {
    let host = Host::new();
    let mut op = host.begin(Phase::CreateNetwork);
    let bridge = op.create_bridge("b", None, &none()).unwrap();
    assert_eq!(
        code(op.set_sysctl(bridge, Family::Ipv4, SysctlTable::Conf, "no_such_key", "1")),
        ErrorCode::Unsupported
    );
    op.set_sysctl(bridge, Family::Ipv4, SysctlTable::Conf, "forwarding", "1")
        .unwrap();
    op.set_sysctl(bridge, Family::Ipv4, SysctlTable::Conf, "forwarding", "0")
        .unwrap();
    let values: Vec<_> = op
        .finish()
        .plan
        .makes
        .into_iter()
        .filter_map(|m| {
            if let Make::Sysctl { value, was, .. } = m {
                Some((value, was))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(values, [("0".to_owned(), None)]);
}

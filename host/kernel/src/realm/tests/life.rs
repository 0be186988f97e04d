//! Plans applied, committed, released, and their neighbours left alone.

use super::*;

fn commit(realm: &Realm, digit: char, plan: &Plan, sandbox: Option<&SandboxAt>) {
    realm
        .apply(&operation(digit), plan, sandbox)
        .unwrap()
        .commit(vec![])
        .unwrap();
}

#[test]
fn a_network_and_a_join_stand_and_after_their_release_nothing_is_left() {
    let mut world = World::new();
    let realm = world.start();
    let before = world.dumps();
    commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
    commit(&realm, 'b', &rich_join(10), Some(&world.sandbox));
    assert_eq!(world.link(OURS + 10).unwrap().controller, Some(index(OURS)));
    assert!(world.sandbox_link("eth0").unwrap().up && world.sandbox_link("lo").unwrap().up);
    realm.release(&operation('b'), vec![]).unwrap();
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(realm.quiesce());
    let after = world.dumps();
    assert_eq!(after.0, before.0);
    assert_eq!(without_loopback(after.1), without_loopback(before.1));
}

#[test]
fn leaving_makes_room_for_the_next_join_at_once_a_thousand_times() {
    let mut world = World::new();
    let realm = world.start();
    commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
    for n in 0..1000 {
        let id = OperationId::random();
        let plan = join(10 + 2 * n, 0, "eth0", "10.0.0.2/24", "10.0.0.1");
        realm
            .apply(&id, &plan, Some(&world.sandbox))
            .unwrap()
            .commit(vec![])
            .unwrap();
        let routes = world.sim.dump(&world.sandbox.namespace).unwrap().routes;
        let default = routes.iter().find(|r| r.route.destination.prefix() == 0).unwrap();
        assert_eq!(default.route.link, Some(index(OURS + 11 + 2 * n)), "round {n}");
        realm.release(&id, vec![]).unwrap();
    }
    assert!(realm.quiesce());
    assert_eq!(world.realm_dump().links.len(), 3, "loopback, uplink, bridge");
}

#[test]
fn a_bridge_that_is_released_leaves_its_name_and_address_to_the_next_one_at_once() {
    let mut world = World::new();
    let realm = world.start();
    commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
    realm.release(&operation('a'), vec![]).unwrap();
    commit(&realm, 'b', &network(1, "br0", "10.0.0.1/24"), None);
    assert!(realm.quiesce());
    assert_eq!(world.link(OURS + 1).unwrap().name, name("br0"));
    assert!(world.link(OURS).is_none());
}

#[test]
fn a_foreign_link_that_holds_the_name_or_the_index_survives_untouched() {
    for (foreign_index, foreign_name) in [(77, "jf10"), (OURS + 10, "other")] {
        let mut world = World::new();
        let realm = world.start();
        commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
        let template = world.link(UPLINK).unwrap();
        let foreign = LinkInfo {
            index: index(foreign_index),
            name: name(foreign_name),
            up: false,
            ..template
        };
        world.sim.add_link(&world.own, foreign).unwrap();
        let before = world.dumps();
        let error = realm
            .apply(&operation('b'), &rich_join(10), Some(&world.sandbox))
            .unwrap_err();
        assert!(error.errno().is_some(), "{error}");
        assert_eq!(world.dumps(), before, "{foreign_name}");
    }
}

#[test]
fn a_foreign_route_address_or_published_port_in_the_way_survives_and_the_plan_is_undone() {
    for (what, make) in [
        ("address", address(realm(UPLINK), "192.0.2.2/24")),
        ("route", via(realm(UPLINK), "0.0.0.0/0", "192.0.2.1")),
        ("port", publish(80)),
    ] {
        let mut world = World::new();
        let realm = world.start();
        commit(
            &realm,
            'a',
            &plan(vec![bridge(realm_at(), "br0"), up(realm_at()), publish(80)]),
            None,
        );
        let before = world.dumps();
        let makes = [join(10, 0, "eth0", "10.0.0.2/24", "10.0.0.1").makes, vec![make]].concat();
        realm
            .apply(&operation('b'), &plan(makes), Some(&world.sandbox))
            .unwrap_err();
        assert_eq!(world.dumps(), before, "{what}");
    }
}

fn realm_at() -> crate::LinkAt {
    crate::fixtures::realm(OURS)
}

#[test]
fn an_applied_plan_that_is_dropped_leaves_nothing_the_loopback_included() {
    let mut world = World::new();
    let realm = world.start();
    commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
    let before = world.dumps();
    let applied = realm
        .apply(&operation('b'), &rich_join(10), Some(&world.sandbox))
        .unwrap();
    assert_ne!(world.dumps(), before);
    drop(applied);
    assert_eq!(world.dumps(), before);
}

#[test]
fn the_table_is_there_as_long_as_any_operation_needs_it() {
    let mut world = World::new();
    let realm = world.start();
    commit(&realm, 'a', &plan(vec![publish(80)]), None);
    commit(&realm, 'b', &plan(vec![publish(81)]), None);
    realm.release(&operation('a'), vec![]).unwrap();
    let Make::Firewall(left) = publish(81) else {
        unreachable!()
    };
    assert_eq!(world.realm_dump().firewall, crate::nft::lines(&[left]).unwrap());
    realm.release(&operation('b'), vec![]).unwrap();
    assert!(
        world.realm_dump().firewall.is_empty(),
        "{:?}",
        world.realm_dump().firewall
    );
}

#[test]
fn two_operations_that_need_one_setting_give_it_back_with_the_second() {
    let mut world = World::new();
    let realm = world.start();
    let forwarding = |w: &World| w.realm_dump().sysctls["ipv4/conf/uplink/forwarding"].clone();
    commit(&realm, 'a', &plan(vec![forward_uplink("0")]), None);
    commit(&realm, 'b', &plan(vec![forward_uplink("1")]), None);
    realm.release(&operation('a'), vec![]).unwrap();
    assert_eq!(forwarding(&world), "1");
    realm.release(&operation('b'), vec![]).unwrap();
    assert_eq!(forwarding(&world), "0");
}

#[test]
fn a_setting_that_somebody_has_changed_since_is_not_restored() {
    let mut world = World::new();
    let realm = world.start();
    let make = Make::Set {
        link: crate::fixtures::realm(UPLINK),
        to: LinkSetting::Mtu(1450),
        was: Some(LinkSetting::Mtu(1500)),
    };
    commit(&realm, 'a', &plan(vec![make]), None);
    let theirs = crate::Request::SetLink {
        index: index(UPLINK),
        setting: LinkSetting::Mtu(1300),
    };
    world.sim.send(&world.own, &[theirs]).unwrap();
    realm.release(&operation('a'), vec![]).unwrap();
    assert_eq!(world.link(UPLINK).unwrap().mtu, 1300);
}

#[test]
fn a_link_without_an_end_in_the_realm_is_renamed_at_once_and_deleted_in_its_sandbox() {
    let mut world = World::new();
    let realm = world.start();
    let kind = LinkKind::Macvlan {
        parent: index(UPLINK),
        mode: MacvlanMode::Bridge,
    };
    let at = sandbox(OURS + 10);
    let macvlan = plan(vec![link(at, "eth0", kind), address(at, "192.0.2.50/24"), up(at)]);
    commit(&realm, 'a', &macvlan, Some(&world.sandbox));
    assert!(world.sandbox_link("eth0").is_some());
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(world.sandbox_link("eth0").is_none());
    assert!(realm.quiesce());
    assert_eq!(world.sim.dump(&world.sandbox.namespace).unwrap().links.len(), 1);
}

#[test]
fn a_sandbox_that_is_gone_needs_no_release_of_its_own() {
    let mut world = World::new();
    let realm = world.start();
    commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
    let before = world.realm_dump();
    commit(
        &realm,
        'b',
        &join(10, 0, "eth0", "10.0.0.2/24", "10.0.0.1"),
        Some(&world.sandbox),
    );
    world.sim.kill_namespace(world.sandbox.namespace.id());
    realm.release(&operation('b'), vec![]).unwrap();
    assert!(realm.quiesce());
    assert_eq!(world.realm_dump(), before);
}

#[test]
fn another_namespace_at_the_same_path_is_not_taken_for_the_sandbox() {
    let mut world = World::new();
    let realm = world.start();
    let kind = LinkKind::Macvlan {
        parent: index(UPLINK),
        mode: MacvlanMode::Bridge,
    };
    commit(
        &realm,
        'a',
        &plan(vec![link(sandbox(OURS + 10), "eth0", kind)]),
        Some(&world.sandbox),
    );
    world.sim.kill_namespace(world.sandbox.namespace.id());
    let other = pinned(&*world.sim, Path::new("/run/netns/one"));
    let template = world.link(UPLINK).unwrap();
    let lookalike = LinkInfo {
        index: index(OURS + 10),
        name: name("eth0"),
        kind: "macvlan".into(),
        mac: Some(mac(OURS + 10)),
        ..template
    };
    world.sim.add_link(&other.namespace, lookalike).unwrap();
    let before = world.sim.dump(&other.namespace).unwrap();
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(realm.quiesce());
    assert_eq!(world.sim.dump(&other.namespace).unwrap(), before);
}

#[test]
fn a_foreign_sandboxes_pair_goes_by_the_realms_end_alone() {
    let mut world = World::new();
    let realm = world.start();
    let (host, moved) = (crate::fixtures::realm(OURS + 10), crate::fixtures::realm(OURS + 11));
    commit(
        &realm,
        'a',
        &plan(vec![veth(host, "host", moved, "tmp"), up(host)]),
        None,
    );
    let away = crate::Request::RenameLink {
        index: index(OURS + 11),
        name: name("theirs"),
    };
    world.sim.send(&world.own, &[away]).unwrap();
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(realm.quiesce());
    assert_eq!(world.realm_dump().links.len(), 2);
}

#[test]
fn releasing_is_idempotent_and_an_unknown_operation_is_done_already() {
    let mut world = World::new();
    let realm = world.start();
    commit(&realm, 'a', &network(0, "br0", "10.0.0.1/24"), None);
    for _ in 0..3 {
        realm.release(&operation('a'), vec![]).unwrap();
    }
    assert!(realm.quiesce());
    let note = Note {
        key: "k".into(),
        value: Fact::of(&1).ok(),
    };
    realm.release(&operation('a'), vec![note]).unwrap();
    drop(realm);
    let (_journal, replayed) = Journal::open_for_boot(world.dir.path(), "boot").unwrap();
    assert!(replayed.operations.is_empty());
    assert_eq!(replayed.notes["k"].read::<u32>().unwrap(), 1);
}

#[test]
fn removals_run_after_the_commit_and_a_missing_object_is_a_removed_one() {
    let mut world = World::new();
    let realm = world.start();
    let route = Route::connected("198.51.100.0/24".parse().unwrap(), index(UPLINK));
    let make = Make::Route {
        place: crate::Place::Realm,
        route: route.clone(),
    };
    commit(&realm, 'a', &plan(vec![make]), None);
    let removal = Plan {
        makes: vec![],
        removals: vec![crate::Removal::Route {
            place: crate::Place::Realm,
            route,
        }],
    };
    let routes = world.realm_dump().routes.len();
    let applied = realm.apply(&operation('b'), &removal, None).unwrap();
    assert_eq!(
        world.realm_dump().routes.len(),
        routes,
        "nothing is removed before the commit"
    );
    applied.commit(vec![]).unwrap();
    assert_eq!(world.realm_dump().routes.len(), routes - 1);
    commit(&realm, 'c', &removal, None);
    assert!(realm.quiesce());
}

#[test]
fn a_plan_for_a_sandbox_without_one_and_an_id_in_use_are_refused_before_anything_is_done() {
    let mut world = World::new();
    let realm = world.start();
    let before = world.dumps();
    let error = realm
        .apply(&operation('a'), &join(10, 0, "eth0", "10.0.0.2/24", "10.0.0.1"), None)
        .unwrap_err();
    assert!(error.to_string().contains("none was given"), "{error}");
    assert_eq!(world.dumps(), before);
    commit(&realm, 'b', &network(0, "br0", "10.0.0.1/24"), None);
    assert!(realm.apply(&operation('b'), &plan(vec![]), None).is_err());
}

#[test]
fn an_index_is_never_given_away_twice_not_even_after_a_restart() {
    let mut world = World::new();
    let realm = world.start();
    let first = realm.reserve_index();
    commit(
        &realm,
        'a',
        &plan(vec![bridge(
            crate::LinkAt {
                place: crate::Place::Realm,
                index: first,
            },
            "br0",
        )]),
        None,
    );
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(realm.quiesce());
    drop(realm);
    assert!(world.start().reserve_index() > first);
}

//! A failure at every request of every plan: afterwards all is as before.

use proptest::prelude::*;

use super::*;
use crate::faulty::Fault;

/// Puts a network there on which the plans rest.
fn with_network(mut world: World) -> (World, Arc<Realm>) {
    let realm = world.start();
    realm
        .apply(&operation('a'), &network(0, "br0", "10.0.0.1/24"), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    (world, realm)
}

#[test]
fn a_failure_at_any_request_of_a_plan_takes_all_of_it_back() {
    everywhere(|new| {
        for fault in [Fault::Refused, Fault::LostBefore, Fault::LostAfter] {
            let requests = (1..).find(|n| !fails_and_leaves_nothing(with_network(new()), *n, fault));
            assert!(requests > Some(10), "{requests:?} requests in all");
        }
    });
}

/// False when there was no such request any more.
fn fails_and_leaves_nothing((world, realm): (World, Arc<Realm>), n: u64, fault: Fault) -> bool {
    let before = world.dumps();
    world.faulty.arm(n, fault);
    let (join, riders) = join_with_rider(10);
    let applied = realm.apply_with(&operation('b'), &join, &riders, Some(&world.sandbox));
    if world.faulty.disarm() {
        applied.unwrap().abort();
        assert!(realm.quiesce());
        assert_eq!(world.dumps(), before, "aborted");
        return false;
    }
    assert!(applied.is_err(), "{fault:?} at {n}");
    assert!(realm.quiesce());
    assert_eq!(world.dumps(), before, "{fault:?} at {n}");
    true
}

#[test]
fn a_failure_at_any_request_of_a_release_only_delays_it() {
    everywhere(|new| {
        for fault in [Fault::Refused, Fault::LostBefore, Fault::LostAfter] {
            for n in 1..20 {
                let (world, realm) = with_network(new());
                let before = world.dumps();
                realm
                    .apply(&operation('b'), &rich_join(10), Some(&world.sandbox))
                    .unwrap()
                    .commit(vec![])
                    .unwrap();
                world.faulty.arm(n, fault);
                realm.release(&operation('b'), vec![]).unwrap();
                assert!(realm.quiesce());
                let after = world.dumps();
                assert_eq!(after.0, before.0, "{fault:?} at {n}");
                assert_eq!(
                    without_loopback(after.1),
                    without_loopback(before.1),
                    "{fault:?} at {n}"
                );
            }
        }
    });
}

/// Steps that may stand in any order and number: some are refused by the kernel, and that is as it should be.
fn makes() -> impl Strategy<Value = Vec<Make>> {
    let at = || {
        prop_oneof![
            Just(realm(OURS)),
            Just(realm(UPLINK)),
            Just(realm(OURS + 10)),
            Just(sandbox(OURS + 11)),
            Just(sandbox(OURS + 12))
        ]
    };
    let cidr = || prop_oneof![Just("10.0.0.9/24"), Just("fd00::9/64"), Just("192.0.2.2/24")];
    let kind = LinkKind::Macvlan {
        parent: index(UPLINK),
        mode: MacvlanMode::Bridge,
    };
    let step = prop_oneof![
        3 => Just(veth(realm(OURS + 10), "jf10", sandbox(OURS + 11), "eth0")),
        1 => Just(veth(sandbox(OURS + 11), "eth0", realm(OURS + 10), "jf10")),
        2 => Just(link(sandbox(OURS + 12), "eth1", kind)),
        1 => Just(bridge(realm(OURS + 13), "br0")),
        3 => at().prop_map(up),
        3 => (at(), cidr()).prop_map(|(at, cidr)| address(at, cidr)),
        2 => at().prop_map(|at| connected(at, "198.51.100.0/24")),
        2 => at().prop_map(|at| via(at, "0.0.0.0/0", "10.0.0.1")),
        2 => at().prop_map(|at| set(at, LinkSetting::Controller(Some(index(OURS))))),
        1 => at().prop_map(|at| Make::ProxyNeighbour { link: at, address: "192.0.2.78".parse().unwrap() }),
        1 => at().prop_map(|at| Make::Neighbour { link: at, address: "10.0.0.77".parse().unwrap(), mac: mac(9) }),
        1 => Just(forward_uplink("0")),
        1 => Just(Make::Set { link: realm(UPLINK), to: LinkSetting::Mtu(1450), was: Some(LinkSetting::Mtu(1500)) }),
        1 => Just(masquerade("10.0.0.0/24")),
        1 => (80u16..83).prop_map(publish),
    ];
    prop::collection::vec(step, 0..14)
}

/// The value before of what was there before is in a plan; drivers' operations see to that.
fn is_recorded(make: &Make) -> bool {
    let restless = |at: &crate::LinkAt| *at == realm(OURS) || *at == realm(UPLINK);
    !matches!(make, Make::Set { link, was: None, .. } if restless(link))
}

/// A step only once: drivers' operations refuse the second, and its `was` would be the first one's value.
fn without_repetition(makes: Vec<Make>) -> Vec<Make> {
    let mut seen: Vec<Make> = vec![];
    for make in makes.into_iter().filter(is_recorded) {
        if !seen.contains(&make) {
            seen.push(make);
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_plan_with_any_fault_is_there_whole_or_not_at_all(makes in makes(), at in 1u64..40, kind in 0..4) {
        let plan = plan(without_repetition(makes));
        let (world, realm) = with_network(World::new());
        let before = world.dumps();
        if let Some(fault) = [Fault::Refused, Fault::LostBefore, Fault::LostAfter].get(kind as usize) {
            world.faulty.arm(at, *fault);
        }
        let applied = realm.apply(&operation('b'), &plan, Some(&world.sandbox));
        world.faulty.disarm();
        match applied {
            Err(_) => {
                prop_assert!(realm.quiesce());
                prop_assert_eq!(world.dumps(), before);
            }
            Ok(applied) => {
                applied.commit(vec![]).unwrap();
                realm.release(&operation('b'), vec![]).unwrap();
                prop_assert!(realm.quiesce());
                let after = world.dumps();
                prop_assert_eq!(after.0, before.0);
                prop_assert_eq!(without_loopback(after.1), without_loopback(before.1));
            }
        }
    }
}

//! The host dies at every boundary of its journal and at every request, starts again, and is before or after, never between.

use super::*;
use crate::faulty::{CrashAtRecord, Fault};

/// What a host does in its life. It goes on after the kernel has died to it, as threads of a killed process do not: so it reaches nothing.
fn live(realm: &Realm, world: &World) {
    let (join, riders) = join_with_rider(10);
    let steps: [(char, Plan, &[Rider], Option<&SandboxAt>); 2] = [
        ('a', network(0, "br0", "10.0.0.1/24"), &[], None),
        ('b', join, &riders, Some(&world.sandbox)),
    ];
    for (digit, plan, riders, sandbox) in &steps {
        let Ok(applied) = realm.apply_with(&operation(*digit), plan, riders, *sandbox) else {
            return;
        };
        if applied
            .commit(vec![Note {
                key: digit.to_string(),
                value: Fact::of(&true).ok(),
            }])
            .is_err()
        {
            return;
        }
    }
    if realm.release(&operation('c'), Vec::new()).is_ok()
        && realm
            .release(
                &operation('b'),
                vec![Note {
                    key: "b".into(),
                    value: None,
                }],
            )
            .is_ok()
    {
        while !world.faulty.is_dead() && !realm.core.queue.drained(Duration::from_millis(5)) {}
    }
}

type State = (Dump, Option<Dump>);

/// The states in which nothing is between.
fn good_states(mut world: World) -> Vec<State> {
    let nothing = world.dumps();
    let realm = world.start();
    realm
        .apply(&operation('a'), &network(0, "br0", "10.0.0.1/24"), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    let network = world.dumps();
    let (join, riders) = join_with_rider(10);
    realm
        .apply_with(&operation('b'), &join, &riders, Some(&world.sandbox))
        .unwrap()
        .commit(vec![])
        .unwrap();
    let joined = world.dumps();
    realm.release(&operation('c'), vec![]).unwrap();
    let without_rider = world.dumps();
    assert_ne!(without_rider, joined);
    realm.release(&operation('b'), vec![]).unwrap();
    assert!(realm.quiesce());
    vec![nothing, network, joined, without_rider, world.dumps()]
}

/// What the notes say must be what the kernel has: network only, joined, or nothing.
fn check(world: &mut World, good: &[State], what: &str) {
    let realm = world.start();
    let recovered = realm.recover().unwrap();
    assert!(realm.quiesce(), "{what}");
    let dumps = world.dumps();
    assert!(good.contains(&dumps), "{what}: {dumps:#?}");
    assert!(
        recovered.iter().all(|r| r.state == RecoveredState::Standing),
        "{what}: {recovered:?}"
    );
    drop(realm);
    let (_journal, replayed) = Journal::open_for_boot(world.dir.path(), "boot").unwrap();
    let joined = replayed.notes.contains_key("b");
    assert_eq!(joined, world.link(OURS + 10).is_some(), "{what}");
    assert_eq!(replayed.notes.contains_key("a"), world.link(OURS).is_some(), "{what}");
}

#[test]
fn a_host_killed_at_any_boundary_of_its_journal_is_before_or_after() {
    everywhere(|new| {
        let good = good_states(new());
        for (record, before) in (1..=8).flat_map(|record| [(record, true), (record, false)]) {
            let mut world = new();
            let realm = world.start();
            realm
                .core
                .journal
                .observe(Arc::new(CrashAtRecord::new(world.faulty.clone(), record, before)));
            live(&realm, &world);
            assert!(world.faulty.is_dead(), "record {record} was never written");
            drop(realm);
            check(&mut world, &good, &format!("record {record}, before: {before}"));
        }
    });
}

/// Else ports that were to be published again after a crash would find themselves in their way.
#[test]
fn what_was_being_taken_back_when_the_host_died_is_in_nobodys_way_once_that_is_recovered() {
    everywhere(|new| {
        let mut world = new();
        let realm = world.start();
        for (digit, port) in [('a', 80), ('b', 81)] {
            let published = realm.apply(&operation(digit), &plan(vec![publish(port)]), None);
            published.unwrap().commit(vec![]).unwrap();
        }
        let before = world.realm_dump();
        let fault = CrashAtRecord::new(world.faulty.clone(), 1, false);
        realm.core.journal.observe(Arc::new(fault));
        realm.release(&operation('b'), vec![]).unwrap_err();
        drop(realm);
        let realm = world.start();
        realm.recover().unwrap();
        let again = realm.apply(&operation('c'), &plan(vec![publish(81)]), None);
        again.unwrap().commit(vec![]).unwrap();
        assert!(realm.quiesce());
        assert_eq!(world.realm_dump(), before);
    });
}

#[test]
fn a_host_killed_after_any_request_is_before_or_after() {
    everywhere(|new| {
        let good = good_states(new());
        let requests = (1..).find(|n| !dies_and_recovers(new(), *n, &good));
        assert!(requests > Some(30), "only {requests:?} requests");
    });
}

/// False when there was no such request any more.
fn dies_and_recovers(mut world: World, n: u64, good: &[State]) -> bool {
    let realm = world.start();
    // A journal that is written to by nobody any more, as it is once the process is dead.
    realm
        .core
        .journal
        .observe(Arc::new(CrashAtRecord::new(world.faulty.clone(), u64::MAX, true)));
    world.faulty.arm(n, Fault::Dies);
    live(&realm, &world);
    let died = world.faulty.is_dead();
    drop(realm);
    check(&mut world, good, &format!("request {n}"));
    died
}

#[test]
fn a_restart_leaves_alone_what_stands_and_reports_it() {
    let mut world = World::new();
    let realm = world.start();
    realm
        .apply(&operation('a'), &network(0, "br0", "10.0.0.1/24"), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    realm
        .apply(&operation('b'), &rich_join(10), Some(&world.sandbox))
        .unwrap()
        .commit(vec![])
        .unwrap();
    let before = world.dumps();
    drop(realm);
    let realm = world.start();
    world.faulty.arm(u64::MAX, Fault::Refused);
    let recovered = realm.recover().unwrap();
    assert_eq!(world.faulty.requests(), 0, "a restart sends nothing where all is well");
    assert_eq!(
        recovered.iter().map(|r| &r.operation).collect::<Vec<_>>(),
        [&operation('a'), &operation('b')]
    );
    assert!(recovered.iter().all(|r| r.state == RecoveredState::Standing));
    assert_eq!(world.dumps(), before);
}

#[test]
fn what_is_gone_is_reported_as_lost_and_released_all_the_same() {
    let mut world = World::new();
    let before = world.dumps();
    let realm = world.start();
    realm
        .apply(&operation('a'), &network(0, "br0", "10.0.0.1/24"), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    realm
        .apply(&operation('b'), &rich_join(10), Some(&world.sandbox))
        .unwrap()
        .commit(vec![])
        .unwrap();
    drop(realm);
    world.sim.kill_namespace(world.sandbox.namespace.id());
    let realm = world.start();
    let recovered = realm.recover().unwrap();
    assert!(
        matches!(&recovered[1].state, RecoveredState::Lost(why) if why == "its veth jf10 is gone"),
        "{recovered:?}"
    );
    realm.release(&operation('b'), vec![]).unwrap();
    realm.release(&operation('a'), vec![]).unwrap();
    assert!(realm.quiesce());
    assert_eq!(world.realm_dump(), before.0);
}

#[test]
fn a_link_of_ours_that_no_operation_knows_is_collected_and_a_foreign_one_is_not() {
    let mut world = World::new();
    let template = world.link(UPLINK).unwrap();
    let place = |n: u32, text: &str, alias: Option<&str>| {
        let info = LinkInfo {
            index: index(n),
            name: name(text),
            kind: "dummy".into(),
            alias: alias.map(str::to_owned),
            ..template.clone()
        };
        world.sim.add_link(&world.own, info).unwrap();
    };
    place(OURS + 5, "orphan", Some("jackfield:0123456789ab:x"));
    place(OURS + 6, "unmarked", None);
    place(50, "named-alike", Some("jackfield:0123456789ab:y"));
    let realm = world.start();
    realm.recover().unwrap();
    assert!(realm.quiesce());
    assert_eq!(
        [OURS + 5, OURS + 6, 50].map(|n| world.link(n).is_some()),
        [false, true, true]
    );
}

#[test]
fn a_release_repeated_after_a_crash_leaves_alone_what_a_later_operation_has_made_again() {
    let mut world = World::new();
    let realm = world.start();
    let all = |link: u32| {
        vec![
            bridge(crate::fixtures::realm(OURS + link), "br1"),
            publish(80),
            address(crate::fixtures::realm(UPLINK), "192.0.2.77/32"),
            connected(crate::fixtures::realm(UPLINK), "198.51.100.0/24"),
            forward_uplink("0"),
        ]
    };
    realm
        .apply(&operation('a'), &plan(all(1)), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    // The reaper's deletions fail, so that the release is not at its end when the host is killed.
    let journal = realm.core.journal.clone();
    journal
        .append(Record::Release {
            operation: operation('a'),
            notes: vec![],
        })
        .unwrap();
    drop((journal, realm));
    let realm = world.start();
    realm.recover().unwrap();
    assert!(realm.quiesce());
    realm
        .apply(&operation('b'), &plan(all(2)), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    let before = world.dumps();
    // As if that release had not come to its end: the same operation is on record as releasing once more.
    let again = Record::Begin {
        operation: operation('a'),
        realm: realm.id(),
        sandbox: None,
        raises_loopback: false,
        plan: plan(all(1)),
    };
    for record in [
        again,
        Record::Release {
            operation: operation('a'),
            notes: vec![],
        },
    ] {
        realm.core.journal.append(record).unwrap();
    }
    drop(realm);
    let realm = world.start();
    realm.recover().unwrap();
    assert!(realm.quiesce());
    assert_eq!(world.dumps(), before);
}

//! A change of the firewall in place: it is made, or all is as it was, whenever the host dies.

use super::*;
use crate::faulty::{CrashAtRecord, Fault};

fn spread(targets: &[&str]) -> Plan {
    let of_family = |v4: bool| {
        let targets: Vec<std::net::IpAddr> = targets.iter().map(|t| t.parse().unwrap()).collect();
        targets
            .into_iter()
            .filter(move |t| t.is_ipv4() == v4)
            .collect::<Vec<_>>()
    };
    let rule = |address: &str, targets: Vec<_>| FirewallRule::Spread {
        address: address.parse().unwrap(),
        side: false,
        targets,
    };
    let rules = [rule("10.0.0.9", of_family(true)), rule("fd00::9", of_family(false))];
    let there = |rule: &FirewallRule| matches!(rule, FirewallRule::Spread { targets, .. } if !targets.is_empty());
    plan(rules.into_iter().filter(there).map(Make::Firewall).collect())
}

const BEFORE: &[&str] = &["10.0.0.2"];
const AFTER: &[&str] = &["10.0.0.2", "10.0.0.3", "fd00::2"];

fn told(says: &str) -> Vec<Note> {
    vec![Note {
        key: "service".into(),
        value: Fact::of(&says).ok(),
    }]
}

/// An operation that spreads, in a realm in which another one keeps the table.
fn spreading(world: &mut World) -> Arc<Realm> {
    let realm = world.start();
    realm
        .apply(&operation('a'), &plan(vec![publish(80)]), None)
        .unwrap()
        .commit(vec![])
        .unwrap();
    realm
        .apply(&operation('b'), &spread(BEFORE), None)
        .unwrap()
        .commit(told("before"))
        .unwrap();
    realm
}

#[test]
fn a_change_is_one_transaction_and_is_taken_back_as_it_is_now() {
    everywhere(|new| {
        let mut world = new();
        let nothing = world.realm_dump();
        let realm = spreading(&mut world);
        let before = world.realm_dump();
        world.faulty.arm(u64::MAX, Fault::Refused);
        realm.amend(&operation('b'), &spread(AFTER), told("after")).unwrap();
        assert_eq!(world.faulty.requests(), 1);
        assert_ne!(world.realm_dump(), before);
        realm.amend(&operation('b'), &spread(BEFORE), told("before")).unwrap();
        assert_eq!(world.realm_dump(), before);
        realm.amend(&operation('b'), &spread(AFTER), told("after")).unwrap();
        for digit in ['b', 'a'] {
            realm.release(&operation(digit), vec![]).unwrap();
        }
        assert!(realm.quiesce());
        assert_eq!(world.realm_dump(), nothing);
    });
}

#[test]
fn only_what_stands_and_is_of_the_firewall_alone_can_be_changed() {
    let mut world = World::new();
    let realm = spreading(&mut world);
    let before = world.realm_dump();
    let too_much = plan(vec![bridge(crate::fixtures::realm(OURS), "br0")]);
    for (digit, plan, says) in [('c', spread(AFTER), "does not stand"), ('b', too_much, "it has more")] {
        let refused = realm.amend(&operation(digit), &plan, told("after")).unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    // What the kernel refuses: an address of two services.
    let mut twice = spread(AFTER);
    twice.makes.push(publish(80));
    realm.amend(&operation('b'), &twice, told("after")).unwrap_err();
    assert_eq!(world.realm_dump(), before);
    realm.amend(&operation('b'), &spread(AFTER), told("after")).unwrap();
}

#[test]
fn a_host_killed_during_a_change_has_made_it_or_not() {
    everywhere(|new| {
        let (before, after) = {
            let mut world = new();
            let realm = spreading(&mut world);
            let before = world.realm_dump();
            realm.amend(&operation('b'), &spread(AFTER), told("after")).unwrap();
            (before, world.realm_dump())
        };
        let at_a_record = [(1, true), (1, false), (2, true), (2, false)].map(Some);
        for crash in at_a_record.into_iter().chain([None]) {
            let mut world = new();
            let realm = spreading(&mut world);
            let (record, early) = crash.unwrap_or((u64::MAX, true));
            let observer = CrashAtRecord::new(world.faulty.clone(), record, early);
            realm.core.journal.observe(Arc::new(observer));
            if crash.is_none() {
                world.faulty.arm(1, Fault::Dies);
            }
            // What it answered nobody has heard.
            let _ = realm.amend(&operation('b'), &spread(AFTER), told("after"));
            assert!(world.faulty.is_dead(), "{crash:?}");
            drop(realm);
            let realm = world.start();
            realm.recover().unwrap();
            drop(realm);
            let (_journal, replayed) = Journal::open_for_boot(world.dir.path(), "boot").unwrap();
            let says: String = replayed.notes["service"].read().unwrap();
            let expected = if says == "after" { &after } else { &before };
            assert_eq!(&world.realm_dump(), expected, "{crash:?}: {says}");
        }
    });
}

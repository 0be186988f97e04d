//! Drivers that come, are replaced while calls are under way, are kept over a restart, and go.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use jackfield_driver::{Drivers, Operation, grants::Grants};
use jackfield_model::ErrorCode;
use jackfield_wasm::Change;

use crate::guests::{Guest, Host, good, network};

fn version(version: &'static str) -> Guest {
    good("guest", version)
}

fn running(host: &Host) -> String {
    host.registry.inspect("guest").unwrap().identity.version
}

#[test]
fn a_driver_is_loaded_upgraded_rolled_back_and_unloaded() {
    let host = Host::new();
    let (one, two) = (version("1.0.0").build(), version("2.0.0").build());
    assert!(matches!(host.registry.load(&one).unwrap(), Change::Done(_)));
    assert!(matches!(host.registry.load(&one).unwrap(), Change::AlreadySo(_)));
    assert_eq!(host.registry.load(&two).unwrap_err().code, ErrorCode::AlreadyExists);
    assert_eq!(
        host.registry.rollback("guest").unwrap_err().code,
        ErrorCode::InvalidState
    );

    assert!(matches!(host.registry.upgrade("guest", &two).unwrap(), Change::Done(_)));
    assert!(matches!(
        host.registry.upgrade("guest", &two).unwrap(),
        Change::AlreadySo(_)
    ));
    assert_eq!(running(&host), "2.0.0");
    let component = host.registry.inspect("guest").unwrap().component.unwrap();
    assert_eq!(
        (component.previous.as_deref(), component.size),
        (Some("1.0.0"), two.len() as u64)
    );

    assert_eq!(host.registry.rollback("guest").unwrap().identity().version, "1.0.0");
    assert_eq!(host.registry.rollback("guest").unwrap().identity().version, "2.0.0");

    assert_eq!(
        host.registry.upgrade("nobody", &two).unwrap_err().code,
        ErrorCode::InvalidArgument
    );
    assert_eq!(
        host.registry.unload("nobody", Vec::new).unwrap_err().code,
        ErrorCode::NotFound
    );
    let error = host
        .registry
        .unload("guest", || vec!["network blue".into()])
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InUse);
    assert!(error.message.contains("used by network blue"));
    host.registry.unload("guest", Vec::new).unwrap();
    assert!(host.registry.find("guest").is_none());
    let names: Vec<_> = fs::read_dir(host.folder().join("state"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["drivers.json"], "no component is kept that nobody needs");
    assert_eq!(fs::read_dir(host.folder().join("cache")).unwrap().count(), 0);
}

#[test]
fn an_upgrade_that_fails_leaves_the_old_version_and_says_why() {
    let host = Host::new();
    host.registry.load(&version("1.0.0").build()).unwrap();
    let bad = version("2.0.0").does("config", "(unreachable)").build();
    let error = host.registry.upgrade("guest", &bad).unwrap_err();
    assert!(
        error.message.contains("guest 2.0.0 stopped in config"),
        "{}",
        error.message
    );
    let greedy = version("2.0.0").requests("[requests]\nrules = true\n").build();
    assert_eq!(
        host.registry.upgrade("guest", &greedy).unwrap_err().code,
        ErrorCode::Denied
    );
    assert_eq!(
        host.registry.upgrade("guest", &[]).unwrap_err().code,
        ErrorCode::InvalidArgument
    );
    assert_eq!(
        host.registry
            .upgrade("guest", &good("other", "1.0.0").build())
            .unwrap_err()
            .code,
        ErrorCode::InvalidArgument
    );
    assert_eq!(running(&host), "1.0.0");
    let cached = fs::read_dir(host.folder().join("cache")).unwrap().count();
    assert_eq!(cached, 1, "the code of what was refused is not kept");
    host.create_network("guest").unwrap();
    assert_eq!(running(&host.restart()), "1.0.0");
}

#[test]
fn a_call_under_way_ends_on_the_version_that_it_began_on() {
    let host = Host::new();
    host.registry.load(&version("1.0.0").build()).unwrap();
    let old = host.registry.find("guest").unwrap();
    let mut instance = old.instance().unwrap();
    instance.create_network(&mut Operation::detached(), &network()).unwrap();
    host.registry
        .upgrade(
            "guest",
            &version("2.0.0").does("delete-network", "(unreachable)").build(),
        )
        .unwrap();
    instance
        .delete_network(&mut Operation::detached(), &network().id)
        .unwrap();
    assert_eq!(old.identity().version, "1.0.0");
    assert_eq!(host.registry.find("guest").unwrap().identity().version, "2.0.0");
}

#[test]
fn no_call_fails_while_versions_change_under_them() {
    let host = Host::new();
    let builds = [version("1.0.0").build(), version("2.0.0").build()];
    host.registry.load(&builds[0]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| {
                    let mut calls = 0u32;
                    while !done.load(Ordering::Relaxed) {
                        host.create_network("guest").unwrap();
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for turn in 1..=20 {
            host.registry.upgrade("guest", &builds[turn % 2]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(callers.into_iter().map(|c| c.join().unwrap()).sum::<u32>() > 0);
    });
}

#[test]
fn drivers_are_back_after_a_restart_and_what_cannot_be_brought_back_says_why() {
    let host = Host::new();
    host.registry.load(&version("1.0.0").build()).unwrap();
    host.registry.upgrade("guest", &version("2.0.0").build()).unwrap();
    host.registry
        .load(&good("other", "1.0.0").requests("[requests]\nrules = true\n").build())
        .unwrap_err();
    *host.operator.0.lock().unwrap() = Grants {
        rules: true,
        ..Grants::default()
    };
    host.registry
        .load(&good("other", "1.0.0").requests("[requests]\nrules = true\n").build())
        .unwrap();

    let host = host.restart();
    assert_eq!(host.registry.names(), ["guest", "other"]);
    assert_eq!(running(&host), "2.0.0");
    host.create_network("guest").unwrap();
    assert_eq!(host.registry.rollback("guest").unwrap().identity().version, "1.0.0");

    *host.operator.0.lock().unwrap() = Grants::default();
    let host = host.restart();
    assert_eq!(host.registry.names(), ["guest"], "the other one lost its grants");
    let absent = host.registry.inspect("other").unwrap().absent.unwrap();
    assert!(absent.contains("rules = true"), "{absent}");
    *host.operator.0.lock().unwrap() = Grants {
        rules: true,
        ..Grants::default()
    };
    assert_eq!(
        host.restart().registry.names(),
        ["guest", "other"],
        "an absent driver is not forgotten"
    );
}

#[test]
fn an_upgrade_to_the_same_bytes_takes_changed_grants_over() {
    let host = Host::new();
    let bytes = version("1.0.0").build();
    host.registry.load(&bytes).unwrap();
    *host.operator.0.lock().unwrap() = Grants {
        rules: true,
        ..Grants::default()
    };
    assert!(matches!(
        host.registry.upgrade("guest", &bytes).unwrap(),
        Change::Done(_)
    ));
    let inspection = host.registry.inspect("guest").unwrap();
    assert!(inspection.grants.rules);
    assert_eq!(inspection.component.unwrap().previous, None, "it is no other version");
}

#[test]
fn damaged_compiled_code_is_compiled_anew() {
    let host = Host::new();
    host.registry.load(&version("1.0.0").build()).unwrap();
    let entry = fs::read_dir(host.folder().join("cache"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut code = fs::read(&entry).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 0xff;
    fs::write(&entry, code).unwrap();
    let host = host.restart();
    host.create_network("guest").unwrap();
}

//! Guests that want the host's time, memory, handles or words.

use std::time::{Duration, Instant};

use jackfield_driver::{Drivers, Operation, grants::Limits};
use jackfield_model::ErrorCode;

use crate::guests::{ANSWER, Guest, Host, good, network, with_core_instances};

const SPIN: &str = "(loop $on (br $on)) (unreachable)";

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Loads the guest, calls it once, and returns what is told.
fn told(host: &Host, guest: Guest) -> jackfield_model::Error {
    host.registry.load(&guest.build()).unwrap();
    host.create_network("guest").unwrap_err()
}

#[test]
fn a_guest_that_spins_is_stopped_at_its_deadline() {
    let host = Host::with(limits(|l| l.deadline_ms = 200));
    let guest = good("guest", "1.0.0").does("create-network", SPIN);
    let begin = Instant::now();
    let error = told(&host, guest);
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
    assert!(
        error
            .message
            .contains("guest 1.0.0 did not end create-network within 200 ms"),
        "{}",
        error.message
    );
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(host.registry.inspect("guest").unwrap().statistics.unwrap().timeouts, 1);
}

#[test]
fn a_guest_that_sleeps_in_the_host_is_stopped_at_its_deadline() {
    let host = Host::with(limits(|l| l.deadline_ms = 200));
    let guest = good("guest", "1.0.0")
        .having(
            r#"(import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $alarm (param i64) (result i32)))
               (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $sleep (param i32)))"#,
        )
        .does(
            "create-network",
            &format!("(call $sleep (call $alarm (i64.const 3600000000000))) (i32.const {ANSWER})"),
        );
    let package = "
        package test:guest;
        world guest {
            import wasi:clocks/monotonic-clock@0.2.6;
            export jackfield:driver/driver@0.1.0;
        }
        package wasi:io@0.2.6 { interface poll { resource pollable { block: func(); } } }
        package wasi:clocks@0.2.6 {
            interface monotonic-clock { use wasi:io/poll@0.2.6.{pollable}; subscribe-duration: func(when: u64) -> pollable; }
        }";
    host.registry.load(&guest.build_in(package)).unwrap();
    let error = host.create_network("guest").unwrap_err();
    assert!(
        error.message.contains("did not end create-network within 200 ms"),
        "{}",
        error.message
    );
}

#[test]
fn a_guest_that_spins_while_it_is_made_is_not_loaded() {
    let host = Host::with(limits(|l| l.deadline_ms = 200));
    let guest = good("guest", "1.0.0").having("(func $begin (loop $on (br $on))) (start $begin)");
    let error = host.registry.load(&guest.build()).unwrap_err();
    assert!(
        error.message.contains("did not end config within 200 ms"),
        "{}",
        error.message
    );
    assert!(host.registry.find("guest").is_none() && host.registry.list().is_empty());
}

#[test]
fn a_guest_gets_no_more_memory_than_it_was_granted() {
    let host = Host::with(limits(|l| l.memory_bytes = 8 << 20));
    // It grows until it may not; with more than 128 pages it would spin, and be told of its deadline instead.
    let guest = good("guest", "1.0.0").does(
        "create-network",
        "(loop $on (br_if $on (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
         (if (i32.gt_u (memory.size) (i32.const 128)) (then (loop $ever (br $ever)))) (unreachable)",
    );
    let error = told(&host, guest);
    assert_eq!(error.code, ErrorCode::Exhausted);
    assert!(
        error
            .message
            .contains("8388608 bytes (limits.memory-bytes of its grants)"),
        "{}",
        error.message
    );
}

#[test]
fn a_guest_that_begins_with_more_than_an_instance_can_have_is_not_loaded() {
    let host = Host::with(limits(|l| l.memory_bytes = 1 << 20));
    for (what, bytes, code, expected) in [
        (
            "memory",
            good("guest", "1.0.0").memory("2000").build(),
            ErrorCode::InvalidArgument,
            "131072000 bytes of memory",
        ),
        (
            "its grant",
            good("guest", "1.0.0").memory("20").build(),
            ErrorCode::Exhausted,
            "limits.memory-bytes of its grants",
        ),
        (
            "a table",
            good("guest", "1.0.0").having("(table 30000 funcref)").build(),
            ErrorCode::InvalidArgument,
            "30000 elements",
        ),
        (
            "core instances",
            with_core_instances(good("guest", "1.0.0").build(), 300),
            ErrorCode::InvalidArgument,
            "256",
        ),
    ] {
        let error = host.registry.load(&bytes).unwrap_err();
        assert_eq!(error.code, code, "{what}: {}", error.message);
        assert!(error.message.contains(expected), "{what}: {}", error.message);
    }
}

#[test]
fn a_trap_is_told_with_the_driver_its_version_the_function_and_where_it_was() {
    let host = Host::new();
    let guest = good("guest", "1.0.0")
        .having("(func $fall (unreachable))")
        .does("create-network", "(call $fall) (unreachable)");
    let error = told(&host, guest);
    assert_eq!(error.code, ErrorCode::Internal);
    assert_eq!(
        (error.driver.as_deref(), error.step.as_deref()),
        (Some("guest 1.0.0"), Some("create-network"))
    );
    assert!(
        error
            .message
            .contains("guest 1.0.0 stopped in create-network: it panicked or aborted, in fall"),
        "{}",
        error.message
    );
    assert_eq!(host.registry.inspect("guest").unwrap().statistics.unwrap().traps, 1);
}

#[test]
fn an_overflowing_stack_ends_the_guest_and_not_the_host() {
    let host = Host::new();
    let guest = good("guest", "1.0.0")
        .having("(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))")
        .does("create-network", "(call $deep (i32.const 0))");
    assert!(told(&host, guest).message.contains("its stack overflowed"));
    host.registry.load(&good("other", "1.0.0").build()).unwrap();
    host.create_network("other").unwrap();
}

#[test]
fn an_instance_is_dead_after_a_trap_and_the_next_one_is_not() {
    let host = Host::new();
    host.registry
        .load(&good("guest", "1.0.0").does("create-network", "(unreachable)").build())
        .unwrap();
    let driver = host.registry.find("guest").unwrap();
    let mut instance = driver.instance().unwrap();
    let network = network();
    assert!(instance.create_network(&mut Operation::detached(), &network).is_err());
    let error = instance
        .delete_network(&mut Operation::detached(), &network.id)
        .unwrap_err();
    assert!(
        error.message.contains("stopped in an earlier call of this operation"),
        "{}",
        error.message
    );
    driver
        .instance()
        .unwrap()
        .delete_network(&mut Operation::detached(), &network.id)
        .unwrap();
}

#[test]
fn a_guest_that_floods_the_host_with_calls_is_ended() {
    let host = Host::with(limits(|l| l.host_calls_per_operation = 1_000));
    let guest = good("guest", "1.0.0")
        .having(r#"(import "jackfield:driver/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#)
        .does(
            "create-network",
            "(loop $on (call $log (i32.const 0) (i32.const 0) (i32.const 5)) (br $on)) (unreachable)",
        );
    assert!(
        told(&host, guest)
            .message
            .contains("called the host more than 2000 times")
    );
}

#[test]
fn a_guest_that_hands_the_host_too_much_at_once_is_ended() {
    let host = Host::new();
    let guest = good("guest", "1.0.0")
        .memory("64")
        .having(r#"(import "jackfield:driver/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#)
        .does(
            "create-network",
            &format!("(call $log (i32.const 0) (i32.const 0) (i32.const 4000000)) (i32.const {ANSWER})"),
        );
    assert!(told(&host, guest).message.contains("stopped in create-network"));
}

#[test]
fn handles_cannot_be_made_up() {
    let host = Host::new();
    let guest = good("guest", "1.0.0")
        .having(r#"(import "jackfield:driver/netlink@0.1.0" "[method]link.mtu" (func $mtu (param i32) (result i32)))"#)
        .does(
            "create-network",
            &format!("(drop (call $mtu (i32.const 77))) (i32.const {ANSWER})"),
        )
        // ok, and an interface whose link is handle 77.
        .does(
            "join",
            "(i32.store8 (i32.const 516) (i32.const 1)) (i32.store (i32.const 520) (i32.const 77)) (i32.const 512)",
        );
    host.registry.load(&guest.build()).unwrap();
    let error = host.create_network("guest").unwrap_err();
    assert!(error.message.contains("unknown handle index 77"), "{}", error.message);

    let driver = host.registry.find("guest").unwrap();
    let network = network();
    let endpoint = jackfield_model::EndpointSpec {
        network: network.id.clone(),
        id: jackfield_model::EndpointId::random(),
        mac: None,
        addresses: Vec::new(),
        options: Default::default(),
    };
    let sandbox = jackfield_model::SandboxId::random();
    let spec = jackfield_model::JoinSpec {
        network,
        endpoint,
        sandbox,
        default_route: false,
        options: Default::default(),
    };
    let error = driver
        .instance()
        .unwrap()
        .join(&mut Operation::detached(), &spec)
        .unwrap_err();
    assert!(error.message.contains("unknown handle index 77"), "{}", error.message);
}

#[test]
fn what_the_host_refuses_the_guest_is_told_and_it_goes_on() {
    let host = Host::new();
    let guest = good("guest", "1.0.0")
        .having(r#"(import "jackfield:driver/state@0.1.0" "delete" (func $delete (param i32 i32 i32)))"#)
        // The answer of `delete` has the type of this function's own.
        .does(
            "create-network",
            &format!("(call $delete (i32.const 0) (i32.const 3) (i32.const {ANSWER})) (i32.const {ANSWER})"),
        );
    let error = told(&host, guest);
    assert_eq!(
        error.code,
        ErrorCode::InvalidState,
        "the word of an operation that is none: {}",
        error.message
    );
    let statistics = host.registry.inspect("guest").unwrap().statistics.unwrap();
    assert_eq!((statistics.refusals, statistics.traps), (1, 0));
}

#[test]
fn calls_of_one_driver_do_not_wait_for_those_of_another() {
    let host = Host::with(limits(|l| l.deadline_ms = 3_000));
    host.registry
        .load(&good("slow", "1.0.0").does("create-network", SPIN).build())
        .unwrap();
    host.registry.load(&good("quick", "1.0.0").build()).unwrap();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| host.create_network("slow"));
        while host.registry.find("slow").is_some() && !slow.is_finished() {
            host.create_network("quick").unwrap();
        }
        assert!(slow.join().unwrap().is_err());
    });
    assert!(host.registry.inspect("quick").unwrap().statistics.unwrap().calls > 100);
}

//! Drivers that fail, panic, disagree or are not there.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, LinkQuery, Request};
use jackfield_model::ErrorCode;

use super::fixture::*;
use crate::request::*;

fn connect(host: &Fixture) -> jackfield_model::Result<Done<EndpointInfo>> {
    host.controller()
        .connect(OWN, "blue", "box", CreateEndpoint::default(), Join::default())
}

#[test]
fn create_endpoint_and_join_share_an_instance_and_its_state() {
    let host = Fixture::new();
    host.network("blue", "scripted");
    host.sandbox("box");
    host.script.calls();
    connect(&host).unwrap();
    assert_eq!(host.script.calls(), ["create-endpoint", "join"]);
    assert_eq!(
        *host.script.seen.lock().unwrap(),
        [1],
        "join reads what create-endpoint wrote"
    );
}

#[test]
fn a_driver_that_fails_or_panics_leaves_nothing_and_is_named() {
    let host = Fixture::new();
    host.network("blue", "scripted");
    host.sandbox("box");
    let before = host.dump();
    for call in ["create-endpoint", "join"] {
        *host.script.fail_in.lock().unwrap() = Some(call);
        let error = connect(&host).unwrap_err();
        assert_eq!(
            (error.code, error.step.as_deref()),
            (ErrorCode::InvalidArgument, Some(call))
        );
        *host.script.fail_in.lock().unwrap() = None;
        *host.script.panic_in.lock().unwrap() = Some(call);
        let error = connect(&host).unwrap_err();
        assert_eq!(
            (error.code, error.driver.as_deref()),
            (ErrorCode::Internal, Some("scripted 0.1.0"))
        );
        *host.script.panic_in.lock().unwrap() = None;
    }
    assert_eq!(host.dump(), before);
    assert!(host.controller().endpoints(OWN).unwrap().is_empty());
    assert_eq!(
        connect(&host).unwrap().into_inner().addresses[0].to_string(),
        "10.20.0.6/24",
        "four were given back, and rest"
    );
    assert_eq!(
        *host.script.seen.lock().unwrap(),
        [1],
        "nothing of the failed ones was counted"
    );
}

#[test]
fn a_plan_that_the_kernel_refuses_is_undone_and_the_driver_is_told_the_opposite() {
    let host = Fixture::new();
    host.network("blue", "scripted");
    let sandbox = host.sandbox("box");
    let bridge = host.dump().links.iter().find(|l| l.kind == "bridge").unwrap().index;
    host.kernel
        .send(&host.own, &[Request::DeleteLink { index: bridge }])
        .unwrap();
    let before = host.dump();
    host.script.calls();
    assert!(connect(&host).is_err(), "its bridge is gone");
    assert_eq!(
        host.script.calls(),
        ["create-endpoint", "join", "leave", "delete-endpoint"]
    );
    assert_eq!(host.dump(), before);
    assert!(host.inside(&sandbox).links.iter().all(|l| l.name.as_str() != "net0"));
    assert!(host.kernel.link(&host.own, LinkQuery::Index(bridge)).unwrap().is_none());
}

#[test]
fn an_absent_driver_blocks_nothing_on_the_way_down_and_hears_of_it_later() {
    let mut host = Fixture::new();
    let before = host.dump();
    host.network("blue", "scripted");
    host.sandbox("box");
    connect(&host).unwrap();
    host.script.calls();
    host.script.absent.store(true, Ordering::Relaxed);
    host.controller().disconnect(OWN, "blue", "box").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
    assert!(host.script.calls().is_empty());
    // A restart in between loses no letter.
    host.restart();
    host.script.absent.store(false, Ordering::Relaxed);
    let (deadline, mut heard) = (Instant::now() + Duration::from_secs(20), Vec::new());
    while heard.len() < 3 {
        assert!(Instant::now() < deadline, "the driver never heard: {heard:?}");
        std::thread::sleep(Duration::from_millis(20));
        heard.extend(host.script.calls());
    }
    heard.sort_unstable();
    assert_eq!(heard, ["delete-endpoint", "delete-network", "leave"]);
}

#[test]
fn a_failing_driver_blocks_nothing_on_the_way_down_either() {
    let host = Fixture::new();
    let before = host.dump();
    host.network("blue", "scripted");
    host.sandbox("box");
    for call in ["leave", "delete-endpoint", "delete-network"] {
        connect(&host).unwrap();
        *host.script.panic_in.lock().unwrap() = Some(call);
        host.controller().disconnect(OWN, "blue", "box").unwrap();
    }
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn config_keys_are_kept_unless_somebody_changed_what_was_read() {
    let mut host = Fixture::new();
    let outcome = |version| jackfield_driver::Outcome {
        reads: [("k".to_owned(), version)].into(),
        writes: vec![("k".to_owned(), Some(b"v".to_vec()))],
        ..Default::default()
    };
    host.controller().commit_config("scripted", outcome(0)).unwrap();
    assert!(
        host.controller()
            .commit_config("scripted", outcome(0))
            .unwrap_err()
            .retryable
    );
    host.restart();
    assert_eq!(
        host.controller()
            .driver_state()
            .get("scripted", "k")
            .unwrap()
            .value
            .unwrap(),
        b"v"
    );
}

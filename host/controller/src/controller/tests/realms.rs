//! Callers' realms are closed when nobody is in them, and forgotten when they are gone.

use std::time::Duration;

use jackfield_kernel::{Kernel, NamespaceId};
use jackfield_model::ErrorCode;

use super::fixture::*;
use crate::request::*;

/// A realm with one network, in which somebody was.
fn used(host: &Fixture) -> (jackfield_kernel::Namespace, RealmRef) {
    let namespace = host.kernel.create_namespace().unwrap();
    let controller = host.controller();
    let realm = controller.open_realm(namespace.clone()).unwrap();
    controller.create_network(realm, network("blue", "scripted")).unwrap();
    controller.create_sandbox(realm, sandbox("box")).unwrap();
    controller
        .connect(realm, "blue", "box", CreateEndpoint::default(), Join::default())
        .unwrap();
    (namespace, realm)
}

#[test]
fn a_realm_is_closed_when_nobody_is_in_it_and_has_its_networks_again_when_it_is_opened() {
    let host = Fixture::new();
    let (namespace, realm) = used(&host);
    let controller = host.controller();
    assert_eq!(controller.close_realm(realm).unwrap_err().code, ErrorCode::InUse);
    assert_eq!(controller.close_idle_realms(Duration::ZERO), 0, "somebody is in it");
    controller.delete_sandbox(realm, "box").unwrap();
    assert_eq!(
        controller.close_idle_realms(Duration::from_secs(600)),
        0,
        "a request came just now"
    );
    let up = host.kernel.dump(&namespace).unwrap();
    assert_eq!(controller.close_idle_realms(Duration::ZERO), 1);
    assert_eq!(controller.networks(realm).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(controller.close_realm(realm).unwrap(), Done::AlreadySo(()));
    assert_eq!(controller.realms().len(), 1);
    assert_eq!(host.kernel.dump(&namespace).unwrap(), up, "closing takes nothing down");

    assert_eq!(controller.open_realm(namespace.clone()).unwrap(), realm);
    assert_eq!(controller.networks(realm).unwrap().len(), 1);
    controller.create_sandbox(realm, sandbox("box")).unwrap();
    controller
        .connect(realm, "blue", "box", CreateEndpoint::default(), Join::default())
        .unwrap();
    assert_eq!(
        controller.close_realm(OWN).unwrap_err().code,
        ErrorCode::InvalidArgument
    );
}

#[test]
fn a_realm_that_is_gone_is_forgotten_with_all_that_is_known_of_it() {
    let mut host = Fixture::new();
    let (namespace, realm) = used(&host);
    // Somebody was in it when the host ended, and the namespace goes while it is away.
    host.stop();
    host.script.calls();
    host.kernel.kill_namespace(namespace.id());
    host.start();
    assert_eq!(host.controller().forget_dead_realms().unwrap(), 1);
    assert_eq!(host.controller().forget_dead_realms().unwrap(), 0);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut told = Vec::new();
    while told.len() < 3 && std::time::Instant::now() < deadline {
        told.extend(host.script.calls());
        std::thread::yield_now();
    }
    assert_eq!(
        told,
        ["leave", "delete-endpoint", "delete-network"],
        "the driver may forget it too"
    );
    // Nothing of it comes back, whoever has its number.
    host.restart();
    let id = NamespaceId(namespace.id().0);
    assert_eq!(realm, RealmRef::Caller(id));
    let journal = &host.controller().inner.journal;
    assert!(journal.operations(id).is_empty());
    assert!(host.controller().inner.durable.load().unwrap().networks.is_empty());
    assert_eq!(host.controller().forget_dead_realms().unwrap(), 0);
}

//! After a restart, and after a reboot.

use jackfield_kernel::{Kernel, NamespaceSource, Request};
use jackfield_model::ErrorCode;

use super::fixture::*;
use crate::request::*;

#[test]
fn a_restart_changes_nothing_and_everything_can_be_taken_down_afterwards() {
    let mut host = Fixture::new();
    let before = host.dump();
    host.network("blue", "bridge");
    host.network("red", "scripted");
    let sandbox = host.sandbox("box");
    let endpoint = host.connect("blue", "box");
    host.connect("red", "box");
    let (up, inside) = (host.dump(), host.inside(&sandbox));
    let shown = |host: &Fixture| {
        let controller = host.controller();
        let json = |value: serde_json::Value| value.to_string();
        json(serde_json::json!([
            controller.networks(OWN).unwrap(),
            controller.endpoints(OWN).unwrap(),
            controller.sandboxes(OWN).unwrap(),
        ]))
    };
    let was = shown(&host);
    host.restart();
    assert_eq!(shown(&host), was);
    assert_eq!((host.dump(), host.inside(&sandbox)), (up, inside));
    let taken = CreateEndpoint {
        addresses: vec![endpoint.addresses[0].ip()],
        ..CreateEndpoint::default()
    };
    assert_eq!(
        host.controller().create_endpoint(OWN, "blue", taken).unwrap_err().code,
        ErrorCode::AlreadyExists,
        "leases are kept"
    );
    assert_eq!(
        host.connect("blue", &host.sandbox("other").name.to_string())
            .interface
            .unwrap()
            .as_str(),
        "eth0"
    );
    for name in ["box", "other"] {
        host.controller().delete_sandbox(OWN, name).unwrap();
    }
    host.controller().prune_networks(OWN).unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn a_second_host_is_refused_in_one_sentence() {
    let host = Fixture::new();
    let error = host.open().err().unwrap();
    assert_eq!(error.code, ErrorCode::InUse);
    assert!(error.message.starts_with("another jackfield host uses "), "{error}");
}

#[test]
fn after_a_reboot_networks_are_there_again_and_endpoints_are_not() {
    let mut host = Fixture::new();
    let network = host.network("blue", "bridge");
    host.sandbox("box");
    host.connect("blue", "box");
    let up = |host: &Fixture| {
        let links = host.dump().links;
        let names: Vec<_> = links
            .iter()
            .filter(|l| l.kind == "bridge")
            .map(|l| (l.name.clone(), l.mac, l.up))
            .collect();
        (names, host.dump().firewall)
    };
    let was = up(&host);
    host.reboot();
    let fresh = host.kernel.dump(&host.own).unwrap();
    host.start();
    let again = host.controller().network(OWN, "blue").unwrap();
    assert_eq!((again.id, again.state.as_str()), (network.id, "ready"));
    assert_eq!(up(&host), was, "the same bridge with the same MAC");
    assert!(host.controller().endpoints(OWN).unwrap().is_empty());
    host.sandbox("box");
    assert_eq!(host.connect("blue", "box").addresses[0].to_string(), "10.20.0.2/24");
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), fresh);
}

#[test]
fn a_link_that_vanished_is_made_again_at_the_next_start() {
    let mut host = Fixture::new();
    let before = host.dump();
    host.network("blue", "bridge");
    let bridge = host.dump().links.iter().find(|l| l.kind == "bridge").unwrap().index;
    host.stop();
    host.kernel
        .send(&host.own, &[Request::DeleteLink { index: bridge }])
        .unwrap();
    host.start();
    assert_eq!(host.controller().network(OWN, "blue").unwrap().state, "ready");
    host.sandbox("box");
    host.connect("blue", "box");
    host.controller().delete_sandbox(OWN, "box").unwrap();
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn a_sandbox_that_is_gone_is_collected_with_its_endpoints() {
    let mut host = Fixture::new();
    let before = host.dump();
    host.network("blue", "bridge");
    let adopt = |host: &Fixture, pid, name| {
        let namespace = host.kernel.create_namespace().unwrap();
        host.kernel.attach_process(pid, &namespace);
        let kind = SandboxKind::Adopted(NamespaceSource::Pid(pid));
        host.controller()
            .create_sandbox(OWN, CreateSandbox { kind, ..sandbox(name) })
            .unwrap();
        host.connect("blue", name);
        namespace.id()
    };
    let (first, second) = (adopt(&host, 100, "first"), adopt(&host, 200, "second"));
    host.kernel.kill_namespace(first);
    assert_eq!(host.controller().collect_gone(OWN).unwrap(), ["first"]);
    host.stop();
    host.kernel.kill_namespace(second);
    host.start();
    assert!(host.controller().sandboxes(OWN).unwrap().is_empty());
    assert!(host.controller().endpoints(OWN).unwrap().is_empty());
    host.controller().delete_network(OWN, "blue").unwrap();
    assert_eq!(host.dump(), before);
}

#[test]
fn a_callers_realm_is_recovered_when_it_is_opened_again() {
    let mut host = Fixture::new();
    let namespace = host.kernel.create_namespace().unwrap();
    let before = host.kernel.dump(&namespace).unwrap();
    let realm = host.controller().open_realm(namespace.clone()).unwrap();
    host.controller()
        .create_network(realm, network("blue", "bridge"))
        .unwrap();
    host.controller().create_sandbox(realm, sandbox("box")).unwrap();
    host.controller()
        .connect(realm, "blue", "box", CreateEndpoint::default(), Join::default())
        .unwrap();
    let up = host.kernel.dump(&namespace).unwrap();
    host.restart();
    assert_eq!(host.controller().networks(realm).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(host.controller().open_realm(namespace.clone()).unwrap(), realm);
    assert_eq!(host.kernel.dump(&namespace).unwrap(), up);
    assert_eq!(host.controller().endpoints(realm).unwrap().len(), 1);
    host.controller().delete_sandbox(realm, "box").unwrap();
    host.controller().delete_network(realm, "blue").unwrap();
    let place = host.controller().inner.place(realm).unwrap();
    assert!(place.realm.quiesce());
    assert_eq!(host.kernel.dump(&namespace).unwrap(), before);
}

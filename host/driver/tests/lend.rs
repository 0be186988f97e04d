//! A link that somebody else made becomes a sandbox's interface, and goes back.
#![allow(clippy::unwrap_used)] // Helpers unwrap as the tests do.

mod common;

use common::{Host, code, interface, none};
use jackfield_driver::{Operation, Phase, grants::Grants};
use jackfield_kernel::{Ifindex, LinkInfo};
use jackfield_model::{ErrorCode, LinkName};

fn name() -> LinkName {
    "plug7".parse().unwrap()
}

/// A host on which somebody made a link.
fn host() -> Host {
    let host = Host::new();
    let plugged = LinkInfo {
        index: Ifindex::new(7).unwrap(),
        name: name(),
        kind: "veth".to_owned(),
        mac: Some("02:00:00:00:00:99".parse().unwrap()),
        mtu: 1500,
        up: false,
        controller: None,
        parent: None,
        group: 0,
        alias: None,
        bridge_port: None,
        address_generation: true,
    };
    let kind = LinkInfo {
        kind: "dummy".to_owned(),
        ..plugged
    };
    host.kernel.add_link(host.realm.namespace(), kind).unwrap();
    host
}

#[test]
fn a_lent_link_is_the_sandboxs_interface_until_it_goes_back() {
    let host = host();
    let (realm, sandbox) = (host.dump(), host.sandbox_dump());
    let mut join = host.begin(Phase::Join);
    let link = join.lend_link(&name()).unwrap();
    join.finish_interface(link, &interface()).unwrap();
    let (at, called) = join.place_of(link).unwrap();
    let applied = host.apply(&join.finish());
    assert!(host.dump().links.iter().all(|l| l.name != name()));
    let inside = host.sandbox_dump();
    let found = inside.links.iter().find(|l| l.index == at.index).unwrap();
    assert_eq!(
        (&found.name, found.up, found.mac),
        (&called, true, Some(interface().mac))
    );
    assert_eq!(called.as_str(), "eth0");
    assert_eq!(inside.addresses.iter().filter(|a| a.index == at.index).count(), 2);

    host.realm
        .release_from(&applied, Vec::new(), Some(&host.sandbox))
        .unwrap();
    let mut after = host.dump();
    // It keeps the MAC that it was given: it was made for this endpoint.
    after.links.iter_mut().for_each(|l| {
        if l.name == name() {
            l.mac = realm.links.iter().find(|was| was.name == name()).unwrap().mac;
        }
    });
    assert_eq!(after.links, realm.links);
    assert_eq!(host.sandbox_dump().links.len(), sandbox.links.len());
}

#[test]
fn only_what_is_not_the_hosts_own_is_lent_and_only_with_leave() {
    let host = host();
    let mut own = host.begin(Phase::Join);
    let made = own.create_dummy("mine", &none()).unwrap();
    let mine = own.link_name(made).unwrap();
    host.apply(&own.finish());
    assert_eq!(code(host.begin(Phase::Join).lend_link(&mine)), ErrorCode::NotFound);
    let missing = "nowhere".parse().unwrap();
    assert_eq!(code(host.begin(Phase::Join).lend_link(&missing)), ErrorCode::NotFound);
    let early = host.begin(Phase::CreateEndpoint).lend_link(&name());
    assert_eq!(code(early), ErrorCode::InvalidState);
    let mut without = Operation::new(host.context(Phase::Join, Grants::default()));
    assert_eq!(code(without.lend_link(&name())), ErrorCode::Denied);
}

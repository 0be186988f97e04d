//! What the simulated kernel does that a comparison with the real one cannot show: namespaces that die, foreign objects, transactions.
// Helpers outside of a test function unwrap as the tests do: a fixture that is wrong is to fail.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use jackfield_kernel::{
    FirewallChange, Ifindex, Kernel, LinkAt, LinkQuery, Namespace, NamespaceSource, Place, Request, Simulated,
    plan::{FirewallRule, LinkKind, NewLink, VethPeer},
};
use nix::errno::Errno;

fn index(number: u32) -> Ifindex {
    Ifindex::new(number).unwrap()
}

/// A pair with one end in the realm, index 100, and the other in the sandbox, index 101.
fn pair(sandbox: &Namespace) -> Request {
    let at = |place, number| LinkAt {
        place,
        index: index(number),
    };
    let peer = VethPeer {
        at: at(Place::Sandbox, 101),
        name: "eth0".parse().unwrap(),
        mac: "02:00:00:00:01:01".parse().unwrap(),
        mtu: None,
    };
    let link = NewLink {
        at: at(Place::Realm, 100),
        name: "veth100".parse().unwrap(),
        mac: "02:00:00:00:01:00".parse().unwrap(),
        mtu: None,
        kind: LinkKind::Veth { peer },
    };
    Request::CreateLink {
        link: Box::new(link),
        controller: None,
        group: 0,
        sandbox: Some(sandbox.clone()),
    }
}

fn errnos(answers: Vec<jackfield_kernel::Result<()>>) -> Vec<Option<Errno>> {
    answers
        .into_iter()
        .map(|answer| answer.err().and_then(|error| error.errno()))
        .collect()
}

#[test]
fn a_namespace_that_dies_takes_the_other_ends_of_its_pairs_along() {
    let kernel = Simulated::new();
    let (realm, sandbox) = (kernel.create_namespace().unwrap(), kernel.create_namespace().unwrap());
    assert_eq!(errnos(kernel.send(&realm, &[pair(&sandbox)]).unwrap()), [None]);

    kernel.kill_namespace(sandbox.id());

    assert!(kernel.dump(&sandbox).is_err());
    assert!(kernel.link(&realm, LinkQuery::Index(index(100))).unwrap().is_none());
}

#[test]
fn a_namespace_is_found_by_its_pin_until_that_is_taken_away() {
    let kernel = Simulated::new();
    let namespace = kernel.create_namespace().unwrap();
    let path = Path::new("/run/netns/a");
    kernel.pin(&namespace, path).unwrap();
    assert_eq!(
        kernel.open_namespace(&NamespaceSource::Path(path.into())).unwrap(),
        namespace
    );

    kernel.unpin(path).unwrap();
    kernel.unpin(path).unwrap();

    assert!(kernel.open_namespace(&NamespaceSource::Path(path.into())).is_err());
    assert!(!kernel.is_alive(namespace.id()));
}

#[test]
fn a_pin_of_another_namespace_is_not_replaced() {
    let kernel = Simulated::new();
    let (first, second) = (kernel.create_namespace().unwrap(), kernel.create_namespace().unwrap());
    let path = Path::new("/run/netns/a");
    kernel.pin(&first, path).unwrap();
    kernel.pin(&first, path).unwrap();
    assert_eq!(kernel.pin(&second, path).unwrap_err().errno(), Some(Errno::EEXIST));
}

#[test]
fn a_batch_goes_on_after_an_error() {
    let kernel = Simulated::new();
    let realm = kernel.create_namespace().unwrap();
    let address = |text: &str| Request::AddAddress {
        index: index(1),
        address: text.parse().unwrap(),
    };
    let answers = kernel
        .send(
            &realm,
            &[address("10.0.0.1/24"), address("10.0.0.1/24"), address("10.0.0.2/24")],
        )
        .unwrap();
    assert_eq!(errnos(answers), [None, Some(Errno::EEXIST), None]);
    assert_eq!(kernel.dump(&realm).unwrap().addresses.len(), 2);
}

#[test]
fn an_uplink_reaches_the_world_by_its_gateway() {
    let kernel = Simulated::new();
    let own = kernel.open_namespace(&NamespaceSource::Own).unwrap();
    let (address, gateway) = ("192.0.2.2/24".parse().unwrap(), "192.0.2.1".parse().unwrap());
    kernel
        .add_uplink(&own, index(2), "eth0".parse().unwrap(), address, gateway)
        .unwrap();

    let way = kernel
        .lookup_route(&own, "203.0.113.9".parse().unwrap())
        .unwrap()
        .unwrap();

    assert_eq!(
        (way.link, way.gateway, way.source),
        (Some(index(2)), Some(gateway), Some(address.ip()))
    );
    let delete = kernel.send(&own, &[Request::DeleteLink { index: index(2) }]).unwrap();
    assert_eq!(
        errnos(delete),
        [Some(Errno::EOPNOTSUPP)],
        "hardware is not for deleting"
    );
}

#[test]
fn a_refused_firewall_transaction_changes_nothing() {
    let kernel = Simulated::new();
    let realm = kernel.create_namespace().unwrap();
    let before = kernel.dump(&realm).unwrap();
    let inside = || FirewallRule::Inside {
        subnet: "10.0.0.0/24".parse().unwrap(),
    };
    let twice = vec![
        FirewallChange::EnsureTable,
        FirewallChange::Add(inside()),
        FirewallChange::Add(inside()),
    ];
    let missing = vec![FirewallChange::EnsureTable, FirewallChange::Remove(inside())];
    let without_table = vec![FirewallChange::Add(inside())];

    let requests = [twice, missing, without_table].map(Request::Firewall);
    let answers = kernel.send(&realm, &requests).unwrap();

    assert_eq!(
        errnos(answers),
        [Some(Errno::EEXIST), Some(Errno::ENOENT), Some(Errno::ENOENT)]
    );
    assert_eq!(kernel.dump(&realm).unwrap(), before);
}

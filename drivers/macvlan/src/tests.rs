//! What a macvlan network makes, and whose links it may be made on.

use jackfield_sdk::ErrorCode;
use jackfield_testkit::{Endpoint, Network, TestHost};

use super::*;

const GRANTS: &str = "links = [\"macvlan\"]\nparents = [\"up*\"]";

fn host() -> TestHost<Macvlan> {
    TestHost::new(include_str!("../driver.toml"))
        .grants(GRANTS)
        .uplink("up0", "192.0.2.7/24", "192.0.2.1")
}

fn network() -> Network {
    Network::new().pool("192.0.2.0/24", "192.0.2.1").option("parent", "up0")
}

#[test]
fn an_endpoint_is_on_the_parents_network_with_its_router_for_gateway() {
    let mut host = host();
    let network = host.create_network(network().option("mode", "private")).unwrap();
    let endpoint = Endpoint::new().address("192.0.2.9/24").mac("02:00:00:00:00:09");
    let sandbox = host.connect(&network, endpoint).unwrap();
    sandbox.assert_has("link eth0 macvlan up mtu 1500");
    sandbox.assert_has("address eth0 192.0.2.9/24");
    sandbox.assert_has("route 0.0.0.0/0 via 192.0.2.1 dev eth0");
    host.disconnect(sandbox).unwrap();
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn an_internal_network_has_no_gateway() {
    let mut host = host();
    let network = host.create_network(network().internal()).unwrap();
    let sandbox = host.connect(&network, Endpoint::new().address("192.0.2.9/24")).unwrap();
    assert!(
        !sandbox.lines().iter().any(|line| line.starts_with("route 0.0.0.0/0")),
        "{:?}",
        sandbox.lines()
    );
}

#[test]
fn a_parent_that_is_not_granted_or_not_there_is_told_when_the_network_is_created() {
    for (parent, code, said) in [
        ("eth0", ErrorCode::Denied, "parents = [\"up*\", \"eth0\"]"),
        ("up1", ErrorCode::NotFound, "no link up1"),
        (
            "a name that is too long",
            ErrorCode::InvalidArgument,
            "cannot name a link",
        ),
    ] {
        let error = host()
            .create_network(Network::new().option("parent", parent))
            .unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[test]
fn options_are_checked_when_the_network_is_created() {
    for (network, said) in [
        (Network::new(), "the option parent is needed"),
        (
            network().option("mode", "brigde"),
            "expected bridge, private, vepa or passthru",
        ),
        (network().option("parnt", "up0"), "did you mean \"parent\"?"),
    ] {
        let error = host().create_network(network).unwrap_err();
        assert!(error.message.contains(said), "{error}");
    }
}

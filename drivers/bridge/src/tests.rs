//! What a bridge network makes, and that it goes again.

use jackfield_sdk::ErrorCode;
use jackfield_testkit::{Endpoint, Network, TestHost};

use super::*;

fn host() -> TestHost<Bridge> {
    TestHost::new(include_str!("../driver.toml"))
}

fn both_families() -> Network {
    Network::new()
        .pool("10.1.0.0/24", "10.1.0.1")
        .pool("fd00::/64", "fd00::1")
}

/// Elements of the sets of the host's table that are called so, in either family.
fn elements_of(host: &TestHost<Bridge>, set: &str) -> usize {
    let of_set = |line: &&String| line.starts_with("firewall") && line.contains("element") && line.contains(set);
    host.lines().iter().filter(of_set).count()
}

#[test]
fn sandboxes_are_ports_of_one_bridge_which_is_their_gateway() {
    let mut host = host();
    let network = host
        .create_network(both_families().option("bridge", "br-lan").option("mtu", "1400"))
        .unwrap();
    let first = host
        .connect(&network, Endpoint::new().address("10.1.0.2/24").address("fd00::2/64"))
        .unwrap();
    let second = host.connect(&network, Endpoint::new().address("10.1.0.3/24")).unwrap();
    for line in [
        "link bridge bridge up mtu 1400",
        "address bridge 10.1.0.1/24",
        "address bridge fd00::1/64",
        "link port veth up mtu 1400 controller bridge",
    ] {
        host.assert_has(line);
    }
    assert!(host.dump().links.iter().any(|link| link.name.as_str() == "br-lan"));
    assert_eq!(host.sysctl("bridge", "ipv4/conf/forwarding").as_deref(), Some("1"));
    for line in [
        "link eth0 veth up mtu 1400",
        "route 0.0.0.0/0 via 10.1.0.1 dev eth0",
        "route ::/0 via fd00::1 dev eth0",
    ] {
        first.assert_has(line);
    }
    second.assert_has("address eth0 10.1.0.3/24");
    host.disconnect(first).unwrap();
    host.disconnect(second).unwrap();
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn the_world_is_reached_by_masquerading_unless_that_is_turned_off_or_the_network_is_internal() {
    let masqueraded = |network: Network| {
        let mut host = host();
        host.create_network(network).unwrap();
        elements_of(&host, "masquerade")
    };
    assert!(masqueraded(both_families()) > 0);
    assert_eq!(masqueraded(both_families().option("masquerade", "no")), 0);

    let mut host = host();
    let network = host.create_network(both_families().internal()).unwrap();
    let sandbox = host.connect(&network, Endpoint::new().address("10.1.0.2/24")).unwrap();
    assert_eq!(elements_of(&host, "masquerade"), 0, "it is cut off");
    assert!(elements_of(&host, "internal") > 0, "it is cut off");
    assert!(!sandbox.lines().iter().any(|line| line.starts_with("route 0.0.0.0/0")));
    host.disconnect(sandbox).unwrap();
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn the_world_enters_in_no_family_but_by_published_ports() {
    let mut host = host();
    let network = host.create_network(both_families()).unwrap();
    let guarded = |host: &TestHost<Bridge>, set: &str| {
        let of_set = |line: &&String| line.contains(&format!("set {set} element")) && line.contains("drop");
        host.lines().iter().filter(of_set).count()
    };
    assert_eq!((guarded(&host, "entry4"), guarded(&host, "entry6")), (1, 1));
    host.delete_network(network).unwrap();
    let ipv4 = Network::new().pool("10.1.0.0/24", "10.1.0.1");
    let network = host.create_network(ipv4).unwrap();
    assert_eq!((guarded(&host, "entry4"), guarded(&host, "entry6")), (1, 0));
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn what_a_network_cannot_be_is_refused_before_anything_is_made() {
    for (network, code, said) in [
        (
            both_families().option("bridge", "br-name-too-long-x"),
            ErrorCode::InvalidArgument,
            "1 to 15",
        ),
        (
            both_families().option("bridge", "lan0"),
            ErrorCode::Denied,
            "names = [\"br-*\", \"lan0\"]",
        ),
        (
            both_families().option("mtu", "70000"),
            ErrorCode::InvalidArgument,
            "68 to 65535",
        ),
        (
            both_families().option("masquerade", "maybe"),
            ErrorCode::InvalidArgument,
            "expected yes or no",
        ),
        (
            both_families().option("masqerade", "no"),
            ErrorCode::InvalidArgument,
            "did you mean \"masquerade\"?",
        ),
    ] {
        let mut host = host();
        let error = host.create_network(network).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(said), "{error}");
        host.assert_clean();
    }
}

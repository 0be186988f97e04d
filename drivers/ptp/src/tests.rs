//! What a ptp network makes, and that it goes again.

use jackfield_sdk::ErrorCode;
use jackfield_testkit::{Endpoint, Network, TestHost};

use super::*;

fn host() -> TestHost<Ptp> {
    TestHost::new(include_str!("../driver.toml"))
}

fn both_families() -> Network {
    Network::new()
        .pool("10.1.0.0/24", "10.1.0.1")
        .pool("fd00::/64", "fd00::1")
}

#[test]
fn an_endpoint_is_routed_by_its_own_pair_in_both_families() {
    let mut host = host();
    let network = host.create_network(both_families().option("mtu", "1400")).unwrap();
    let endpoint = Endpoint::new().address("10.1.0.2/24").address("fd00::2/64");
    let sandbox = host.connect(&network, endpoint).unwrap();
    for line in [
        "link pair veth up mtu 1400",
        "address pair 10.1.0.1/32",
        "address pair fd00::1/128",
        "route 10.1.0.2/32 dev pair",
        "route fd00::2/128 dev pair",
    ] {
        host.assert_has(line);
    }
    assert_eq!(host.sysctl("pair", "ipv4/conf/forwarding").as_deref(), Some("1"));
    assert_eq!(host.sysctl("pair", "ipv6/conf/force_forwarding").as_deref(), Some("1"));
    for line in [
        "link eth0 veth up mtu 1400",
        "address eth0 10.1.0.2/24",
        "address eth0 fd00::2/64",
        "route 10.1.0.1/32 dev eth0",
        "route 10.1.0.0/25 via 10.1.0.1 dev eth0",
        "route 10.1.0.128/25 via 10.1.0.1 dev eth0",
        "route 0.0.0.0/0 via 10.1.0.1 dev eth0",
        "route fd00::/65 via fd00::1 dev eth0",
        "route fd00::8000:0:0:0/65 via fd00::1 dev eth0",
        "route ::/0 via fd00::1 dev eth0",
    ] {
        sandbox.assert_has(line);
    }
    host.disconnect(sandbox).unwrap();
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn an_internal_network_has_no_default_route() {
    let mut host = host();
    let network = host.create_network(both_families().internal()).unwrap();
    let endpoint = Endpoint::new().address("10.1.0.2/24").address("fd00::2/64");
    let sandbox = host.connect(&network, endpoint).unwrap();
    sandbox.assert_has("route 10.1.0.0/25 via 10.1.0.1 dev eth0");
    let lines = sandbox.lines();
    assert!(!lines.iter().any(|line| line.contains("/0 via")), "{lines:?}");
}

#[test]
fn the_ends_of_a_pair_know_each_other_in_ipv6() {
    let mut host = host();
    let network = host.create_network(both_families()).unwrap();
    let endpoint = Endpoint::new().address("10.1.0.2/24").address("fd00::2/64");
    let sandbox = host.connect(&network, endpoint).unwrap();
    let lines = (host.lines(), sandbox.lines());
    let of = |lines: &[String], start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(of(&lines.0, "neighbour pair fd00::2 "), "{lines:?}");
    assert!(of(&lines.1, "neighbour eth0 fd00::1 "), "{lines:?}");
}

#[test]
fn endpoints_of_one_network_stand_side_by_side_and_go_one_by_one() {
    let mut host = host();
    let network = host.create_network(both_families()).unwrap();
    let first = host.connect(&network, Endpoint::new().address("10.1.0.2/24")).unwrap();
    let before_second = host.lines();
    let second = host.connect(&network, Endpoint::new().address("10.1.0.3/24")).unwrap();
    host.disconnect(second).unwrap();
    assert_eq!(host.lines(), before_second);
    host.disconnect(first).unwrap();
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn two_addresses_of_one_subnet_share_its_gateway() {
    let mut host = host();
    let network = host.create_network(both_families()).unwrap();
    let endpoint = Endpoint::new().address("10.1.0.2/24").address("10.1.0.3/24");
    let sandbox = host.connect(&network, endpoint).unwrap();
    host.assert_has("route 10.1.0.3/32 dev pair");
    sandbox.assert_has("route 0.0.0.0/0 via 10.1.0.1 dev eth0");
}

#[test]
fn a_foreign_sandboxs_interface_is_left_to_the_runtime() {
    let mut host = host();
    let network = host.create_network(both_families()).unwrap();
    let sandbox = host
        .connect(&network, Endpoint::new().address("10.1.0.2/24").foreign())
        .unwrap();
    host.assert_has("route 10.1.0.2/32 dev pair");
    host.assert_has("link pair-peer veth down mtu 1500");
    assert_eq!(sandbox.lines(), [""; 0]);
}

#[test]
fn what_a_network_cannot_be_is_refused_before_anything_is_made() {
    for (network, said) in [
        (Network::new(), "at least one subnet"),
        (
            Network::new().pool_without_gateway("10.1.0.0/24"),
            "expected one for 10.1.0.0/24",
        ),
        (
            both_families().option("mtu", "67"),
            "the option mtu is \"67\", expected bytes, 68 to 65535",
        ),
        (both_families().option("mtu", "big"), "expected bytes"),
        (both_families().option("mtv", "1400"), "did you mean \"mtu\"?"),
    ] {
        let mut host = host();
        let error = host.create_network(network).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert!(error.message.contains(said), "{error}");
        host.assert_clean();
    }
}

#[test]
fn without_its_grants_it_is_told_which_line_is_missing() {
    let mut host = host().grants("sysctls = [\"ipv4/conf/forwarding\"]");
    let network = host.create_network(both_families()).unwrap();
    // What keeps networks apart is the host's, and is there with every network.
    let before = host.dump();
    let error = host
        .connect(&network, Endpoint::new().address("10.1.0.2/24"))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(error.message.contains("links = [\"veth\"]"), "{error}");
    assert!(host.dump() == before, "nothing is left of the join");
    host.delete_network(network).unwrap();
    host.assert_clean();
}

#[test]
fn a_subnet_has_two_halves_unless_they_are_single_addresses() {
    for (subnet, expected) in [
        ("10.1.0.0/24", &["10.1.0.0/25", "10.1.0.128/25"][..]),
        ("10.1.0.0/30", &["10.1.0.0/31", "10.1.0.2/31"]),
        ("10.1.0.0/31", &[]),
        ("10.1.0.0/32", &[]),
        ("0.0.0.0/0", &["0.0.0.0/1", "128.0.0.0/1"]),
        ("fd00::/127", &[]),
        ("::/0", &["::/1", "8000::/1"]),
    ] {
        let halves: Vec<String> = halves(subnet.parse().unwrap())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(halves, expected, "{subnet}");
    }
}

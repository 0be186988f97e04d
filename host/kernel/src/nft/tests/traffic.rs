//! Packets through the host's table: what masquerading and publishing are for must happen on the wire.

use jackfield_model::Transport as Protocol;

use super::net::*;

#[test]
fn a_subnet_is_masqueraded_on_every_link_but_its_own() {
    let Some(mut net) = Net::new() else { return };
    net.masquerade("10.1.0.0/24", "br0");
    net.masquerade("10.2.0.0/24", "p0");
    net.masquerade("fd00:1::/64", "br0");
    for (client, to, server, listen, expected) in [
        (&net.a, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000", "192.0.2.1"),
        (&net.a, "[2001:db8::2]:7000", &net.outside, "[::]:7000", "2001:db8::1"),
        (&net.c, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000", "192.0.2.1"),
        (&net.a, "10.1.0.3:7000", &net.b, "0.0.0.0:7000", "10.1.0.2"),
        (&net.a, "[fd00:1::3]:7000", &net.b, "[::]:7000", "fd00:1::2"),
        (&net.a, "10.2.0.2:7000", &net.c, "0.0.0.0:7000", "10.2.0.1"),
        (&net.host, "10.1.0.2:7000", &net.a, "0.0.0.0:7000", "10.1.0.1"),
    ] {
        assert_eq!(seen(client, to, server, listen, PATIENCE), address(expected), "to {to}");
    }
}

#[test]
fn a_published_port_is_reached_from_outside_and_from_the_host() {
    let Some(mut net) = Net::new() else { return };
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.publish(Protocol::Tcp, "[::]:8080", "[fd00:1::2]:80", 1);
    for (client, to, listen, expected) in [
        (&net.outside, "192.0.2.1:8080", "0.0.0.0:80", "192.0.2.2"),
        (&net.outside, "[2001:db8::1]:8080", "[::]:80", "2001:db8::2"),
        (&net.host, "192.0.2.1:8080", "0.0.0.0:80", "192.0.2.1"),
        (&net.host, "[2001:db8::1]:8080", "[::]:80", "2001:db8::1"),
    ] {
        assert_eq!(seen(client, to, &net.a, listen, PATIENCE), address(expected), "to {to}");
    }
    let own = seen(&net.outside, "192.0.2.1:8081", &net.host, "0.0.0.0:8081", PATIENCE);
    assert_eq!(
        own,
        address("192.0.2.2"),
        "a port that is not published is the host's own"
    );
}

#[test]
fn udp_is_published_too_and_each_protocol_by_itself() {
    let Some(mut net) = Net::new() else { return };
    net.publish(Protocol::Udp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.publish(Protocol::Udp, "[::]:8080", "[fd00:1::2]:80", 1);
    assert_eq!(
        seen_udp(&net.outside, "192.0.2.1:8080", &net.a, "0.0.0.0:80"),
        address("192.0.2.2")
    );
    assert_eq!(
        seen_udp(&net.outside, "[2001:db8::1]:8080", &net.a, "[::]:80"),
        address("2001:db8::2")
    );
    assert_eq!(
        seen(&net.outside, "192.0.2.1:8080", &net.a, "0.0.0.0:80", IMPATIENCE),
        None,
        "TCP is not published"
    );
}

#[test]
fn a_port_is_published_on_one_address_alone() {
    let Some(mut net) = Net::new() else { return };
    net.host.sh("ip addr add 192.0.2.3/24 dev wan");
    net.publish(Protocol::Tcp, "192.0.2.3:8080", "10.1.0.2:80", 1);
    assert_eq!(
        seen(&net.outside, "192.0.2.3:8080", &net.a, "0.0.0.0:80", PATIENCE),
        address("192.0.2.2")
    );
    assert_eq!(
        seen(&net.outside, "192.0.2.1:8080", &net.a, "0.0.0.0:80", IMPATIENCE),
        None
    );
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.3:80", 1);
    assert_eq!(
        seen(&net.outside, "192.0.2.3:8080", &net.a, "0.0.0.0:80", PATIENCE),
        address("192.0.2.2"),
        "it goes first"
    );
    assert_eq!(
        seen(&net.outside, "192.0.2.1:8080", &net.b, "0.0.0.0:80", PATIENCE),
        address("192.0.2.2")
    );
}

#[test]
fn each_port_of_a_range_goes_to_its_own() {
    let Some(mut net) = Net::new() else { return };
    net.publish(Protocol::Tcp, "0.0.0.0:9000", "10.1.0.2:9000", 100);
    net.publish(Protocol::Tcp, "0.0.0.0:7000", "10.1.0.2:6000", 3);
    net.publish(Protocol::Tcp, "[::]:9000", "[fd00:1::2]:9000", 100);
    for (to, listen) in [
        ("192.0.2.1:9000", "0.0.0.0:9000"),
        ("192.0.2.1:9099", "0.0.0.0:9099"),
        ("192.0.2.1:7002", "0.0.0.0:6002"),
        ("[2001:db8::1]:9050", "[::]:9050"),
    ] {
        assert!(seen(&net.outside, to, &net.a, listen, PATIENCE).is_some(), "to {to}");
    }
    assert_eq!(
        seen(&net.outside, "192.0.2.1:9100", &net.a, "0.0.0.0:9100", IMPATIENCE),
        None
    );
}

/// The endpoint would take a packet from its own address for a forgery; and a neighbour would answer the sender directly, who knows of no
/// connection to him.
fn check_hairpin(net: &mut Net) {
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.publish(Protocol::Tcp, "192.0.2.1:8081", "10.1.0.2:81", 1);
    net.publish(Protocol::Tcp, "0.0.0.0:9000", "10.1.0.2:9000", 10);
    net.publish(Protocol::Tcp, "[::]:8080", "[fd00:1::2]:80", 1);
    let itself = [
        ("192.0.2.1:8080", "0.0.0.0:80", "10.1.0.1"),
        ("192.0.2.1:8081", "0.0.0.0:81", "10.1.0.1"),
        ("192.0.2.1:9005", "0.0.0.0:9005", "10.1.0.1"),
        ("[2001:db8::1]:8080", "[::]:80", "fd00:1::1"),
    ];
    for (to, listen, expected) in itself {
        assert_eq!(seen(&net.a, to, &net.a, listen, PATIENCE), address(expected), "to {to}");
    }
    net.masquerade("10.1.0.0/24", "br0");
    net.masquerade("fd00:1::/64", "br0");
    for (to, listen, expected) in itself {
        assert_eq!(
            seen(&net.b, to, &net.a, listen, PATIENCE),
            address(expected),
            "to {to} of a neighbour"
        );
    }
    let other = seen(&net.c, "192.0.2.1:8080", &net.a, "0.0.0.0:80", PATIENCE);
    assert_eq!(other, address("10.2.0.2"), "others keep their address");
}

#[test]
fn an_endpoint_reaches_itself_and_its_neighbours_by_the_published_port() {
    let Some(mut net) = Net::new() else { return };
    net.host
        .sh("cd /proc/sys/net/bridge || exit 0; echo 0 > bridge-nf-call-iptables; echo 0 > bridge-nf-call-ip6tables");
    check_hairpin(&mut net);
}

/// Then the bridge sends what was published back by itself, without asking the routing: to the port that it came from only if that port
/// is in hairpin mode.
#[test]
fn so_it_does_where_bridged_traffic_passes_the_firewall() {
    let Some(mut net) = Net::new() else { return };
    net.host
        .sh("cd /proc/sys/net/bridge || exit 0; echo 1 > bridge-nf-call-iptables; echo 1 > bridge-nf-call-ip6tables");
    net.host.sh("ip link set pa type bridge_slave hairpin on");
    check_hairpin(&mut net);
}

#[test]
fn localhost_reaches_published_ports_where_the_link_has_route_localnet() {
    let Some(mut net) = Net::new() else { return };
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.host
        .sh("echo 1 > /proc/sys/net/ipv4/conf/br0/route_localnet; echo 1 > /proc/sys/net/ipv4/conf/wan/route_localnet");
    assert_eq!(
        seen(&net.host, "127.0.0.1:8080", &net.a, "0.0.0.0:80", PATIENCE),
        address("10.1.0.1")
    );
    net.outside.sh(
        "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 192.0.2.1 src 192.0.2.2
         echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet",
    );
    let from_outside = seen(&net.outside, "127.0.0.1:7000", &net.host, "127.0.0.1:7000", IMPATIENCE);
    assert_eq!(from_outside, None, "the host's localhost is not for others");
}

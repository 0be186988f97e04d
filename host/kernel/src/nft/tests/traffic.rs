//! Packets through the host's table: what a rule is for must happen on the wire.
//!
//! ```text
//!   outside 192.0.2.2 ---- 192.0.2.1 host 10.1.0.1 (br0) --+-- a 10.1.0.2
//!           2001:db8::2    2001:db8::1    fd00:1::1        +-- b 10.1.0.3
//!                                    10.2.0.1 (p0) ------------ c 10.2.0.2
//! ```

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use jackfield_model::{Family, PortMapping, Transport as Protocol};

use super::nodes::{NetfilterSocket, Node, has_program};
use crate::{
    FirewallChange::{self, Add, EnsureTable},
    nft::apply,
    plan::{Entry, FirewallRule},
};

/// Longer than a first packet lost to a port of a bridge that does not forward yet: TCP sends it again after a second.
const PATIENCE: Duration = Duration::from_secs(4);
/// For what must not get through: it is dropped without an answer.
const IMPATIENCE: Duration = Duration::from_millis(300);

struct Net {
    host: Node,
    outside: Node,
    a: Node,
    b: Node,
    c: Node,
    firewall: NetfilterSocket,
}

impl Net {
    /// None, said on stderr, where namespaces or `ip` are missing.
    fn new() -> Option<Self> {
        if !has_program("ip") {
            return None;
        }
        let (host, outside, a, b, c) = (Node::new()?, Node::new()?, Node::new()?, Node::new()?, Node::new()?);
        host.sh("ip link set lo up; ip link add br0 type bridge; ip link set br0 up
             ip addr add 10.1.0.1/24 dev br0; ip addr add fd00:1::1/64 dev br0 nodad
             echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        connect(
            &host,
            ("wan", "192.0.2.1/24", "2001:db8::1/64"),
            &outside,
            ("192.0.2.2/24", "2001:db8::2/64"),
        );
        connect(
            &host,
            ("p0", "10.2.0.1/24", "fd00:2::1/64"),
            &c,
            ("10.2.0.2/24", "fd00:2::2/64"),
        );
        plug(&host, "pa", &a, ("10.1.0.2/24", "fd00:1::2/64"));
        plug(&host, "pb", &b, ("10.1.0.3/24", "fd00:1::3/64"));
        for (node, v4, v6) in [
            (&a, "10.1.0.1", "fd00:1::1"),
            (&b, "10.1.0.1", "fd00:1::1"),
            (&c, "10.2.0.1", "fd00:2::1"),
        ] {
            node.sh(&format!("ip route add default via {v4}; ip route add default via {v6}"));
        }
        let mut firewall = host.netfilter();
        apply(&mut firewall, &[EnsureTable]).unwrap();
        Some(Self {
            host,
            outside,
            a,
            b,
            c,
            firewall,
        })
    }

    fn add(&mut self, rule: FirewallRule) {
        apply(&mut self.firewall, &[Add(rule)]).unwrap();
    }

    fn masquerade(&mut self, subnet: &str, link: &str) {
        self.add(FirewallRule::Masquerade {
            subnet: subnet.parse().unwrap(),
            link: link.parse().unwrap(),
        });
    }

    fn member(&mut self, link: &str) {
        self.add(FirewallRule::Member {
            link: link.parse().unwrap(),
        });
    }

    fn home(&mut self, link: &str, address: &str) {
        self.add(FirewallRule::Home {
            link: link.parse().unwrap(),
            address: address.parse().unwrap(),
        });
    }

    fn inside(&mut self, subnet: &str) {
        self.add(FirewallRule::Inside {
            subnet: subnet.parse().unwrap(),
        });
    }

    fn entry(&mut self, link: &str, family: Family, entry: Entry) {
        self.add(FirewallRule::Entry {
            link: link.parse().unwrap(),
            family,
            entry,
        });
    }

    fn open(&mut self, transport: Protocol, target: &str, count: u16) {
        let target: SocketAddr = target.parse().unwrap();
        self.add(FirewallRule::Open {
            transport,
            target: target.ip(),
            port: target.port(),
            count,
        });
    }

    /// Whether the client reaches the server there.
    fn reaches(client: &Node, to: &str, server: &Node) -> bool {
        seen(client, to, server, &everywhere(to), PATIENCE).is_some()
    }

    /// Whether it does not.
    fn barred(client: &Node, to: &str, server: &Node) -> bool {
        seen(client, to, server, &everywhere(to), IMPATIENCE).is_none()
    }

    /// Whether it is as expected.
    fn passes(client: &Node, to: &str, server: &Node, expected: bool) -> bool {
        let test = if expected { Self::reaches } else { Self::barred };
        test(client, to, server)
    }

    fn publish(&mut self, transport: Protocol, host: &str, container: &str, count: u16) {
        let (host, container): (SocketAddr, SocketAddr) = (host.parse().unwrap(), container.parse().unwrap());
        let mapping = PortMapping {
            transport,
            container_port: container.port(),
            host_address: host.ip(),
            host_port: host.port(),
            count,
        };
        self.add(FirewallRule::Publish {
            mapping,
            target: container.ip(),
        });
    }

    /// The outside knows the way to everybody, as a routed network's would.
    fn route_from_outside(&self) {
        self.outside
            .sh("ip route add 10.0.0.0/8 via 192.0.2.1; ip route add fd00::/8 via 2001:db8::1");
    }
}

/// A veth pair between the host and a node, where it is `eth0`.
fn connect(host: &Node, (link, v4, v6): (&str, &str, &str), node: &Node, addresses: (&str, &str)) {
    host.sh(&format!(
        "ip link add {link} type veth peer name eth0 netns {}; ip link set {link} up",
        node.path()
    ));
    host.sh(&format!(
        "ip addr add {v4} dev {link}; ip addr add {v6} dev {link} nodad"
    ));
    set_up(node, addresses);
}

/// The same, with the host's end a port of the bridge.
fn plug(host: &Node, link: &str, node: &Node, addresses: (&str, &str)) {
    host.sh(&format!(
        "ip link add {link} master br0 type veth peer name eth0 netns {}; ip link set {link} up",
        node.path()
    ));
    set_up(node, addresses);
}

fn set_up(node: &Node, (v4, v6): (&str, &str)) {
    node.sh(&format!(
        "ip link set lo up; ip link set eth0 up; ip addr add {v4} dev eth0; ip addr add {v6} dev eth0 nodad"
    ));
}

/// A program that another test starts at this moment holds a copy of an earlier test's listener until it has begun to run: the port is
/// free soon.
fn listener(address: &str) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Err(taken) if taken.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

/// Who the server sees when the client sends to `to`, by TCP. None when nothing gets through.
fn seen(client: &Node, to: &str, server: &Node, listen: &str, wait: Duration) -> Option<IpAddr> {
    let listener = server.run(|| listener(listen));
    let mut stream = client
        .run(|| TcpStream::connect_timeout(&to.parse().unwrap(), wait))
        .ok()?;
    let (mut accepted, peer) = listener.accept().unwrap();
    stream.write_all(b"ping").unwrap();
    let mut got = [0; 4];
    accepted.read_exact(&mut got).unwrap();
    accepted.write_all(b"pong").unwrap();
    stream.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"pong");
    Some(peer.ip())
}

/// Where a server listens for what is sent to that port.
fn everywhere(to: &str) -> String {
    let port = to.rsplit(':').next().unwrap_or_default();
    let any = if to.starts_with('[') { "[::]" } else { "0.0.0.0" };
    format!("{any}:{port}")
}

/// The same by UDP. A datagram is sent again until it is answered: the first may be lost to a bridge that does not forward yet.
fn seen_udp(client: &Node, to: &str, server: &Node, listen: &str) -> Option<IpAddr> {
    let served = server.run(|| UdpSocket::bind(listen).unwrap());
    let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let sending = client.run(|| UdpSocket::bind(any).unwrap());
    client.run(|| sending.connect(to).unwrap());
    served.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    sending.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut got = [0; 4];
    for _ in 0..16 {
        sending.send(b"ping").unwrap();
        if let Ok((_, peer)) = served.recv_from(&mut got) {
            served.send_to(b"pong", peer).unwrap();
            sending.recv(&mut got).unwrap();
            assert_eq!(&got, b"pong");
            return Some(peer.ip());
        }
    }
    None
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

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

#[test]
fn nothing_crosses_the_border_of_an_internal_network() {
    let Some(mut net) = Net::new() else { return };
    net.route_from_outside();
    let crossing = [
        (&net.a, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000"),
        (&net.outside, "10.1.0.2:7000", &net.a, "0.0.0.0:7000"),
        (&net.a, "[2001:db8::2]:7000", &net.outside, "[::]:7000"),
        (&net.a, "10.2.0.2:7000", &net.c, "0.0.0.0:7000"),
        (&net.c, "10.1.0.2:7000", &net.a, "0.0.0.0:7000"),
    ];
    for (client, to, server, listen) in crossing {
        assert!(
            seen(client, to, server, listen, PATIENCE).is_some(),
            "before, {to} is reached"
        );
    }
    let rules = [
        FirewallRule::Internal {
            link: "br0".parse().unwrap(),
        },
        FirewallRule::Inside {
            subnet: "10.1.0.0/24".parse().unwrap(),
        },
    ];
    apply(&mut net.firewall, &rules.map(Add)).unwrap();
    for (client, to, server, listen) in crossing {
        assert_eq!(
            seen(client, to, server, listen, IMPATIENCE),
            None,
            "{to} must not be reached"
        );
    }
    assert_eq!(
        seen(&net.a, "10.1.0.3:7000", &net.b, "0.0.0.0:7000", PATIENCE),
        address("10.1.0.2")
    );
    assert_eq!(
        seen(&net.a, "[fd00:1::3]:7000", &net.b, "[::]:7000", PATIENCE),
        address("fd00:1::2")
    );
    assert!(
        seen(&net.c, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000", PATIENCE).is_some(),
        "others are not concerned"
    );
}

/// As a driver without a bridge has it: each endpoint on a link of its own, all of one subnet.
#[test]
fn an_internal_network_of_several_links_is_one_network() {
    let Some(mut net) = Net::new() else { return };
    net.route_from_outside();
    for link in ["br0", "p0"] {
        net.add(FirewallRule::Internal {
            link: link.parse().unwrap(),
        });
        net.member(link);
    }
    for (link, address) in [
        ("br0", "10.1.0.2"),
        ("br0", "fd00:1::2"),
        ("p0", "10.2.0.2"),
        ("p0", "fd00:2::2"),
    ] {
        net.home(link, address);
    }
    assert_eq!(
        seen(&net.c, "10.1.0.2:7000", &net.a, "0.0.0.0:7000", IMPATIENCE),
        None,
        "two internal networks are two"
    );
    net.add(FirewallRule::Inside {
        subnet: "10.0.0.0/14".parse().unwrap(),
    });
    net.add(FirewallRule::Inside {
        subnet: "fd00::/24".parse().unwrap(),
    });
    assert_eq!(
        seen(&net.c, "10.1.0.2:7000", &net.a, "0.0.0.0:7000", PATIENCE),
        address("10.2.0.2")
    );
    assert_eq!(
        seen(&net.a, "[fd00:2::2]:7000", &net.c, "[::]:7000", PATIENCE),
        address("fd00:1::2")
    );
    assert_eq!(
        seen(&net.c, "192.0.2.2:7000", &net.outside, "0.0.0.0:7000", IMPATIENCE),
        None
    );
}

/// Two networks of one host, each with one link.
fn two_networks(net: &mut Net) {
    net.route_from_outside();
    for (link, v4, v6) in [
        ("br0", "10.1.0.0/24", "fd00:1::/64"),
        ("p0", "10.2.0.0/24", "fd00:2::/64"),
    ] {
        net.member(link);
        net.inside(v4);
        net.inside(v6);
    }
}

#[test]
fn members_of_two_networks_do_not_reach_each_other_and_reach_all_else() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    for (client, to, server) in [
        (&net.a, "10.2.0.2:7000", &net.c),
        (&net.a, "[fd00:2::2]:7000", &net.c),
        (&net.c, "10.1.0.2:7000", &net.a),
        (&net.c, "[fd00:1::2]:7000", &net.a),
    ] {
        assert!(Net::barred(client, to, server), "{to} is another network's");
    }
    for (client, to, server) in [
        (&net.a, "10.1.0.3:7000", &net.b),
        (&net.a, "[fd00:1::3]:7000", &net.b),
        (&net.a, "192.0.2.2:7000", &net.outside),
        (&net.a, "[2001:db8::2]:7000", &net.outside),
        (&net.outside, "10.1.0.2:7000", &net.a),
        (&net.outside, "[fd00:2::2]:7000", &net.c),
        (&net.host, "10.1.0.2:7000", &net.a),
    ] {
        assert!(Net::reaches(client, to, server), "{to} is reached");
    }
}

/// As with Docker's userland proxy: by the host's address a port is published for everybody.
#[test]
fn a_published_port_is_reached_from_another_network() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.publish(Protocol::Tcp, "[::]:8080", "[fd00:1::2]:80", 1);
    for (to, listen) in [("192.0.2.1:8080", "0.0.0.0:80"), ("[2001:db8::1]:8080", "[::]:80")] {
        assert!(seen(&net.c, to, &net.a, listen, PATIENCE).is_some(), "{to}");
    }
    assert!(Net::barred(&net.c, "10.1.0.2:80", &net.a), "not by its own address");
}

#[test]
fn links_of_one_network_reach_each_other_and_nobody_can_lie_about_his_network() {
    let Some(mut net) = Net::new() else { return };
    for link in ["br0", "p0"] {
        net.member(link);
    }
    net.inside("10.0.0.0/14");
    net.home("br0", "10.1.0.2");
    net.home("p0", "10.2.0.2");
    assert!(Net::reaches(&net.a, "10.2.0.2:7000", &net.c));
    assert!(Net::reaches(&net.c, "10.1.0.2:7000", &net.a));
    assert!(
        Net::barred(&net.b, "10.2.0.2:7000", &net.c),
        "its address is at home nowhere"
    );
    net.add(FirewallRule::Together {
        a: "p0".parse().unwrap(),
        b: "br0".parse().unwrap(),
    });
    assert!(
        Net::reaches(&net.b, "10.2.0.2:7000", &net.c),
        "the links belong together"
    );
    assert!(Net::reaches(&net.c, "10.1.0.3:7000", &net.b));
}

#[test]
fn each_gateway_mode_lets_in_what_it_says() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.2:80", 1);
    net.open(Protocol::Tcp, "10.1.0.2:90", 1);
    net.open(Protocol::Tcp, "[fd00:1::2]:90", 10);
    for (entry, direct, open) in [
        (Entry::Published, false, false),
        (Entry::Open, false, true),
        (Entry::Anything, true, true),
    ] {
        for family in [Family::Ipv4, Family::Ipv6] {
            net.entry("br0", family, entry);
        }
        for client in [&net.outside, &net.c] {
            assert!(Net::passes(client, "10.1.0.2:80", &net.a, direct), "{entry:?}");
            assert!(Net::passes(client, "[fd00:1::2]:80", &net.a, direct), "{entry:?}");
            assert!(Net::passes(client, "10.1.0.2:90", &net.a, open), "{entry:?}");
            assert!(Net::passes(client, "[fd00:1::2]:95", &net.a, open), "{entry:?}");
        }
        assert_eq!(
            seen(&net.outside, "192.0.2.1:8080", &net.a, "0.0.0.0:80", PATIENCE),
            address("192.0.2.2"),
            "{entry:?}: published is published"
        );
        assert!(
            Net::reaches(&net.a, "192.0.2.2:7000", &net.outside),
            "{entry:?}: the way out"
        );
        assert!(
            Net::reaches(&net.host, "10.1.0.2:7000", &net.a),
            "{entry:?}: the host itself"
        );
        for family in [Family::Ipv4, Family::Ipv6] {
            let rule = FirewallRule::Entry {
                link: "br0".parse().unwrap(),
                family,
                entry,
            };
            apply(&mut net.firewall, &[FirewallChange::Remove(rule)]).unwrap();
        }
    }
}

#[test]
fn a_trusted_link_enters_everywhere() {
    let Some(mut net) = Net::new() else { return };
    two_networks(&mut net);
    net.entry("br0", Family::Ipv4, Entry::Published);
    assert!(Net::barred(&net.outside, "10.1.0.2:7000", &net.a));
    for from in ["wan", "p0"] {
        net.add(FirewallRule::Trusted {
            link: "br0".parse().unwrap(),
            from: from.parse().unwrap(),
        });
    }
    assert!(Net::reaches(&net.outside, "10.1.0.2:7000", &net.a));
    assert!(
        Net::reaches(&net.c, "10.1.0.2:7000", &net.a),
        "another network's link, by the operator's word"
    );
    assert!(Net::barred(&net.a, "10.2.0.2:7000", &net.c), "one way");
}

/// In this state bridged traffic passes the firewall; where it does not, ports of the bridge are isolated.
#[test]
fn endpoints_of_a_closed_link_reach_each_other_by_published_ports_alone() {
    let Some(mut net) = Net::new() else { return };
    net.host
        .sh("cd /proc/sys/net/bridge || exit 0; echo 1 > bridge-nf-call-iptables; echo 1 > bridge-nf-call-ip6tables");
    net.member("br0");
    net.masquerade("10.1.0.0/24", "br0");
    net.publish(Protocol::Tcp, "0.0.0.0:8080", "10.1.0.3:80", 1);
    assert!(Net::reaches(&net.a, "10.1.0.3:7000", &net.b));
    net.add(FirewallRule::Closed {
        link: "br0".parse().unwrap(),
    });
    assert!(Net::barred(&net.a, "10.1.0.3:7000", &net.b));
    assert!(Net::barred(&net.a, "[fd00:1::3]:7000", &net.b));
    assert!(seen(&net.a, "192.0.2.1:8080", &net.b, "0.0.0.0:80", PATIENCE).is_some());
    assert!(Net::reaches(&net.a, "192.0.2.2:7000", &net.outside));
    assert!(Net::reaches(&net.host, "10.1.0.2:7000", &net.a));
}

#[test]
fn a_subnet_leaves_by_a_given_address() {
    let Some(mut net) = Net::new() else { return };
    net.host
        .sh("ip addr add 192.0.2.9/24 dev wan; ip addr add 2001:db8::9/64 dev wan nodad");
    for (subnet, source) in [("10.1.0.0/24", "192.0.2.9"), ("fd00:1::/64", "2001:db8::9")] {
        net.add(FirewallRule::MasqueradeAs {
            subnet: subnet.parse().unwrap(),
            link: "br0".parse().unwrap(),
            source: source.parse().unwrap(),
        });
    }
    for (to, server, listen, expected) in [
        ("192.0.2.2:7000", &net.outside, "0.0.0.0:7000", "192.0.2.9"),
        ("[2001:db8::2]:7000", &net.outside, "[::]:7000", "2001:db8::9"),
        ("10.1.0.3:7000", &net.b, "0.0.0.0:7000", "10.1.0.2"),
    ] {
        assert_eq!(seen(&net.a, to, server, listen, PATIENCE), address(expected), "to {to}");
    }
}

/// What Docker's FORWARD chain and firewalld's do: drop what no rule of theirs knows. An accept of ours beats neither; a rule in their tables
/// that looks at the mark does, and the mark is gone behind them.
#[test]
fn what_passes_is_marked_for_other_tables_and_nothing_else_is() {
    if !has_program("nft") {
        return;
    }
    let Some(mut net) = Net::new() else { return };
    net.host.sh("nft 'table ip theirs {
           chain forward { type filter hook forward priority 0; policy drop; meta mark & 0x08000000 != 0 accept; }
           chain behind { type filter hook postrouting priority 0; meta mark & 0x08000000 != 0 drop; }
         }'");
    net.route_from_outside();
    assert!(Net::barred(&net.a, "192.0.2.2:7000", &net.outside), "their policy");
    net.member("br0");
    net.masquerade("10.1.0.0/24", "br0");
    assert!(Net::reaches(&net.a, "192.0.2.2:7000", &net.outside), "ours passes");
    assert!(Net::barred(&net.c, "192.0.2.2:7000", &net.outside), "others do not");
}

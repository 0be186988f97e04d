//! A host, two networks and the world outside, for packets through the host's table.
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
    FirewallChange::{Add, EnsureTable},
    nft::apply,
    plan::{Entry, FirewallRule},
};

/// Longer than a first packet lost to a port of a bridge that does not forward yet: TCP sends it again after a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// For what must not get through: it is dropped without an answer.
pub(super) const IMPATIENCE: Duration = Duration::from_millis(300);

pub(super) struct Net {
    pub(super) host: Node,
    pub(super) outside: Node,
    pub(super) a: Node,
    pub(super) b: Node,
    pub(super) c: Node,
    pub(super) firewall: NetfilterSocket,
}

impl Net {
    /// None, said on stderr, where namespaces or `ip` are missing.
    pub(super) fn new() -> Option<Self> {
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

    pub(super) fn add(&mut self, rule: FirewallRule) {
        apply(&mut self.firewall, &[Add(rule)]).unwrap();
    }

    pub(super) fn masquerade(&mut self, subnet: &str, link: &str) {
        self.add(FirewallRule::Masquerade {
            subnet: subnet.parse().unwrap(),
            link: link.parse().unwrap(),
        });
    }

    pub(super) fn member(&mut self, link: &str) {
        self.add(FirewallRule::Member {
            link: link.parse().unwrap(),
        });
    }

    pub(super) fn home(&mut self, link: &str, address: &str) {
        self.add(FirewallRule::Home {
            link: link.parse().unwrap(),
            address: address.parse().unwrap(),
        });
    }

    pub(super) fn inside(&mut self, subnet: &str) {
        self.add(FirewallRule::Inside {
            subnet: subnet.parse().unwrap(),
        });
    }

    pub(super) fn entry(&mut self, link: &str, family: Family, entry: Entry) {
        self.add(FirewallRule::Entry {
            link: link.parse().unwrap(),
            family,
            entry,
        });
    }

    pub(super) fn open(&mut self, transport: Protocol, target: &str, count: u16) {
        let target: SocketAddr = target.parse().unwrap();
        self.add(FirewallRule::Open {
            transport,
            target: target.ip(),
            port: target.port(),
            count,
        });
    }

    /// Whether the client reaches the server there.
    pub(super) fn reaches(client: &Node, to: &str, server: &Node) -> bool {
        seen(client, to, server, &everywhere(to), PATIENCE).is_some()
    }

    /// Whether it does not.
    pub(super) fn barred(client: &Node, to: &str, server: &Node) -> bool {
        seen(client, to, server, &everywhere(to), IMPATIENCE).is_none()
    }

    /// Whether it is as expected.
    pub(super) fn passes(client: &Node, to: &str, server: &Node, expected: bool) -> bool {
        let test = if expected { Self::reaches } else { Self::barred };
        test(client, to, server)
    }

    pub(super) fn publish(&mut self, transport: Protocol, host: &str, container: &str, count: u16) {
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
    pub(super) fn route_from_outside(&self) {
        self.outside
            .sh("ip route add 10.0.0.0/8 via 192.0.2.1; ip route add fd00::/8 via 2001:db8::1");
    }
}

/// A veth pair between the host and a node, where it is `eth0`.
pub(super) fn connect(host: &Node, (link, v4, v6): (&str, &str, &str), node: &Node, addresses: (&str, &str)) {
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
pub(super) fn plug(host: &Node, link: &str, node: &Node, addresses: (&str, &str)) {
    host.sh(&format!(
        "ip link add {link} master br0 type veth peer name eth0 netns {}; ip link set {link} up",
        node.path()
    ));
    set_up(node, addresses);
}

pub(super) fn set_up(node: &Node, (v4, v6): (&str, &str)) {
    node.sh(&format!(
        "ip link set lo up; ip link set eth0 up; ip addr add {v4} dev eth0; ip addr add {v6} dev eth0 nodad"
    ));
}

/// A program that another test starts at this moment holds a copy of an earlier test's listener until it has begun to run: the port is
/// free soon.
pub(super) fn listener(address: &str) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Err(taken) if taken.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

/// Who the server sees when the client sends to `to`, by TCP. None when nothing gets through.
pub(super) fn seen(client: &Node, to: &str, server: &Node, listen: &str, wait: Duration) -> Option<IpAddr> {
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
pub(super) fn everywhere(to: &str) -> String {
    let port = to.rsplit(':').next().unwrap_or_default();
    let any = if to.starts_with('[') { "[::]" } else { "0.0.0.0" };
    format!("{any}:{port}")
}

/// The same by UDP. A datagram is sent again until it is answered: the first may be lost to a bridge that does not forward yet.
pub(super) fn seen_udp(client: &Node, to: &str, server: &Node, listen: &str) -> Option<IpAddr> {
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

pub(super) fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

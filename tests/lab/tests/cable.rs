//! The lab's own tools: a cable carries what the probes send, and nothing answers where nobody is.

// Helpers of a test may panic as the test itself may.
#![allow(clippy::expect_used)]

use std::net::{IpAddr, SocketAddr};

use jackfield_kernel::{Ifindex, Kernel, LinkQuery, Namespace, Request};
use jackfield_lab::{Lab, Result, probe};

fn index_of(lab: &Lab, namespace: &Namespace, name: &str) -> Ifindex {
    let name = name.parse().expect("a link's name");
    lab.kernel()
        .link(namespace, LinkQuery::Name(&name))
        .expect("the kernel answers")
        .expect("the link is there")
        .index
}

fn address(lab: &Lab, namespace: &Namespace, link: &str, text: &str) -> Result<()> {
    let request = Request::AddAddress {
        index: index_of(lab, namespace, link),
        address: text.parse().expect("an address"),
    };
    lab.send(namespace, &[request])
}

#[test]
fn a_cable_carries_ping_tcp_and_udp_in_both_families() -> Result<()> {
    let lab = Lab::new("cable")?;
    let outside = lab.uplink("up0", "outside")?;
    for (near, far) in [("10.1.0.1/24", "10.1.0.2/24"), ("fd00:1::1/64", "fd00:1::2/64")] {
        address(&lab, lab.realm(), "up0", near)?;
        address(&lab, &outside, "eth0", far)?;
        let far: IpAddr = far.split('/').next().and_then(|a| a.parse().ok()).expect("an address");
        probe::ping(&lab, lab.realm(), far)?;
        let server = SocketAddr::new(far, 7001);
        probe::tcp(&lab, lab.realm(), &outside, server, server)?;
        probe::udp(&lab, lab.realm(), &outside, server, server)?;
    }
    assert!(probe::unreachable(&lab, lab.realm(), IpAddr::from([10, 1, 0, 3])));
    assert!(probe::unreachable(&lab, lab.realm(), IpAddr::from([192, 0, 2, 1])));
    lab.passed()
}

#[test]
fn nobody_is_left_waiting_when_a_connection_cannot_be_made() -> Result<()> {
    let lab = Lab::new("no-way")?;
    let outside = lab.namespace("outside")?;
    let server: SocketAddr = "127.0.0.1:7002".parse().expect("an address");
    // Another namespace's loopback is not ours.
    assert!(probe::tcp(&lab, lab.realm(), &outside, server, server).is_err());
    lab.passed()
}

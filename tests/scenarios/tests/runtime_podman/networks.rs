//! Networks of other kinds, and more than one.

use std::net::SocketAddr;

use jackfield_lab::{Lab, Result, podman::Backend, probe};
use jackfield_scenarios::runtimes::{BRIDGE, HOST, HOST_IPV6, OUTSIDE, OUTSIDE_IPV6, PTP, With, address_of, interface};

use crate::scene::{Scene, possible};

fn ipv6(name: &str, backend: Result<Backend, String>) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &backend, &[PTP.kind])?;
    for way in [BRIDGE, PTP] {
        let both = With {
            ipv6: true,
            ..With::default()
        };
        scene.create(&way, "blue", both)?;
        let web = scene.run("web", "--network blue --ip6 fd00:91::77 -p 8080:80")?;
        let other = scene.run("other", "--network blue")?;
        probe::ping(&lab, &other, "fd00:91::77".parse().unwrap())?;
        probe::ping(&lab, &other, OUTSIDE_IPV6.parse().unwrap())?;
        let own = SocketAddr::new(HOST_IPV6.parse().unwrap(), 8080);
        scene.reached_from(&scene.outside, &web, 80, own)?;
        scene.reached(&web, 80, 8080)?;
        drop((web, other));
        scene.remove("web other")?;
        scene.delete("blue")?;
    }
    scene.end()
}

fn internal(name: &str, backend: Result<Backend, String>) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &backend, &[PTP.kind])?;
    for way in [BRIDGE, PTP] {
        let closed = With {
            internal: true,
            ..With::default()
        };
        scene.create(&way, "closed", closed)?;
        let one = scene.run("one", "--network closed")?;
        let two = scene.run("two", &format!("--network closed --ip {}", way.address))?;
        probe::ping(&lab, &one, way.address.parse().unwrap())?;
        for far in [OUTSIDE, HOST] {
            assert!(
                probe::unreachable(&lab, &two, far.parse().unwrap()),
                "{far} is reached by {}",
                way.kind.driver
            );
        }
        drop((one, two));
        scene.remove("one two")?;
        scene.delete("closed")?;
    }
    scene.end()
}

/// A container between two networks that do not reach each other: ports lead to it, and it leaves one and stays in the other.
fn two(name: &str, backend: Result<Backend, String>) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &backend, &[PTP.kind])?;
    scene.create(&BRIDGE, "blue", With::default())?;
    scene.create(&PTP, "red", With::default())?;
    let web = scene.run("web", "--network blue --network red -p 8080:80")?;
    let in_blue = scene.run("in-blue", "--network blue")?;
    let in_red = scene.run("in-red", "--network red")?;
    let (first, second) = (address_of(&lab, &web, "eth0")?, address_of(&lab, &web, "eth1")?);
    let (blue, red) = if BRIDGE.has(first) {
        (first, second)
    } else {
        (second, first)
    };
    probe::ping(&lab, &in_blue, blue)?;
    probe::ping(&lab, &in_red, red)?;
    probe::ping(&lab, &web, OUTSIDE.parse().unwrap())?;
    scene.reached(&web, 80, 8080)?;
    let other = address_of(&lab, &in_red, "eth0")?;
    assert!(probe::unreachable(&lab, &in_blue, other), "networks are apart");
    // Whichever had the ports passes them on.
    for (leaves, neighbour, stays_in) in [("red", &in_blue, BRIDGE), ("blue", &in_red, PTP)] {
        println!(
            "before {leaves}: {}\n{}",
            scene.podman("exec web ip route")?,
            scene.host.client()?.get("/v1/endpoints")?.body
        );
        scene.podman(&format!("network disconnect {leaves} web"))?;
        println!(
            "left {leaves}: {}\n{} {}",
            scene.podman("exec web ip route")?,
            scene.host.client()?.get("/v1/endpoints")?.body,
            scene.host.log_end()
        );
        let left = [interface(&lab, &web, "eth0")?, interface(&lab, &web, "eth1")?];
        assert_eq!(left.iter().flatten().count(), 1, "{left:?}");
        let stays = if left[0].is_some() { "eth0" } else { "eth1" };
        let address = address_of(&lab, &web, stays)?;
        assert!(stays_in.has(address), "{address}");
        probe::ping(&lab, neighbour, address)?;
        probe::ping(&lab, &web, OUTSIDE.parse().unwrap())?;
        scene.reached(&web, 80, 8080)?;
        println!(
            "left {leaves}: {}\n{}",
            scene.podman("exec web ip route")?,
            scene.host.client()?.get("/v1/endpoints")?.body
        );
        scene.podman(&format!("network connect {leaves} web"))?;
        println!(
            "joined {leaves}: {}\n{}",
            scene.podman("exec web ip route")?,
            scene.host.client()?.get("/v1/endpoints")?.body
        );
        scene.reached(&web, 80, 8080)?;
    }
    drop((web, in_blue, in_red));
    scene.remove("web in-blue in-red")?;
    scene.delete("blue")?;
    scene.delete("red")?;
    scene.end()
}

#[test]
fn ipv6_goes_both_ways_by_cni() -> Result<()> {
    ipv6("podman-cni-ipv6", Backend::cni())
}

#[test]
fn ipv6_goes_both_ways_by_netavark() -> Result<()> {
    ipv6("podman-netavark-ipv6", Backend::netavark())
}

#[test]
fn an_internal_network_by_cni_has_no_way_out() -> Result<()> {
    internal("podman-cni-internal", Backend::cni())
}

#[test]
fn an_internal_network_by_netavark_has_no_way_out() -> Result<()> {
    internal("podman-netavark-internal", Backend::netavark())
}

#[test]
fn a_container_is_in_two_networks_by_cni() -> Result<()> {
    two("podman-cni-two", Backend::cni())
}

#[test]
fn a_container_is_in_two_networks_by_netavark() -> Result<()> {
    two("podman-netavark-two", Backend::netavark())
}

//! The life of a network and its containers.

use std::net::SocketAddr;

use jackfield_lab::{Lab, Result, podman::Backend, probe};
use jackfield_scenarios::runtimes::{BRIDGE, HOST, MACVLAN, OUTSIDE, PTP, Way, With, address_of, interface};

use crate::scene::{MAC, Scene, possible};

/// A network with an option and a range; an address and a MAC of the user's choice, neighbours, the world, ports; connected and disconnected
/// while it runs.
fn lives(name: &str, backend: Result<Backend, String>, way: &Way) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &backend, &[way.kind])?;
    let options = With {
        options: way.mtu.1,
        ..With::default()
    };
    scene.create(way, "blue", options)?;
    let ports = if way.publishes {
        "-p 8080:80 -p 127.0.0.1:8081:81 -p 5300:53/udp"
    } else {
        ""
    };
    let asked = format!("--network blue --ip {} --mac-address {MAC}", way.address);
    let web = scene.run("web", &format!("{asked} {ports}"))?;
    let seen = interface(&lab, &web, "eth0")?.unwrap();
    assert_eq!(seen, format!("{MAC} {} {}/24", way.mtu.0, way.address));
    let other = scene.run("other", "--network blue")?;
    for (from, to) in [(&other, way.address), (&other, OUTSIDE), (&web, way.gateway)] {
        probe::ping(&lab, from, to.parse().unwrap())?;
    }
    scene.podman(&format!("exec other ping -c 1 -W 5 {}", way.address))?;
    if way.publishes {
        let own = |port| SocketAddr::new(HOST.parse().unwrap(), port);
        for from in [&scene.outside, lab.realm(), &other, &web] {
            scene.reached_from(from, &web, 80, own(8080))?;
        }
        for from in [&scene.outside, lab.realm(), &other] {
            scene.reached_by_udp(from, &web, 53, own(5300))?;
        }
        scene.reached_from(lab.realm(), &web, 81, "127.0.0.1:8081".parse().unwrap())?;
        let elsewhere = scene.reached_from(&scene.outside, &web, 81, own(8081));
        assert!(elsewhere.is_err(), "a port of the loopback is reached from outside");
    } else {
        let direct = SocketAddr::new(way.address.parse().unwrap(), 80);
        scene.reached_from(&scene.outside, &web, 80, direct)?;
    }
    reconnects(&scene, way, &other)?;
    if way.publishes {
        // Its ports come with it, though its monitor has had them open all the time.
        scene.podman("network disconnect blue web")?;
        scene.podman(&format!("network connect --ip {} blue web", way.address))?;
        scene.reached(&web, 80, 8080)?;
    }
    drop((web, other));
    scene.podman("stop -t 0 other")?;
    scene.podman("start other")?;
    probe::ping(&lab, &scene.podman.namespace("other")?, way.address.parse().unwrap())?;
    scene.remove("web other")?;
    scene.delete("blue")?;
    scene.end()
}

/// `other` leaves and comes back while it runs.
fn reconnects(scene: &Scene<'_>, way: &Way, other: &jackfield_kernel::Namespace) -> Result<()> {
    scene.podman("network disconnect blue other")?;
    assert_eq!(interface(scene.lab, other, "eth0")?, None);
    assert_eq!(scene.count("endpoints")?, 1);
    scene.podman("network connect blue other")?;
    let again = address_of(scene.lab, other, "eth0")?;
    assert!(way.has(again), "{again}");
    probe::ping(scene.lab, other, way.address.parse().unwrap()).map(drop)
}

#[test]
fn a_bridge_network_by_cni() -> Result<()> {
    lives("podman-cni-bridge", Backend::cni(), &BRIDGE)
}

#[test]
fn a_network_of_the_ptp_component_by_cni() -> Result<()> {
    lives("podman-cni-ptp", Backend::cni(), &PTP)
}

#[test]
fn a_network_of_the_macvlan_component_by_cni() -> Result<()> {
    lives("podman-cni-macvlan", Backend::cni(), &MACVLAN)
}

#[test]
fn a_bridge_network_by_netavark() -> Result<()> {
    lives("podman-netavark-bridge", Backend::netavark(), &BRIDGE)
}

#[test]
fn a_network_of_the_ptp_component_by_netavark() -> Result<()> {
    lives("podman-netavark-ptp", Backend::netavark(), &PTP)
}

#[test]
fn a_network_of_the_macvlan_component_by_netavark() -> Result<()> {
    lives("podman-netavark-macvlan", Backend::netavark(), &MACVLAN)
}

//! The life of pods.

use std::net::SocketAddr;

use jackfield_lab::{Lab, LabError, Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, HOST, HOST_IPV6, MACVLAN, OUTSIDE, OUTSIDE_IPV6, PTP, Way, With};

use crate::{
    cri,
    scene::{Scene, port, possible},
};

/// Neighbours, the world, ports of the host; stopped twice and removed.
fn lives(name: &str, way: &Way) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &way.kind)?;
    scene.create(way, "blue", With::default())?;
    scene.record()?;
    let ports = [port("tcp", 8080, 80), port("udp", 5300, 53)];
    let web = scene.run_pod("web", if way.publishes { &ports } else { &[] })?;
    let other = scene.run_pod("other", &[])?;
    let address = web.addresses[0].parse().unwrap();
    assert!(way.has(address), "{address}");
    probe::ping(&lab, &other.namespace, address)?;
    probe::ping(&lab, &web.namespace, OUTSIDE.parse().unwrap())?;
    if way.publishes {
        let own = |port| SocketAddr::new(HOST.parse().unwrap(), port);
        for from in [&scene.outside, lab.realm(), &other.namespace] {
            scene.reached_from(from, &web.namespace, 80, own(8080))?;
            scene.reached_by_udp(from, &web.namespace, 53, own(5300))?;
        }
    } else {
        scene.reached_from(&scene.outside, &web.namespace, 80, SocketAddr::new(address, 80))?;
    }
    let labels = scene.host.client()?.get("/v1/endpoints")?.ok("endpoints")?;
    assert!(labels.to_string().contains(r#""K8S_POD_NAMESPACE":"lab""#), "{labels}");
    let (id, socket) = (web.id.clone(), scene.containerd.socket());
    drop(web.namespace);
    cri::stop(&socket, &id)?;
    assert_eq!(scene.count("endpoints")?, 1, "it is gone when it is stopped");
    cri::stop(&socket, &id)?;
    cri::remove(&socket, &id)?;
    taken_down_more_than_once(&scene, &id)?;
    scene.remove_pod(other)?;
    scene.end("blue")
}

/// containerd says DEL again for what it has taken down, then without a namespace; the host did it once.
fn taken_down_more_than_once(scene: &Scene<'_>, id: &str) -> Result<()> {
    let mut dels = scene.calls();
    dels.retain(|[verb, container, _]| verb == "DEL" && container == id);
    let [first, .., last] = dels.as_slice() else {
        return Err(LabError::new("DEL comes twice", format!("{dels:?}")));
    };
    assert!(!first[2].is_empty() && last[2].is_empty(), "{dels:?}");
    let events = scene.events()?;
    let gone = events
        .iter()
        .filter(|event| event["object"] == "endpoint" && event["action"] == "delete");
    assert_eq!(gone.count(), 1, "{events:?}");
    Ok(())
}

#[test]
fn pods_are_on_a_bridge() -> Result<()> {
    lives("containerd-pods-bridge", &BRIDGE)
}

#[test]
fn pods_are_on_the_ptp_component() -> Result<()> {
    lives("containerd-pods-ptp", &PTP)
}

#[test]
fn pods_are_on_the_macvlan_component() -> Result<()> {
    lives("containerd-pods-macvlan", &MACVLAN)
}

#[test]
fn pods_have_addresses_of_both_families() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new("containerd-ipv6")?;
    let scene = Scene::new(&lab, &PTP.kind)?;
    let both = With {
        ipv6: true,
        ..With::default()
    };
    scene.create(&PTP, "blue", both)?;
    let web = scene.run_pod("web", &[port("tcp", 8080, 80)])?;
    let ipv6 = web.addresses.iter().find(|address| address.starts_with("fd00:91:"));
    let other = scene.run_pod("other", &[])?;
    probe::ping(&lab, &other.namespace, ipv6.unwrap().parse().unwrap())?;
    scene.reached(&web.namespace, 80, 8080)?;
    let own = SocketAddr::new(HOST_IPV6.parse().unwrap(), 8080);
    scene.reached_from(&scene.outside, &web.namespace, 80, own)?;
    // After that: the cable has no link-local address, from which the host could ask for a neighbour on a pod's behalf.
    probe::ping(&lab, &web.namespace, OUTSIDE_IPV6.parse().unwrap())?;
    scene.remove_pod(web)?;
    scene.remove_pod(other)?;
    scene.end("blue")
}

/// What is refused reaches who asked, and leaves nothing.
#[test]
fn a_pod_whose_port_is_taken_does_not_start() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new("containerd-refused")?;
    let scene = Scene::new(&lab, &BRIDGE.kind)?;
    scene.create(&BRIDGE, "blue", With::default())?;
    let web = scene.run_pod("web", &[port("tcp", 8080, 80)])?;
    let late = cri::run(
        &scene.containerd.socket(),
        scene.config("late", &[port("tcp", 8080, 80)]),
    );
    let words = late.unwrap_err().to_string();
    assert!(words.contains("host port 8080/tcp"), "{words}");
    assert_eq!((scene.count("endpoints")?, scene.count("sandboxes")?), (1, 1));
    scene.remove_pod(web)?;
    scene.end("blue")
}

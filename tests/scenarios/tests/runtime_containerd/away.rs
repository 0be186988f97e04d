//! The host is killed while pods run, and started again.

use jackfield_lab::{Lab, Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, MACVLAN, OUTSIDE, PTP, Way, With};

use crate::{
    cri,
    scene::{Scene, port, possible},
};

/// Pods go on without it, and one that ends meanwhile is gone when it is back.
fn outlives(name: &str, way: &Way) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let mut scene = Scene::new(&lab, &way.kind)?;
    scene.create(way, "blue", With::default())?;
    let ports = [port("tcp", 8080, 80)];
    let web = scene.run_pod("web", if way.publishes { &ports } else { &[] })?;
    let short = scene.run_pod("short", &[])?;
    let works = |scene: &Scene<'_>| {
        probe::ping(&lab, &web.namespace, OUTSIDE.parse().unwrap())?;
        if way.publishes {
            scene.reached(&web.namespace, 80, 8080)?;
        }
        Ok(())
    };
    scene.host.kill()?;
    works(&scene)?;
    let early = cri::run(&scene.containerd.socket(), scene.config("early", &[]));
    let words = early.unwrap_err().to_string();
    assert!(words.contains("jackfield serve"), "{words}");
    scene.remove_pod(short)?;
    scene.start_host()?;
    works(&scene)?;
    scene.until("the pod that ended is gone", || Ok(scene.count("endpoints")? == 1))?;
    let next = scene.run_pod("next", &[])?;
    probe::ping(&lab, &next.namespace, OUTSIDE.parse().unwrap())?;
    scene.remove_pod(web)?;
    scene.remove_pod(next)?;
    scene.end("blue")
}

#[test]
fn pods_on_a_bridge_outlive_the_host() -> Result<()> {
    outlives("containerd-away-bridge", &BRIDGE)
}

#[test]
fn pods_on_the_ptp_component_outlive_the_host() -> Result<()> {
    outlives("containerd-away-ptp", &PTP)
}

#[test]
fn pods_on_the_macvlan_component_outlive_the_host() -> Result<()> {
    outlives("containerd-away-macvlan", &MACVLAN)
}

//! The host is killed while containers run, and started again.

use jackfield_lab::{Lab, Result, podman::Backend, probe};
use jackfield_scenarios::runtimes::{BRIDGE, MACVLAN, OUTSIDE, PTP, Way, With};

use crate::scene::{Scene, possible};

/// Containers go on without it, it takes them up, and others start. One that ends meanwhile is gone when it is back, with its address.
fn outlives(name: &str, backend: Result<Backend, String>, way: &Way) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    let lab = Lab::new(name)?;
    let mut scene = Scene::new(&lab, &backend, &[way.kind])?;
    scene.create(way, "blue", With::default())?;
    let ports = if way.publishes { "-p 8080:80" } else { "" };
    let web = scene.run("web", &format!("--network blue {ports}"))?;
    let short = format!("--network blue --ip {}", way.address);
    scene.run("short", &short).map(drop)?;
    scene.host.kill()?;
    let works = |scene: &Scene<'_>| {
        probe::ping(&lab, &web, OUTSIDE.parse().unwrap())?;
        if way.publishes {
            scene.reached(&web, 80, 8080)
        } else {
            Ok(())
        }
    };
    works(&scene)?;
    let words = scene.refused(&scene.run_line("early", "--network blue"))?;
    assert!(words.contains("jackfield serve"), "{words}");
    scene.remove("early short")?;
    scene.start_host()?;
    works(&scene)?;
    assert_eq!(scene.count("endpoints")?, 1);
    let next = scene.run("next", &short)?;
    probe::ping(&lab, &next, OUTSIDE.parse().unwrap())?;
    drop((web, next));
    scene.remove("web next")?;
    scene.delete("blue")?;
    scene.end()
}

#[test]
fn containers_by_cni_outlive_the_host() -> Result<()> {
    outlives("podman-cni-away-bridge", Backend::cni(), &BRIDGE)?;
    outlives("podman-cni-away-ptp", Backend::cni(), &PTP)?;
    outlives("podman-cni-away-macvlan", Backend::cni(), &MACVLAN)
}

#[test]
fn containers_by_netavark_outlive_the_host() -> Result<()> {
    outlives("podman-netavark-away-bridge", Backend::netavark(), &BRIDGE)?;
    outlives("podman-netavark-away-ptp", Backend::netavark(), &PTP)?;
    outlives("podman-netavark-away-macvlan", Backend::netavark(), &MACVLAN)
}

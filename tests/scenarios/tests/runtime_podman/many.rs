//! Many at once.

use jackfield_lab::{Lab, Result, podman::Backend, probe};
use jackfield_scenarios::runtimes::{BRIDGE, PTP, Way, With, at_once};

use crate::scene::{Scene, possible};

const MANY: u16 = 20;

fn twenty(name: &str, backend: Result<Backend, String>, way: &Way) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &backend, &[way.kind])?;
    scene.create(way, "blue", With::default())?;
    let start = |n: u16| scene.podman(&scene.run_line(&format!("c{n}"), &format!("--network blue -p {}:80", 9000 + n)));
    at_once((0..MANY).collect(), start)?;
    assert_eq!(scene.count("endpoints")?, usize::from(MANY));
    for n in [0, MANY / 2, MANY - 1] {
        let container = scene.podman.namespace(&format!("c{n}"))?;
        scene.reached(&container, 80, 9000 + n)?;
        probe::ping(&lab, &container, way.gateway.parse().unwrap())?;
    }
    let names: Vec<String> = (0..MANY).map(|n| format!("c{n}")).collect();
    scene.remove(&names.join(" "))?;
    scene.delete("blue")?;
    scene.end()
}

#[test]
fn twenty_containers_start_at_once_by_cni() -> Result<()> {
    twenty("podman-cni-many-bridge", Backend::cni(), &BRIDGE)?;
    twenty("podman-cni-many-ptp", Backend::cni(), &PTP)
}

#[test]
fn twenty_containers_start_at_once_by_netavark() -> Result<()> {
    twenty("podman-netavark-many-bridge", Backend::netavark(), &BRIDGE)?;
    twenty("podman-netavark-many-ptp", Backend::netavark(), &PTP)
}

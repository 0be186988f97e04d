//! `ctr run --cni`.

use std::process::{Child, Stdio};

use jackfield_lab::{Lab, LabError, Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, MACVLAN, OUTSIDE, PTP, Way, With, address_of};

use crate::scene::{Scene, possible};

/// One that waits in the foreground: only then ctr takes it from its network when it ends.
fn run(scene: &Scene<'_>, name: &str) -> Result<Child> {
    let machine = scene.containerd.machine();
    let (cgroup, root) = (format!("/{}/{name}", machine.cgroup()), scene.lab.path("box"));
    let root = root.to_string_lossy();
    let words = [
        "run",
        "--cni",
        "--cgroup",
        &cgroup,
        "--rootfs",
        &root,
        name,
        "/bin/sleep",
        "100000",
    ];
    let mut command = scene.containerd.client(&words);
    let child = command.stdout(Stdio::null()).spawn();
    let child = child.map_err(|cause| LabError::new("run ctr", cause))?;
    scene.until("the task runs", || {
        Ok(scene.containerd.namespace(name).is_ok() && scene.count("endpoints")? > 0)
    })?;
    Ok(child)
}

fn lives(name: &str, way: &Way) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &way.kind)?;
    scene.create(way, "blue", With::default())?;
    scene.record()?;
    let mut one = run(&scene, "one")?;
    let mut two = run(&scene, "two")?;
    scene.until("both are attached", || Ok(scene.count("endpoints")? == 2))?;
    let (first, second) = (scene.containerd.namespace("one")?, scene.containerd.namespace("two")?);
    let address = address_of(&lab, &second, "eth0")?;
    assert!(way.has(address), "{address}");
    probe::ping(&lab, &first, address)?;
    probe::ping(&lab, &first, OUTSIDE.parse().unwrap())?;
    drop((first, second));
    for (task, child) in [("one", &mut one), ("two", &mut two)] {
        scene.containerd.ctr(&["tasks", "kill", "-s", "KILL", task])?;
        child.wait().map_err(|cause| LabError::new("wait for ctr", cause))?;
    }
    let dels: Vec<_> = scene.calls().into_iter().filter(|call| call[0] == "DEL").collect();
    assert_eq!(dels.len(), 2, "{dels:?}");
    assert!(dels.iter().all(|call| call[2].is_empty()), "{dels:?}");
    scene.end("blue")
}

#[test]
fn a_task_is_on_a_bridge() -> Result<()> {
    lives("containerd-ctr-bridge", &BRIDGE)
}

#[test]
fn a_task_is_on_the_ptp_component() -> Result<()> {
    lives("containerd-ctr-ptp", &PTP)
}

#[test]
fn a_task_is_on_the_macvlan_component() -> Result<()> {
    lives("containerd-ctr-macvlan", &MACVLAN)
}

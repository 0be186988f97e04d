//! As many pods as a small node has.

use jackfield_lab::{Lab, Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, OUTSIDE, PTP, Way, With, at_once};

use crate::scene::{Pod, Scene, port, possible};

const MANY: u16 = 50;
/// How many are started and ended at once.
const AT_ONCE: u16 = 10;

fn fifty(name: &str, way: &Way) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &way.kind)?;
    scene.create(way, "blue", With::default())?;
    let mut pods: Vec<Pod> = Vec::new();
    for first in (0..MANY).step_by(AT_ONCE.into()) {
        let start = |n: u16| scene.run_pod(&format!("p{n}"), &[port("tcp", 9000 + n, 80)]);
        pods.extend(at_once((first..first + AT_ONCE).collect(), start)?);
    }
    assert_eq!(scene.count("endpoints")?, usize::from(MANY));
    let mut addresses: Vec<&str> = pods.iter().map(|pod| pod.addresses[0].as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), usize::from(MANY), "each has its own address");
    for (n, pod) in (0u16..).zip(&pods) {
        scene.reached(&pod.namespace, 80, 9000 + n)?;
    }
    let (first, last) = (&pods[0], &pods[usize::from(MANY) - 1]);
    probe::ping(&lab, &first.namespace, last.addresses[0].parse().unwrap())?;
    probe::ping(&lab, &last.namespace, OUTSIDE.parse().unwrap())?;
    while !pods.is_empty() {
        let batch = pods.split_off(pods.len().saturating_sub(AT_ONCE.into()));
        at_once(batch, |pod| scene.remove_pod(pod))?;
    }
    scene.end("blue")
}

#[test]
fn fifty_pods_are_on_a_bridge() -> Result<()> {
    fifty("containerd-many-bridge", &BRIDGE)
}

#[test]
fn fifty_pods_are_on_the_ptp_component() -> Result<()> {
    fifty("containerd-many-ptp", &PTP)
}

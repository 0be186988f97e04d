//! Many at once.

use jackfield_lab::{Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, PTP, Way, at_once};

use crate::scene::{play, run};

const MANY: u16 = 20;

fn twenty(name: &str, way: &Way) -> Result<()> {
    play(name, &way.kind, |scene| {
        scene.create(way, "blue", "")?;
        let start = |n: u16| scene.docker(&run(&format!("c{n}"), &format!("--network blue -p {}:80", 9000 + n)));
        at_once((0..MANY).collect(), start)?;
        for n in [0, MANY / 2, MANY - 1] {
            let container = scene.dockerd.namespace(&format!("c{n}"))?;
            scene.reached(&container, 80, 9000 + n)?;
            probe::ping(scene.lab, &container, way.gateway.parse().unwrap())?;
        }
        let names: Vec<String> = (0..MANY).map(|n| format!("c{n}")).collect();
        scene.remove(&names.join(" "), "blue")
    })
}

#[test]
fn twenty_containers_start_at_once_on_a_bridge() -> Result<()> {
    twenty("docker-many-bridge", &BRIDGE)
}

#[test]
fn twenty_containers_start_at_once_on_the_ptp_component() -> Result<()> {
    twenty("docker-many-ptp", &PTP)
}

//! Many at once.

use jackfield_lab::{Lab, LabError, Result, dockerd::IMAGE, probe};

use crate::scene::{BRIDGE, PTP, Scene, Way, possible};

const MANY: usize = 20;

fn twenty(name: &str, way: &Way) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &way.kind)?;
    scene.docker(&way.create("blue", ""))?;
    let start = |n: usize| {
        let (name, port) = (format!("c{n}"), format!("{}:80", 9000 + n));
        let arguments = [
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            "blue",
            "-p",
            &port,
            IMAGE,
            "sleep",
            "100000",
        ];
        scene.dockerd.client(&arguments).output()
    };
    let outputs: Vec<_> = std::thread::scope(|threads| {
        let started: Vec<_> = (0..MANY).map(|n| threads.spawn(move || start(n))).collect();
        started.into_iter().map(|t| t.join()).collect()
    });
    for output in outputs {
        let output = output.map_err(|_| LabError::new("run twenty", "a thread panicked"))?;
        let output = output.map_err(|e| LabError::new("run twenty", e))?;
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
    }
    for n in [0, MANY / 2, MANY - 1] {
        let container = scene.dockerd.namespace(&format!("c{n}"))?;
        scene.reached(&container, 80, u16::try_from(9000 + n).unwrap())?;
        probe::ping(&lab, &container, way.gateway.parse().unwrap())?;
    }
    let names: Vec<String> = (0..MANY).map(|n| format!("c{n}")).collect();
    scene.docker(&format!("rm -f {}", names.join(" ")))?;
    scene.docker("network rm blue")?;
    scene.expect_nothing_left()?;
    lab.passed()
}

#[test]
fn twenty_containers_start_at_once_on_a_bridge() -> Result<()> {
    twenty("docker-many-bridge", &BRIDGE)
}

#[test]
fn twenty_containers_start_at_once_on_the_ptp_component() -> Result<()> {
    twenty("docker-many-ptp", &PTP)
}

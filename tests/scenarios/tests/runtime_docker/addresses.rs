//! Addresses that Docker has from the host, for networks of ours and of its own.

use jackfield_lab::{Lab, Result};

use crate::{
    life::interface,
    scene::{BRIDGE, Scene, possible},
};

#[test]
fn docker_has_its_addresses_from_us_and_has_them_again_when_it_starts_again() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new("docker-ipam")?;
    let scene = Scene::with(&lab, &BRIDGE.kind, &["--live-restore"])?;
    let format = "{{range .IPAM.Config}}{{.Subnet}}{{end}}";
    let subnet = |network: &str| scene.dockerd.docker(&["network", "inspect", "-f", format, network]);
    scene.docker("network create -d jackfield-bridge --ipam-driver jackfield one")?;
    scene.docker("network create -d jackfield-bridge --ipam-driver jackfield-bridge two")?;
    scene.docker("network create -d bridge --ipam-driver jackfield dockers-own")?;
    let subnets = [subnet("one")?, subnet("two")?, subnet("dockers-own")?];
    assert!(
        subnets.iter().all(|s| !s.starts_with("172.17.")),
        "that is docker0's: {subnets:?}"
    );
    let taken = format!(
        "network create -d jackfield-bridge --ipam-driver jackfield --subnet {} three",
        subnets[0]
    );
    assert!(scene.refused(&taken)?.contains("overlaps"));
    let part = "network create -d jackfield-bridge --ipam-driver jackfield --subnet 10.92.0.0/24 --ip-range 10.92.0.128/25 --aux-address a=10.92.0.130 part";
    scene.docker(part)?;
    let a = scene.run("one", "--network part")?;
    let before = interface(&lab, &a, "eth0")?.unwrap();
    assert!(before.contains("10.92.0.1"), "{before}");
    scene.dockerd.kill()?;
    scene.dockerd.launch()?;
    assert_eq!(interface(&lab, &a, "eth0")?.unwrap(), before);
    let b = scene.run("two", "--network part")?;
    assert_ne!(
        interface(&lab, &b, "eth0")?.unwrap().split(' ').next_back(),
        before.split(' ').next_back()
    );
    assert!(
        scene.refused(&taken)?.contains("overlaps"),
        "asked for again once, and no more"
    );
    drop((a, b));
    scene.docker("rm -f one two")?;
    scene.docker("network rm one two dockers-own part")?;
    scene.docker(&taken)?;
    scene.docker("network rm three")?;
    scene.expect_nothing_left()?;
    lab.passed()
}

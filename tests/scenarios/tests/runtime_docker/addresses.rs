//! Addresses that Docker has from the host, for networks of ours and of its own.

use jackfield_lab::Result;
use jackfield_scenarios::runtimes::{BRIDGE, interface};

use crate::scene::play_with;

#[test]
fn docker_has_its_addresses_from_us_and_has_them_again_when_it_starts_again() -> Result<()> {
    play_with("docker-ipam", &BRIDGE.kind, &["--live-restore"], |scene| {
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
        let before = interface(scene.lab, &a, "eth0")?.unwrap();
        assert!(before.contains("10.92.0.1"), "{before}");
        scene.dockerd.kill()?;
        scene.dockerd.launch()?;
        assert_eq!(interface(scene.lab, &a, "eth0")?.unwrap(), before);
        let b = scene.run("two", "--network part")?;
        assert_ne!(
            interface(scene.lab, &b, "eth0")?.unwrap().split(' ').next_back(),
            before.split(' ').next_back()
        );
        assert!(
            scene.refused(&taken)?.contains("overlaps"),
            "asked for again once, and no more"
        );
        drop((a, b));
        scene.remove("one two", "one two dockers-own part")?;
        scene.docker(&taken)?;
        scene.docker("network rm three").map(drop)
    })
}

//! The host as a managed plugin, in a container of dockerd's, and in a swarm.

use std::process::Command;

use jackfield_lab::{
    Lab, LabError, Result,
    dockerd::{Dockerd, IMAGE},
    probe, program,
};

use crate::scene::{HOST, possible};

/// The folder that `cargo xtask docker-plugin` makes.
fn folder(lab: &Lab) -> Result<String> {
    let folder = lab.path("managed").display().to_string();
    let xtask = program().with_file_name("xtask");
    let made = Command::new(xtask)
        .args(["docker-plugin", &folder, "--program"])
        .arg(program())
        .output();
    let made = made.map_err(|e| LabError::new("make the folder", e))?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(folder)
}

#[test]
fn a_managed_plugin_serves_a_swarm() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new("docker-managed")?;
    let outside = lab.uplink("up0", "outside")?;
    let cable = (
        format!("{HOST}/24").parse().unwrap(),
        "198.51.100.2/24".parse().unwrap(),
    );
    lab.address_uplink(&outside, &[cable])?;
    let dockerd = Dockerd::start(&lab, &[])?;
    let docker = |line: &str| dockerd.docker(&line.split_whitespace().collect::<Vec<_>>());
    docker(&format!("plugin create jackfield {}", folder(&lab)?))?;
    docker("plugin enable jackfield")?;
    docker(&format!("swarm init --advertise-addr {HOST}"))?;
    docker("network create -d jackfield:latest --attachable --subnet 10.93.0.0/24 -o mtu=1400 far")?;
    docker(&format!("run -d --name web --network far {IMAGE} sleep 100000"))?;
    let web = dockerd.namespace("web")?;
    probe::ping(&lab, &web, "10.93.0.1".parse().unwrap())?;
    let dump = lab.dump_of(&web)?;
    assert!(
        dump.links.iter().any(|l| l.name.as_str() == "eth0" && l.mtu == 1400),
        "{dump:?}"
    );
    drop(web);
    docker("rm -f web")?;
    docker("network rm far")?;
    docker("swarm leave --force")?;
    docker("plugin disable -f jackfield")?;
    docker("plugin rm jackfield")?;
    lab.passed()
}

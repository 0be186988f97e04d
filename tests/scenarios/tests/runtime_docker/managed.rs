//! The host as a managed plugin, in a container of dockerd's, and in a swarm.

use std::process::Command;

use jackfield_lab::{
    Lab, LabError, Result, component,
    dockerd::{Dockerd, IMAGE},
    probe, program,
};
use jackfield_scenarios::runtimes::HOST;

use crate::scene::possible;

/// The folder that `cargo xtask docker-plugin` makes, with these further arguments.
fn folder(lab: &Lab, more: &[&str]) -> Result<String> {
    let folder = lab.path("managed").display().to_string();
    let xtask = program().with_file_name("xtask");
    let made = Command::new(xtask)
        .args(["docker-plugin", &folder, "--program"])
        .arg(program())
        .args(more)
        .output();
    let made = made.map_err(|e| LabError::new("make the folder", e))?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(folder)
}

/// A lab with a cable, by whose address a swarm is had.
fn lab(name: &str) -> Result<Lab> {
    let lab = Lab::new(name)?;
    let outside = lab.uplink("up0", "outside")?;
    let cable = (
        format!("{HOST}/24").parse().unwrap(),
        "198.51.100.2/24".parse().unwrap(),
    );
    lab.address_uplink(&outside, &[cable])?;
    Ok(lab)
}

/// The plugin in that folder, enabled, has a network of a swarm, and a container in it.
fn serves(lab: &Lab, folder: &str, options: &str) -> Result<()> {
    let dockerd = Dockerd::start(lab, &[])?;
    let docker = |line: &str| dockerd.docker(&line.split_whitespace().collect::<Vec<_>>());
    docker(&format!("plugin create jackfield {folder}"))?;
    docker("plugin enable jackfield")?;
    docker(&format!("swarm init --advertise-addr {HOST}"))?;
    docker(&format!(
        "network create -d jackfield:latest --attachable --subnet 10.93.0.0/24 {options} far"
    ))?;
    docker(&format!("run -d --name web --network far {IMAGE} sleep 100000"))?;
    let web = dockerd.namespace("web")?;
    probe::ping(lab, &web, "10.93.0.1".parse().unwrap())?;
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
    docker("plugin rm jackfield").map(drop)
}

#[test]
fn a_managed_plugin_serves_a_swarm() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = lab("docker-managed")?;
    serves(&lab, &folder(&lab, &[])?, "-o mtu=1400")?;
    lab.passed()
}

#[test]
fn a_component_is_a_managed_plugin_too() -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = lab("docker-managed-ptp")?;
    let (driver, grants) = (lab.path("ptp.wasm"), lab.path("granted.toml"));
    std::fs::write(&driver, component::read("ptp")?).unwrap();
    std::fs::write(&grants, component::GRANTS).unwrap();
    let (driver, grants) = (driver.display().to_string(), grants.display().to_string());
    let more = ["--name", "ptp", "--component", &driver, "--grants", &grants];
    serves(&lab, &folder(&lab, &more)?, "-o mtu=1400")?;
    lab.passed()
}

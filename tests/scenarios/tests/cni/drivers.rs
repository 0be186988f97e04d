//! Every driver is a plugin, by configuration and by the name of a link.

use std::{os::unix::fs::symlink, process::Command};

use jackfield_lab::{Cni, Lab, LabError, Result, cni, probe};
use jackfield_scenarios::{KINDS, Kind, load};
use serde_json::json;

use crate::scene::{Scene, address, described};

fn scenario(kind: &Kind) -> Result<()> {
    let lab = Lab::new(&format!("cni-{}", kind.driver))?;
    let scene = Scene::new(&lab)?;
    load(&mut scene.client()?, kind)?;
    let options: serde_json::Map<_, _> = kind.options.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let cni = Cni::new(&lab, described())
        .with("driver", json!(kind.driver))
        .with("options", json!(options));
    let (a, a_path) = scene.container("a")?;
    let (_b, b_path) = scene.container("b")?;
    let first = cni.add("a", &a_path)?;
    let second = cni.add("b", &b_path)?;
    probe::ping(&lab, &a, address(&second))?;
    let checked = cni.with("prevResult", first);
    checked.call("CHECK", "a", &a_path, "eth0")?.result("CHECK")?;
    cni.del("a", "")?;
    cni.del("b", &b_path)?;
    scene.end(&["pods"])
}

#[test]
fn the_built_in_bridge() -> Result<()> {
    scenario(&KINDS[0])
}

#[test]
fn ptp() -> Result<()> {
    scenario(&KINDS[1])
}

#[test]
fn a_bridge_that_is_a_component() -> Result<()> {
    scenario(&KINDS[2])
}

#[test]
fn macvlan() -> Result<()> {
    scenario(&KINDS[3])
}

#[test]
fn a_link_says_the_driver() -> Result<()> {
    let lab = Lab::new("cni-link")?;
    let scene = Scene::new(&lab)?;
    load(&mut scene.client()?, &KINDS[1])?;
    let link = lab.path("ptp");
    symlink(cni::plugin(), &link).map_err(|e| LabError::new("make a link", e))?;
    let (_inside, path) = scene.container("c")?;
    let mut command = Command::new(&link);
    command
        .envs([
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", &path),
        ])
        .env("JACKFIELD_SHIM_SOCKET", lab.path("shim.sock"));
    let added = lab.within(lab.realm(), || cni::run(command, &described()))?;
    added
        .map_err(|e| LabError::new("run the link", e))?
        .result("ADD by a link")?;
    let networks = scene.client()?.get("/v1/networks")?.ok("networks")?;
    assert_eq!(networks[0]["driver"], "ptp");
    Cni::new(&lab, described()).del("c", &path)?;
    scene.end(&["pods"])
}

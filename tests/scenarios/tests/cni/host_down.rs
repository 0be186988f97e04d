//! The host is away, and nothing is lost.

use jackfield_lab::{Cni, Lab, Result, probe};

use crate::scene::{Scene, await_that, described, options};

#[test]
fn a_del_that_comes_while_the_host_is_down_is_done_when_it_is_back() -> Result<()> {
    let lab = Lab::new("cni-down")?;
    let mut scene = Scene::new(&lab)?;
    let cni = Cni::new(&lab, described());
    let (stays, stays_path) = scene.container("stays")?;
    let (_goes, goes_path) = scene.container("goes")?;
    let (dies, dies_path) = scene.container("dies")?;
    cni.add("stays", &stays_path)?;
    cni.add("goes", &goes_path)?;
    cni.add("dies", &dies_path)?;

    scene.host.kill()?;
    let (_late, late_path) = scene.container("late")?;
    let refused = cni.call("ADD", "late", &late_path, "eth0")?;
    assert_eq!(refused.code(), 11);
    assert!(
        refused.out["msg"].as_str().unwrap().contains("jackfield serve"),
        "{}",
        refused.out
    );
    cni.del("late", &late_path)?;
    cni.del("goes", &goes_path)?;
    cni.del("goes", "")?;
    scene.bury("dies", dies)?;
    probe::ping(&lab, &stays, "10.95.0.1".parse().unwrap())?;

    scene.host.restart(options())?;
    assert_eq!(scene.count("endpoints")?, 1, "one stays");
    probe::ping(&lab, &stays, "10.95.0.1".parse().unwrap())?;
    assert_eq!(lab.files("shim.sock.spool"), Vec::<String>::new());

    // A tombstone never meets what came after it.
    scene.host.kill()?;
    cni.del("stays", &stays_path)?;
    scene.host.restart(options())?;
    cni.add("stays", &stays_path)?;
    std::thread::scope(|_| probe::ping(&lab, &stays, "10.95.0.1".parse().unwrap()))?;
    cni.del("stays", &stays_path)?;
    scene.end(&["pods"])
}

#[test]
fn a_tombstone_that_is_left_while_the_host_runs_is_read_and_rubbish_is_removed() -> Result<()> {
    let lab = Lab::new("cni-tombstone")?;
    let scene = Scene::new(&lab)?;
    let cni = Cni::new(&lab, described());
    let (_inside, path) = scene.container("c")?;
    cni.add("c", &path)?;
    // As a shim leaves it which gave up just before the host was back.
    let spool = lab.path("shim.sock.spool");
    let realm = lab.within(lab.realm(), || {
        jackfield_shims::spool::Inode::of(std::path::Path::new("/proc/thread-self/ns/net"))
    })?;
    let tombstone = jackfield_shims::spool::Tombstone {
        network: "pods".into(),
        container: "c".into(),
        interface: "eth0".into(),
        realm: realm.unwrap(),
    };
    std::fs::write(spool.join("0.json"), "rubbish").unwrap();
    jackfield_shims::spool::leave(&spool, &tombstone).unwrap();
    await_that("the host reads its tombstones", || {
        Ok(lab.files("shim.sock.spool").is_empty() && scene.count("endpoints")? == 0)
    })?;
    scene.end(&["pods"])
}

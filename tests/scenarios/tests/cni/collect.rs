//! GC and STATUS.

use jackfield_lab::{Cni, Lab, Result, probe};
use serde_json::{Value, json};

use crate::scene::{Scene, described};

fn valid(list: &[&str]) -> Value {
    list.iter()
        .map(|id| json!({ "containerID": id, "ifname": "eth0" }))
        .collect()
}

#[test]
fn gc_takes_what_is_not_valid_and_leaves_the_rest() -> Result<()> {
    let lab = Lab::new("cni-gc")?;
    let scene = Scene::new(&lab)?;
    let cni = Cni::new(&lab, described());
    let blue = cni.with("name", json!("blue")).with("subnets", json!(["10.96.0.0/24"]));
    let (kept, kept_path) = scene.container("kept")?;
    let (_stale, stale_path) = scene.container("stale")?;
    let (dead, dead_path) = scene.container("dead")?;
    cni.add("kept", &kept_path)?;
    cni.add("stale", &stale_path)?;
    blue.call("ADD", "stale", &stale_path, "net1")?
        .result("another network's")?;
    cni.add("dead", &dead_path)?;
    scene.bury("dead", dead)?;

    let refused = cni.call("GC", "", "", "")?;
    assert_eq!(refused.code(), 7, "{:?}", refused.out);
    assert_eq!(scene.count("endpoints")?, 4, "nothing was collected");
    let attachments = "cni.dev/valid-attachments";
    cni.with(attachments, valid(&["kept", "dead"]))
        .call("GC", "", "", "")?
        .result("GC")?;
    assert_eq!(
        scene.count("endpoints")?,
        2,
        "of the stale one, and of one whose namespace is gone"
    );
    probe::ping(&lab, &kept, "10.95.0.1".parse().unwrap())?;

    // Nothing is valid any more: what was made for it goes too, and what is another network's stays.
    cni.with(attachments, valid(&[]))
        .call("GC", "", "", "")?
        .result("GC of all")?;
    assert_eq!((scene.count("endpoints")?, scene.count("networks")?), (1, 1));
    blue.with(attachments, valid(&[]))
        .call("GC", "", "", "")?
        .result("GC of blue")?;
    scene.end(&[])
}

#[test]
fn status_says_whether_an_add_could_be_served() -> Result<()> {
    let lab = Lab::new("cni-status")?;
    let mut scene = Scene::new(&lab)?;
    let cni = Cni::new(&lab, described());
    let status = |cni: &Cni<'_>| cni.call("STATUS", "", "", "");
    assert!(status(&cni)?.ok, "it would be made");
    assert_eq!(status(&cni.with("driver", json!("acme")))?.code(), 50);
    let named = Cni::new(
        &lab,
        json!({ "cniVersion": "1.1.0", "name": "x", "type": "jackfield-cni", "network": "blue" }),
    );
    assert_eq!(status(&named)?.code(), 50);
    assert_eq!(status(&cni.with("mtuu", json!(7)))?.code(), 7);

    // A network of one address is full with one container.
    let tiny = cni.with("subnets", json!(["10.95.0.0/30"]));
    let (_inside, path) = scene.container("c")?;
    tiny.add("c", &path)?;
    let full = status(&tiny)?;
    assert_eq!(full.code(), 50, "{:?}", full.out);
    let (_other, other) = scene.container("d")?;
    assert_eq!(tiny.call("ADD", "d", &other, "eth0")?.code(), 103);
    tiny.del("d", &other)?;
    tiny.del("c", &path)?;
    assert!(status(&tiny)?.ok);

    scene.host.kill()?;
    let down = status(&cni)?;
    assert_eq!(down.code(), 50);
    assert!(
        down.out["msg"].as_str().unwrap().contains("systemctl start jackfield"),
        "{}",
        down.out
    );
    scene.host.restart(crate::scene::options())?;
    scene.end(&["pods"])
}

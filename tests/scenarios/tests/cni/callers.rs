//! A caller's own namespace serves as its host, for as long as it is there.

use jackfield_lab::{Cni, Lab, LabError, Result, probe};

use crate::scene::{Scene, await_that, described};

#[test]
fn a_callers_namespace_is_its_host_and_is_let_go_and_forgotten() -> Result<()> {
    let lab = Lab::new("cni-realm")?;
    let scene = Scene::new(&lab)?;
    // A link of the host's realm, whose other end is in the caller's: it goes when that goes.
    let caller = lab.uplink_at("up1", "caller", 2000)?;
    let before = lab.dump_of(&caller)?;
    let cni = Cni::calling_from(&lab, &caller, described());
    let (inside, path) = scene.container("c")?;
    cni.add("c", &path)?;
    probe::ping(&lab, &inside, "10.95.0.1".parse().unwrap())?;
    assert_eq!(scene.count("networks")?, 0, "it is none of the host's own");
    let links = |namespace| -> Result<Vec<String>> {
        Ok(lab
            .dump_of(namespace)?
            .links
            .into_iter()
            .map(|link| link.kind)
            .collect())
    };
    assert!(
        links(&caller)?.contains(&"bridge".to_owned()),
        "its bridge is in the caller's namespace"
    );
    assert_eq!(lab.dump()?.links.iter().filter(|link| link.kind == "bridge").count(), 0);
    // The same container and subnet from the host's own namespace is another one.
    let own = Cni::new(&lab, described());
    let (_other, other) = scene.container("other")?;
    own.add("c", &other)?;
    own.del("c", &other)?;
    probe::ping(&lab, &inside, "10.95.0.1".parse().unwrap())?;
    cni.del("c", &path)?;
    assert_ne!(links(&caller)?.len(), before.links.len(), "a DEL deletes no network");

    // Let go, and found again by the next call.
    let log = || std::fs::read_to_string(lab.path("host.log")).map_err(|e| LabError::new("read the host's log", e));
    await_that("the host lets an idle realm go", || Ok(log()?.contains("are let go")))?;
    cni.add("c", &path)?;
    probe::ping(&lab, &inside, "10.95.0.1".parse().unwrap())?;
    cni.del("c", &path)?;

    // Nobody is in it any more, and then nobody holds it any more.
    scene.bury("caller", caller)?;
    await_that("the host lets an idle realm go", || {
        Ok(lab.dump()?.links.iter().all(|link| link.name.as_str() != "up1"))
    })?;
    await_that("the host forgets it", || Ok(log()?.contains("is gone and forgotten")))?;
    scene.end(&["pods"])
}

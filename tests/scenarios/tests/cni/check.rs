//! CHECK looks at the kernel.

use jackfield_kernel::{
    Kernel, LinkQuery, Namespace, Request,
    plan::{LinkSetting, Route},
};
use jackfield_lab::{Cni, Lab, LabError, Result};
use serde_json::{Value, json};

use crate::scene::{Scene, described};

/// What somebody does in a container's namespace, and the word by which CHECK tells it.
type Tampering = (fn(&Lab, &Namespace, &Value) -> Result<()>, &'static str);

fn index(lab: &Lab, inside: &Namespace) -> Result<jackfield_kernel::Ifindex> {
    let link = lab.kernel().link(inside, LinkQuery::Name(&"eth0".parse().unwrap()));
    let link = link.map_err(|e| LabError::new("look at eth0", e))?;
    Ok(link.ok_or_else(|| LabError::new("look at eth0", "it is gone"))?.index)
}

fn take_address(lab: &Lab, inside: &Namespace, result: &Value) -> Result<()> {
    let address = result["ips"][0]["address"].as_str().unwrap().parse().unwrap();
    let index = index(lab, inside)?;
    lab.send(inside, &[Request::DeleteAddress { index, address }])
}

fn take_route(lab: &Lab, inside: &Namespace, _result: &Value) -> Result<()> {
    let gateway = "10.95.0.1".parse().unwrap();
    let route = Route::via("0.0.0.0/0".parse().unwrap(), gateway, index(lab, inside)?);
    lab.send(inside, &[Request::DeleteRoute(route)])
}

fn set_down(lab: &Lab, inside: &Namespace, _result: &Value) -> Result<()> {
    let setting = LinkSetting::Up(false);
    lab.send(
        inside,
        &[Request::SetLink {
            index: index(lab, inside)?,
            setting,
        }],
    )
}

fn take_link(lab: &Lab, inside: &Namespace, _result: &Value) -> Result<()> {
    lab.send(
        inside,
        &[Request::DeleteLink {
            index: index(lab, inside)?,
        }],
    )
}

#[test]
fn an_attachment_that_somebody_tampered_with_is_told() -> Result<()> {
    let lab = Lab::new("cni-check")?;
    let scene = Scene::new(&lab)?;
    let cni = Cni::new(&lab, described());
    let tamperings: [Tampering; 4] = [
        (take_address, "its address"),
        (take_route, "the route to 0.0.0.0/0"),
        (set_down, "it is down"),
        (take_link, "it is gone"),
    ];
    for (n, (tamper, word)) in tamperings.into_iter().enumerate() {
        let name = format!("c{n}");
        let (inside, path) = scene.container(&name)?;
        let result = cni.add(&name, &path)?;
        let checked = cni.with("prevResult", result.clone());
        checked.call("CHECK", &name, &path, "eth0")?.result("CHECK")?;
        tamper(&lab, &inside, &result)?;
        let refused = checked.call("CHECK", &name, &path, "eth0")?;
        assert_eq!(refused.code(), 101, "{:?}", refused.out);
        assert!(refused.out["msg"].as_str().unwrap().contains(word), "{}", refused.out);
        cni.del(&name, &path)?;
    }
    scene.end(&["pods"])
}

#[test]
fn what_cannot_be_checked_is_refused() -> Result<()> {
    let lab = Lab::new("cni-check-refused")?;
    let scene = Scene::new(&lab)?;
    let (_inside, path) = scene.container("c")?;
    let cni = Cni::new(&lab, described());
    let result = cni.add("c", &path)?;
    let checked = cni.with("prevResult", result.clone());
    for (cni, container, netns, code) in [
        (&cni, "c", path.as_str(), 7),
        (&checked, "other", &path, 3),
        (&checked, "c", "/run/there/is/none", 4),
        (&checked, "c", "", 4),
        (&checked.with("cniVersion", json!("0.3.1")), "c", &path, 1),
        (&cni.with("prevResult", json!({ "interfaces": 7 })), "c", &path, 7),
    ] {
        let refused = cni.call("CHECK", container, netns, "eth0")?;
        assert_eq!(refused.code(), code, "{:?}", refused.out);
    }
    cni.del("c", &path)?;
    scene.end(&["pods"])
}

//! Attached, reached, detached; again and again, and many at once.

use std::net::SocketAddr;

use jackfield_lab::{Cni, Lab, Result, probe};
use serde_json::json;

use crate::scene::{HOST, OUTSIDE, Scene, address, described};

#[test]
fn a_container_is_attached_reached_and_detached() -> Result<()> {
    let lab = Lab::new("cni-life")?;
    let scene = Scene::new(&lab)?;
    let mapping =
        json!({ "portMappings": [{ "HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "" }] });
    let mut cni = Cni::new(&lab, described()).with("runtimeConfig", mapping);
    cni.arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns1;K8S_POD_NAME=web0".to_owned();
    let (web, path) = scene.container("web")?;
    let result = cni.add("c1", &path)?;
    let interface = &result["interfaces"][0];
    assert_eq!(
        (&interface["name"], &interface["sandbox"]),
        (&json!("eth0"), &json!(path))
    );
    assert!(interface["mac"].is_string(), "{result}");
    assert_eq!(result["ips"][0]["gateway"], "10.95.0.1");
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0", "gw": "10.95.0.1" }]));
    let endpoints = scene.client()?.get("/v1/endpoints")?.ok("endpoints")?;
    assert_eq!(endpoints[0]["labels"]["K8S_POD_NAME"], "web0");

    // Out, with the host's address, and in by the published port.
    let server = SocketAddr::new(OUTSIDE.parse().unwrap(), 99);
    let seen = probe::tcp(&lab, &web, &scene.outside, server, server)?;
    assert_eq!(seen.ip().to_string(), HOST, "what leaves has the host's address");
    let inside = SocketAddr::new(address(&result), 80);
    let published = SocketAddr::new(HOST.parse().unwrap(), 8080);
    probe::tcp(&lab, &scene.outside, &web, inside, published)?;

    let again = cni.call("ADD", "c1", &path, "eth0")?;
    assert_eq!(again.code(), 105, "{:?}", again.out);
    cni.del("c1", &path)?;
    cni.del("c1", &path)?;
    cni.del("c1", "")?;
    cni.del("never", "")?;
    // And once more, with interface, address and port free again.
    cni.add("c1", &path)?;
    scene.bury("web", web)?;
    cni.del("c1", &path)?;
    cni.del("c1", "")?;
    assert_eq!(scene.count("sandboxes")?, 0);
    scene.end(&["pods"])
}

#[test]
fn two_interfaces_of_a_container_are_one_sandbox_and_go_one_by_one() -> Result<()> {
    let lab = Lab::new("cni-two")?;
    let scene = Scene::new(&lab)?;
    let (inside, path) = scene.container("c")?;
    let pods = Cni::new(&lab, described());
    let blue = pods
        .with("name", json!("blue"))
        .with("subnets", json!(["10.96.0.0/24"]));
    pods.add("c", &path)?;
    let second = blue.call("ADD", "c", &path, "net1")?.result("second")?;
    assert!(
        second["routes"].is_null(),
        "the default route goes by the first: {second}"
    );
    // Another one on the first network.
    pods.call("ADD", "c", &path, "net2")?.result("third")?;
    assert_eq!((scene.count("sandboxes")?, scene.count("endpoints")?), (1, 3));

    // What never came about, under a name that another network's interface has.
    assert!(!blue.call("ADD", "c", &path, "eth0")?.ok);
    blue.call("DEL", "c", &path, "eth0")?.result("of the failed")?;
    probe::ping(&lab, &inside, "10.95.0.1".parse().unwrap())?;

    pods.del("c", &path)?;
    assert_eq!((scene.count("sandboxes")?, scene.count("endpoints")?), (1, 2));
    pods.call("DEL", "c", "", "net2")?.result("DEL net2")?;
    blue.call("DEL", "c", "", "net1")?.result("DEL net1")?;
    assert_eq!((scene.count("sandboxes")?, scene.count("endpoints")?), (0, 0));
    scene.end(&["pods", "blue"])
}

#[test]
fn twenty_at_once_have_addresses_of_their_own() -> Result<()> {
    let lab = Lab::new("cni-many")?;
    let scene = Scene::new(&lab)?;
    let containers: Vec<_> = (0..20)
        .map(|n| scene.container(&format!("c{n}")))
        .collect::<Result<_>>()?;
    let (lab, cni) = (&lab, &Cni::new(&lab, described()));
    let mut addresses: Vec<String> = std::thread::scope(|scope| {
        let add = |(n, (_, path)): (usize, &(_, String))| {
            let path = path.clone();
            scope.spawn(move || {
                cni.add(&format!("c{n}"), &path)
                    .map(|result| address(&result).to_string())
            })
        };
        let added: Vec<_> = containers.iter().enumerate().map(add).collect();
        added
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Result<_>>()
    })?;
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 20);
    probe::ping(lab, &containers[0].0, addresses[7].parse().unwrap())?;
    std::thread::scope(|scope| {
        let del = |n| scope.spawn(move || cni.del(&format!("c{n}"), ""));
        let deleted: Vec<_> = (0..20).map(del).collect();
        deleted.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    scene.end(&["pods"])
}

#[test]
fn each_version_gets_its_own_result_and_an_unknown_one_a_refusal() -> Result<()> {
    let lab = Lab::new("cni-versions")?;
    let scene = Scene::new(&lab)?;
    let (_inside, path) = scene.container("c")?;
    let cni = Cni::new(&lab, described());
    for (version, with_family) in [("0.3.1", true), ("0.4.0", true), ("1.0.0", false), ("1.1.0", false)] {
        let cni = cni.with("cniVersion", json!(version));
        let result = cni.add("c", &path)?;
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["ips"][0]["version"].is_string(), with_family, "{result}");
        cni.del("c", &path)?;
    }
    let refused = cni.with("cniVersion", json!("0.2.0")).call("ADD", "c", &path, "eth0")?;
    assert_eq!(refused.code(), 1);
    let said = cni.call("VERSION", "", "", "")?.result("VERSION")?;
    assert_eq!(said["supportedVersions"].as_array().map(Vec::len), Some(4));
    scene.end(&["pods"])
}

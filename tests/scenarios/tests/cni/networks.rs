//! Networks by name, by description, and by the words of the reference plugins.

use jackfield_kernel::Kernel;
use jackfield_lab::{Cni, Lab, Result, probe};
use serde_json::json;

use crate::scene::{Scene, address, described};

#[test]
fn a_network_that_exists_is_used_by_the_configuration_that_the_host_prints() -> Result<()> {
    let lab = Lab::new("cni-named")?;
    let scene = Scene::new(&lab)?;
    scene.host.cli(&[
        "network",
        "create",
        "blue",
        "--subnet",
        "10.97.0.0/24",
        "--subnet",
        "fd00:97::/64",
    ])?;
    let list: serde_json::Value =
        serde_json::from_str(&scene.host.cli(&["network", "inspect", "--cni", "blue"])?).unwrap();
    let mut plugin = list["plugins"][0].clone();
    assert_eq!(plugin["socket"], json!(lab.path("shim.sock")));
    // As libcni puts it together.
    (plugin["name"], plugin["cniVersion"]) = (list["name"].clone(), list["cniVersion"].clone());
    plugin["runtimeConfig"] = json!({ "ips": ["10.97.0.77/24"], "mac": "02:42:00:00:00:77", "aliases": ["db"],
        "bandwidth": { "ingressRate": 100_000_000, "ingressBurst": 8_000_000, "egressRate": 0, "egressBurst": 0 } });
    let cni = Cni::new(&lab, plugin);
    let (inside, path) = scene.container("c")?;
    let result = cni.add("c", &path)?;
    assert_eq!(address(&result).to_string(), "10.97.0.77");
    assert_eq!(result["interfaces"][0]["mac"], "02:42:00:00:00:77");
    assert_eq!(
        result["ips"].as_array().map(Vec::len),
        Some(2),
        "one of each family: {result}"
    );
    probe::ping(&lab, &inside, "fd00:97::1".parse().unwrap())?;
    cni.del("c", &path)?;
    assert_eq!(scene.count("networks")?, 1, "a DEL deletes no network");
    let unknown = cni.with("network", json!("blu"));
    let refused = unknown.call("ADD", "c", &path, "eth0")?;
    assert_eq!(refused.code(), 7, "{:?}", refused.out);
    scene.end(&["blue"])
}

#[test]
fn a_configuration_of_the_bridge_plugin_means_what_it_means_there() -> Result<()> {
    let lab = Lab::new("cni-translated")?;
    let scene = Scene::new(&lab)?;
    let cni = Cni::new(
        &lab,
        json!({
            "cniVersion": "0.4.0", "name": "cst", "type": "jackfield-cni", "bridge": "cni0", "isGateway": true, "ipMasq": true,
            "hairpinMode": true, "mtu": 1400,
            "ipam": { "type": "host-local", "dataDir": "/run/cni-ipam", "routes": [{ "dst": "0.0.0.0/0" }],
                "ranges": [[{ "subnet": "10.98.0.0/24", "rangeStart": "10.98.0.50", "rangeEnd": "10.98.0.60" }]] },
        }),
    );
    let (inside, path) = scene.container("c")?;
    let result = cni.add("c", &path)?;
    assert_eq!(address(&result).to_string(), "10.98.0.50", "the range's first");
    assert_eq!(result["ips"][0]["gateway"], "10.98.0.1");
    probe::ping(&lab, &inside, "10.98.0.1".parse().unwrap())?;
    let bridge = lab
        .kernel()
        .link(lab.realm(), jackfield_kernel::LinkQuery::Name(&"cni0".parse().unwrap()));
    assert_eq!(
        bridge.unwrap().map(|link| (link.kind, link.mtu)),
        Some(("bridge".to_owned(), 1400))
    );
    cni.del("c", &path)?;

    // Its defaults are that plugin's: no default route unless one is asked for.
    let mut config = cni.config.clone();
    config["ipam"]["routes"] = json!([{ "dst": "10.200.0.0/16" }]);
    let bare = Cni::new(&lab, config);
    let result = bare.add("c", &path)?;
    assert!(result["routes"].is_null(), "{result}");
    let routes = lab.dump_of(&inside)?.routes;
    assert!(
        routes
            .iter()
            .any(|r| r.route.destination.to_string() == "10.200.0.0/16"),
        "{routes:?}"
    );
    assert!(routes.iter().all(|r| r.route.destination.prefix() != 0), "{routes:?}");
    bare.del("c", &path)?;
    scene.end(&["cst"])
}

#[test]
fn a_changed_description_is_refused_while_somebody_is_in_the_network_and_taken_afterwards() -> Result<()> {
    let lab = Lab::new("cni-changed")?;
    let scene = Scene::new(&lab)?;
    let old = Cni::new(&lab, described());
    let new = old.with("subnets", json!(["10.99.0.0/24"]));
    let (_a, a) = scene.container("a")?;
    let (_b, b) = scene.container("b")?;
    old.add("a", &a)?;
    let refused = new.call("ADD", "b", &b, "eth0")?;
    assert_eq!(refused.code(), 106, "{:?}", refused.out);
    new.del("b", &b)?;
    // What was made under the old one goes under the new one.
    new.del("a", &a)?;
    assert!(address(&new.add("b", &b)?).to_string().starts_with("10.99."));
    // Another name that wants the subnet of one that nobody is in.
    new.del("b", &b)?;
    let renamed = new.with("name", json!("renamed"));
    renamed.add("b", &b)?;
    renamed.del("b", &b)?;
    scene.end(&["renamed"])
}

#[test]
fn a_later_plugin_continues_what_others_did() -> Result<()> {
    let lab = Lab::new("cni-chained")?;
    let scene = Scene::new(&lab)?;
    let (_inside, path) = scene.container("c")?;
    let previous = json!({ "cniVersion": "1.1.0", "interfaces": [{ "name": "lo", "sandbox": path }],
        "ips": [{ "address": "127.0.0.1/8", "interface": 0 }], "dns": { "nameservers": ["192.0.2.53"] } });
    let cni = Cni::new(&lab, described()).with("prevResult", previous);
    let result = cni.add("c", &path)?;
    assert_eq!(result["interfaces"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&result["ips"][1]["interface"], &result["dns"]["nameservers"][0]),
        (&json!(1), &json!("192.0.2.53"))
    );
    let check = cni.with("prevResult", result);
    check.call("CHECK", "c", &path, "eth0")?.result("CHECK")?;
    cni.del("c", &path)?;
    assert_eq!(
        cni.with("prevResult", json!([]))
            .call("ADD", "c", &path, "eth0")?
            .code(),
        7
    );
    scene.end(&["pods"])
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() -> Result<()> {
    let lab = Lab::new("cni-refused")?;
    let scene = Scene::new(&lab)?;
    let (_inside, path) = scene.container("c")?;
    let realm = lab.namespace_path("realm").to_string_lossy().into_owned();
    let cni = Cni::new(&lab, described());
    let (good, mut wrong) = (&cni, Vec::new());
    let mut wrong_arguments = cni.clone();
    wrong_arguments.arguments = "FOO=bar".to_owned();
    for (cni, container, netns, interface, code) in [
        (&cni, "c", "/run/there/is/none", "eth0", 4),
        (&cni, "c", "/etc/hostname", "eth0", 7),
        (&cni, "../c", &path, "eth0", 4),
        (&cni, "c", &path, "a/b", 4),
        (&wrong_arguments, "c", &path, "eth0", 4),
        // The host's own network is no sandbox.
        (&cni, "c", &realm, "eth0", 104),
        (&cni, "c", &path, "lo", 105),
        (&cni.with("subnets", json!(["10.95.0.7/24"])), "c", &path, "eth0", 7),
        (&cni.with("driver", json!("acme")), "c", &path, "eth0", 102),
        (&cni.with("options", json!({ "colour": "blue" })), "c", &path, "eth0", 7),
        (&cni.with("name", json!("a b")), "c", &path, "eth0", 7),
        (&cni.with("ipam", json!({ "type": "dhcp" })), "c", &path, "eth0", 2),
        (
            &cni.with("runtimeConfig", json!({ "ips": ["10.7.7.7"] })),
            "c",
            &path,
            "eth0",
            7,
        ),
    ] {
        let refused = cni.call("ADD", container, netns, interface)?;
        let other = || format!("{container} {netns} {interface}, not {code}: {}", refused.out);
        wrong.extend((refused.code() != code).then(other));
        assert!(!refused.out["msg"].as_str().unwrap().is_empty());
        good.del("c", &path)?;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((scene.count("sandboxes")?, scene.count("endpoints")?), (0, 0));
    scene.end(&["pods"])
}

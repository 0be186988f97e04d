//! netavark's plugin, with Podman's own words.

use std::process::Command;

use jackfield_lab::{CniAnswer, Lab, LabError, Result, cni, probe, program_named};
use serde_json::{Value, json};

use crate::scene::{HOST, Scene, options};

/// As Podman 4.3 wrote it, with our driver.
fn setup() -> Value {
    json!({
        "container_id": "4f6d9f29b0c818892698246729b4c63730cadf7766fc69ea4633477eebb357bc", "container_name": "pp",
        "port_mappings": [{"container_port": 80, "host_ip": "", "host_port": 8081, "protocol": "tcp", "range": 1}],
        "network": {
            "created": "2026-11-23T17:05:59.580823186Z", "dns_enabled": false, "driver": "jackfield", "id": "1".repeat(64),
            "internal": false, "ipv6_enabled": false, "name": "sp1", "network_interface": "stub0",
            "ipam_options": {"driver": "host-local"}, "subnets": [{"gateway": "10.90.0.1", "subnet": "10.90.0.0/24"}],
        },
        "network_options": {"aliases": ["zz", "4f6d9f29b0c8"], "interface_name": "net7", "static_ips": ["10.90.0.77"],
            "static_mac": null, "options": null},
    })
}

fn call(lab: &Lab, arguments: &[&str], input: &Value) -> Result<CniAnswer> {
    let mut command = Command::new(program_named("jackfield-netavark"));
    command
        .args(arguments)
        .env("JACKFIELD_SHIM_SOCKET", lab.path("shim.sock"));
    let answer = lab.within(lab.realm(), || cni::run(command, input))?;
    answer.map_err(|e| LabError::new(format!("netavark {}", arguments.join(" ")), e))
}

#[test]
fn a_container_of_podman_is_set_up_reached_and_torn_down() -> Result<()> {
    let lab = Lab::new("netavark-life")?;
    let mut scene = Scene::new(&lab)?;
    let (inside, path) = scene.container("pp")?;
    let network = setup()["network"].clone();
    assert_eq!(
        call(&lab, &["create"], &network)?.result("create")?,
        network,
        "it comes back as it is"
    );
    let status = call(&lab, &["setup", &path], &setup())?.result("setup")?;
    let interface = &status["interfaces"]["net7"];
    assert_eq!(
        interface["subnets"],
        json!([{ "gateway": "10.90.0.1", "ipnet": "10.90.0.77/24" }])
    );
    assert!(interface["mac_address"].as_str().unwrap().len() == 17, "{status}");
    assert_eq!(
        (&status["dns_server_ips"], &status["dns_search_domains"]),
        (&json!([]), &json!([]))
    );
    let at = |text: &str| text.parse().unwrap();
    probe::tcp(
        &lab,
        &scene.outside,
        &inside,
        at("10.90.0.77:80"),
        at(&format!("{HOST}:8081")),
    )?;

    // The address is Podman's to give: what it gave twice is refused, with words of ours.
    let (_other, other) = scene.container("other")?;
    let mut second = setup();
    second["container_id"] = json!("502b862c3f89");
    second["port_mappings"] = json!(null);
    let refused = call(&lab, &["setup", &other], &second)?;
    assert!(
        !refused.ok && refused.out["error"].as_str().unwrap().contains("10.90.0.77"),
        "{:?}",
        refused.out
    );
    assert_eq!(refused.out.as_object().unwrap().len(), 1);

    call(&lab, &["teardown", &path], &setup())?.result("teardown")?;
    call(&lab, &["teardown", "/run/there/is/none"], &setup())?.result("teardown again")?;
    // And while the host is away.
    call(&lab, &["setup", &path], &setup())?.result("setup")?;
    scene.host.kill()?;
    let down = call(&lab, &["setup", &other], &second)?;
    assert!(
        down.out["error"].as_str().unwrap().contains("jackfield serve"),
        "{:?}",
        down.out
    );
    call(&lab, &["teardown", &path], &setup())?.result("teardown while the host is down")?;
    scene.host.restart(options())?;
    assert_eq!((scene.count("sandboxes")?, scene.count("endpoints")?), (0, 0));
    scene.end(&["sp1"])
}

#[test]
fn what_is_wrong_is_refused_with_one_key_and_a_status() -> Result<()> {
    let lab = Lab::new("netavark-refused")?;
    let scene = Scene::new(&lab)?;
    let (_inside, path) = scene.container("pp")?;
    let changed = |place: &str, value: Value| {
        let mut input = setup();
        *input.pointer_mut(place).unwrap() = value;
        input
    };
    let network = |driver: &str| changed("/network/driver", json!(driver))["network"].clone();
    for (arguments, input, said) in [
        (vec![], json!({}), "expected one of"),
        (vec!["update", "x"], json!({}), "expected one of"),
        (vec!["create"], network("acme"), "acme"),
        (vec!["create"], json!([]), "expected an object"),
        (vec!["setup", &path], json!({}), "container_id"),
        (vec!["setup", &path], changed("/network/driver", json!("acme")), "acme"),
        (
            vec!["setup", &path],
            changed("/network_options/static_ips", json!(["10.7.7.7"])),
            "10.7.7.7",
        ),
        (vec!["setup", "/run/there/is/none"], setup(), "no network namespace"),
        (vec!["teardown", &path], json!({ "container_id": "x" }), "network.name"),
    ] {
        let refused = call(&lab, &arguments, &input)?;
        assert!(!refused.ok, "{arguments:?}");
        assert_eq!(refused.out.as_object().map(|o| o.len()), Some(1), "{:?}", refused.out);
        assert!(
            refused.out["error"].as_str().unwrap().contains(said),
            "{:?}",
            refused.out
        );
    }
    assert_eq!(
        call(&lab, &["info"], &json!({}))?.result("info")?["api_version"],
        "1.0.0"
    );
    assert_eq!((scene.count("sandboxes")?, scene.count("endpoints")?), (0, 0));
    scene.end(&["sp1"])
}

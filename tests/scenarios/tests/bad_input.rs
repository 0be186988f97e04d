//! Bad input gets one clear sentence and a 4xx, and changes nothing: not the host's state, not the kernel.

use jackfield_kernel::{Dump, Kernel, LinkQuery, Request};
use jackfield_lab::{Answer, Client, Lab, LabError, Result, Sandbox, component};
use jackfield_scenarios::{KINDS, host, load};
use serde_json::{Value, json};

/// All that the host and the kernel can be asked about.
fn everything(lab: &Lab, client: &mut Client) -> Result<(Vec<Value>, Dump)> {
    let lists = ["/v1/networks", "/v1/endpoints", "/v1/sandboxes", "/v1/drivers"];
    let told = lists
        .iter()
        .map(|path| client.get(path)?.ok(path))
        .collect::<Result<Vec<_>>>()?;
    Ok((told, lab.dump()?))
}

/// A 4xx with one sentence in which each of those words stands.
fn expect_refusal(what: &str, answer: &Answer, words: &[&str]) {
    let detail = answer.detail();
    assert!(
        (400..500).contains(&answer.status),
        "{what}: {} {}",
        answer.status,
        answer.body
    );
    assert!(
        !detail.is_empty() && !detail.contains('\n'),
        "{what}: expected one sentence: {}",
        answer.body
    );
    for word in words {
        assert!(detail.contains(word), "{what}: expected {word:?} in: {detail}");
    }
}

/// What networks are refused for, and what the refusal must say.
fn networks() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        ("unknown field", json!({ "name": "n", "subnets": [] }), &["subnets"]),
        (
            "unknown option",
            json!({ "name": "n", "options": { "mtuu": "1400" } }),
            &["mtuu", "mtu"],
        ),
        (
            "bad option value",
            json!({ "name": "n", "options": { "mtu": "large" } }),
            &["mtu", "large"],
        ),
        (
            "bad CIDR",
            json!({ "name": "n", "pools": [{ "subnet": "10.9.0.0/33" }] }),
            &["10.9.0.0/33", "expected"],
        ),
        (
            "host bits",
            json!({ "name": "n", "pools": [{ "subnet": "10.9.0.7/24" }] }),
            &["10.9.0.0/24"],
        ),
        (
            "overlap with a network",
            json!({ "name": "n", "pools": [{ "subnet": "10.77.5.128/25" }] }),
            &["10.77.5.128/25", "10.77.5.0/24"],
        ),
        (
            "overlap with itself",
            json!({ "name": "n", "pools": [{ "subnet": "10.9.0.0/24" }, { "subnet": "10.9.0.0/16" }] }),
            &["10.9.0.0"],
        ),
        ("name taken", json!({ "name": "blue" }), &["blue"]),
        ("bad name", json!({ "name": "a/b" }), &["a/b", "expected"]),
        (
            "gateway outside",
            json!({ "name": "n", "pools": [{ "subnet": "10.9.0.0/24", "gateway": "10.10.0.1" }] }),
            &["10.10.0.1", "10.9.0.0/24"],
        ),
        (
            "range outside",
            json!({ "name": "n", "pools": [{ "subnet": "10.9.0.0/24", "range": "10.10.0.0/25" }] }),
            &["10.10.0.0/25", "10.9.0.0/24"],
        ),
        (
            "overlap with a route",
            json!({ "name": "n", "pools": [{ "subnet": "192.0.2.0/28" }] }),
            &["192.0.2.0/28", "192.0.2.0/24", "up0", "--allow-overlap"],
        ),
        (
            "no room for an endpoint",
            json!({ "name": "n", "pools": [{ "subnet": "10.9.0.0/32", "gateway": "10.9.0.0" }] }),
            &["10.9.0.0/32", "no address for an endpoint"],
        ),
        ("no address family", json!({ "name": "n", "ipv4": false }), &["IPv6"]),
        (
            "no such manager of addresses",
            json!({ "name": "n", "ipam": "dhcp" }),
            &["dhcp", "default", "null"],
        ),
        (
            "no such driver",
            json!({ "name": "n", "driver": "brigde" }),
            &["brigde"],
        ),
        (
            "bridge name too long",
            json!({ "name": "n", "options": { "bridge": "sixteen-bytes-xx" } }),
            &["sixteen-bytes-xx", "15"],
        ),
        ("bad id", json!({ "name": "n", "id": "abc" }), &["abc", "64"]),
    ]
}

/// The same for endpoints that connect the sandbox `a` to `blue`, which has 10.77.5.0/24.
fn connects() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        ("no such sandbox", json!({ "sandbox": "zzz" }), &["zzz"]),
        (
            "address outside",
            json!({ "sandbox": "a", "addresses": ["10.9.9.9"] }),
            &["10.9.9.9"],
        ),
        (
            "the gateway's address",
            json!({ "sandbox": "a", "addresses": ["10.77.5.1"] }),
            &["10.77.5.1", "gateway"],
        ),
        (
            "an address in use",
            json!({ "sandbox": "a", "addresses": ["10.77.5.9"] }),
            &["10.77.5.9", "endpoint", "holder"],
        ),
        (
            "no DNS label",
            json!({ "sandbox": "a", "behind": "a_b" }),
            &["a_b", "label"],
        ),
        (
            "no address",
            json!({ "sandbox": "a", "addresses": ["10.77.5"] }),
            &["10.77.5"],
        ),
        (
            "bad MAC",
            json!({ "sandbox": "a", "mac": "01:00:5e:00:00:01" }),
            &["01:00:5e:00:00:01"],
        ),
        (
            "bad interface",
            json!({ "sandbox": "a", "interface": "sixteen-bytes-xx" }),
            &["sixteen-bytes-xx"],
        ),
        (
            "unknown field",
            json!({ "sandbox": "a", "adresses": [] }),
            &["adresses", "addresses"],
        ),
    ]
}

/// An address of the host's own, and with it a route.
fn give_address(lab: &Lab, link: &str, address: &str) -> Result<()> {
    let step = format!("give {link} {address}");
    let failed = |e: &dyn std::fmt::Display| LabError::new(&step, e);
    let name = link.parse().map_err(|e: jackfield_model::Error| failed(&e))?;
    let found = lab.kernel().link(lab.realm(), LinkQuery::Name(&name));
    let there = found.map_err(|e| failed(&e))?.ok_or_else(|| failed(&"no such link"))?;
    let request = Request::AddAddress {
        index: there.index,
        address: jackfield_model::parse_cidr(address).map_err(|e| failed(&e))?,
    };
    lab.send(lab.realm(), &[request])
}

#[test]
fn refused_requests_say_why_and_change_nothing() -> Result<()> {
    let lab = Lab::new("bad-input")?;
    lab.uplink("up0", "outside")?;
    give_address(&lab, "up0", "192.0.2.1/24")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    client
        .post("/v1/networks", &KINDS[0].network("blue", 5))?
        .ok("create network")?;
    let a = Sandbox::create(&lab, &mut client, "a")?;
    Sandbox::create(&lab, &mut client, "holder")?.connect_with(
        &mut client,
        "blue",
        json!({ "addresses": ["10.77.5.9"] }),
    )?;
    let before = everything(&lab, &mut client)?;
    for (what, request, words) in networks() {
        let answer = client.post("/v1/networks", &request)?;
        expect_refusal(what, &answer, words);
        assert_eq!(everything(&lab, &mut client)?, before, "{what}");
    }
    for (what, request, words) in connects() {
        let answer = client.post("/v1/networks/blue/connect", &request)?;
        expect_refusal(what, &answer, words);
        assert_eq!(everything(&lab, &mut client)?, before, "{what}");
    }
    let huge = json!({ "name": "n", "labels": { "x": "y".repeat(3 << 20) } });
    expect_refusal("body too large", &client.post("/v1/networks", &huge)?, &["large"]);
    let mut client = host.client()?;
    a.connect(&mut client, "blue")?;
    let before = everything(&lab, &mut client)?;
    let answer = client.delete("/v1/networks/blue")?;
    expect_refusal("network in use", &answer, &["blue"]);
    assert_eq!(everything(&lab, &mut client)?, before, "network in use");
    lab.passed()
}

#[test]
fn a_sandbox_that_is_gone_is_refused_in_words() -> Result<()> {
    let lab = Lab::new("sandbox-gone")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    client
        .post("/v1/networks", &KINDS[0].network("blue", 6))?
        .ok("create network")?;
    let missing = lab.namespace_path("nobody");
    let answer = client.post("/v1/sandboxes", &json!({ "name": "x", "path": missing }))?;
    expect_refusal("no such namespace", &answer, &["nobody"]);
    let plain_file = lab.path("grants.toml");
    let answer = client.post("/v1/sandboxes", &json!({ "name": "x", "path": plain_file }))?;
    expect_refusal("no namespace at all", &answer, &["grants.toml", "namespace"]);
    let realm = lab.namespace_path("realm");
    let answer = client.post("/v1/sandboxes", &json!({ "name": "x", "path": realm }))?;
    expect_refusal("the realm itself", &answer, &["realm"]);
    lab.passed()
}

#[test]
fn components_that_cannot_be_drivers_are_refused_in_words() -> Result<()> {
    let lab = Lab::new("bad-components")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    let ptp = component::read("ptp")?;
    let before = everything(&lab, &mut client)?;
    let other_api = replaced(&ptp, b"jackfield:driver/driver@0.1.0", b"jackfield:driver/driver@0.9.0");
    let cases: [(&str, &[u8], &[&str]); 5] = [
        ("empty", b"", &["empty"]),
        ("truncated", &ptp[..ptp.len() / 2], &[]),
        ("a core module", b"\0asm\x01\0\0\0", &["core module"]),
        ("text", b"(component)", &["component"]),
        ("another API version", &other_api, &["0.9.0", "0.1"]),
    ];
    for (what, bytes, words) in cases {
        let answer = client.component("POST", "/v1/drivers", bytes)?;
        expect_refusal(what, &answer, words);
        assert_eq!(everything(&lab, &mut client)?, before, "{what}");
    }
    lab.passed()
}

#[test]
fn a_driver_that_asks_for_more_than_its_grants_is_told_the_line_to_add() -> Result<()> {
    let lab = Lab::new("no-grants")?;
    let host = jackfield_lab::Host::start(&lab, jackfield_lab::HostOptions::default())?;
    let mut client = host.client()?;
    let answer = client.component("POST", "/v1/drivers", &component::read("ptp")?)?;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(answer.detail().contains("links = [\"veth\"]"), "{}", answer.detail());
    load(&mut client, &KINDS[0])
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = bytes.to_vec();
    let places: Vec<usize> = changed
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the component does not name its API");
    places
        .into_iter()
        .for_each(|at| changed[at..at + to.len()].copy_from_slice(to));
    changed
}

//! What runtimes really said, word for word, is understood; and whatever becomes of those words, the answer is one in the runtime's form.
//!
//! Each line of the transcripts is one call: environment or arguments, standard input, and what a stub of the time answered. The stub's
//! configuration has a key `foo` that nobody knows, which an ADD refuses.

// Tests: a transcript that is not as it was is to fail.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use jackfield_shims::{
    cni::{
        Config, Failure, Network, Verb, Version, arguments,
        config::{Outline, decode},
        result::Expected,
        version,
    },
    netavark::{self, Exec},
    protocol::CniCall,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn lines(files: &[&str]) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let text = |file: &&str| fs::read_to_string(folder.join(file)).unwrap();
    let texts: Vec<String> = files.iter().map(text).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn cni_lines() -> Vec<Value> {
    lines(&[
        "cnitool-1.3.0-cni-1.1.jsonl",
        "containerd-1.6-cri-cni.jsonl",
        "containerd-1.6-ctr-cni.jsonl",
        "podman-4.3-cni.jsonl",
    ])
}

fn netavark_lines() -> Vec<Value> {
    lines(&["podman-4.3-netavark-2.1-plugin.jsonl"])
}

fn call(line: &Value) -> CniCall {
    let variable = |name: &str| line["env"][name].as_str().unwrap_or_default().to_owned();
    CniCall {
        verb: variable("CNI_COMMAND"),
        container: variable("CNI_CONTAINERID"),
        netns: variable("CNI_NETNS"),
        interface: variable("CNI_IFNAME"),
        arguments: variable("CNI_ARGS"),
        config: line["stdin"].to_string(),
        resolv_conf: None,
        driver: None,
    }
}

/// What the host does with a call before it asks the controller.
fn understand(call: &CniCall) -> Result<(), Failure> {
    if call.verb == "VERSION" {
        let report = version::report(&call.config);
        assert!(report["supportedVersions"].is_array() && report["cniVersion"].is_string());
        return Ok(());
    }
    let config = decode(&call.config)?;
    let verb = Verb::of(call)?;
    verb.check(Version::of(&config)?)?;
    match verb {
        Verb::Del(_) | Verb::Gc => Outline::read(&config).map(drop),
        Verb::Add(_) | Verb::Status => {
            arguments::read(&call.arguments)?;
            Config::read(config, call.driver.as_deref(), None).map(drop)
        }
        Verb::Check(attachment) => {
            let config = Config::read(config, None, None)?;
            let previous = config.previous.ok_or_else(|| Failure::config("no prevResult"))?;
            Expected::of(&previous, attachment.interface.as_str()).map(drop)
        }
    }
}

/// The same without the key that nobody knows.
fn without_foo(mut line: Value) -> Value {
    line["stdin"].as_object_mut().unwrap().remove("foo");
    line
}

#[test]
fn each_call_of_each_runtime_is_understood() {
    for line in cni_lines() {
        let understood = understand(&call(&without_foo(line.clone())));
        match line["env"]["CNI_COMMAND"].as_str().unwrap() {
            // cnitool's has no prevResult: the stub of the time had refused the ADD before it.
            "CHECK" => assert_eq!(understood.unwrap_err().code, 7),
            _ => assert_eq!(understood, Ok(()), "{line}"),
        }
    }
}

#[test]
fn a_wish_that_nobody_knows_is_refused_where_something_is_made_and_nowhere_else() {
    for line in cni_lines() {
        let understood = understand(&call(&line));
        match line["env"]["CNI_COMMAND"].as_str().unwrap() {
            "ADD" | "STATUS" => {
                let refusal = understood.unwrap_err();
                assert_eq!(refusal.code, 7);
                assert!(refusal.message.contains("\"foo\""), "{}", refusal.message);
            }
            "CHECK" => assert!(understood.is_err()),
            _ => assert_eq!(understood, Ok(())),
        }
    }
}

#[test]
fn containerds_and_podmans_wishes_are_read_out_of_their_calls() {
    let adds = cni_lines()
        .into_iter()
        .filter(|line| line["env"]["CNI_COMMAND"] == "ADD");
    let read = |line: Value| {
        let call = call(&without_foo(line));
        let config = Config::read(decode(&call.config).unwrap(), None, None).unwrap();
        (config, arguments::read(&call.arguments).unwrap())
    };
    let all: Vec<_> = adds.map(read).collect();
    let published: usize = all.iter().map(|(config, _)| config.runtime.ports.len()).sum();
    assert_eq!(
        published, 3,
        "of containerd's two capitalised mappings and podman's one"
    );
    assert!(
        all.iter()
            .any(|(_, arguments)| arguments.labels.contains_key("K8S_POD_NAMESPACE"))
    );
    let podmans = all.iter().find(|(_, arguments)| arguments.mac.is_some()).unwrap();
    assert_eq!(podmans.1.addresses, ["10.95.0.55".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(podmans.0.runtime.aliases.len(), 2);
    for (config, _) in &all {
        let Network::Described(described) = &config.network else {
            panic!("it describes its network")
        };
        assert_eq!(described.options["bridge"], "cnistub0");
        assert_eq!(described.pools[0].subnet.to_string(), "10.95.0.0/24");
    }
}

#[test]
fn podmans_calls_of_netavark_are_understood() {
    for line in netavark_lines() {
        let exec = Exec::read(line["stdin"].clone()).unwrap();
        assert_eq!(exec.network.driver.as_deref(), Some("stubplug"));
        assert_eq!((exec.addresses.len(), exec.network.subnets.len()), (1, 1));
        let network = netavark::Network::read(line["stdin"]["network"].clone()).unwrap();
        assert_eq!(network, exec.network);
    }
    assert_eq!(netavark::info()["api_version"], "1.0.0");
}

/// Something to put in the place of a part of a call.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(1e300)),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("10.0.0.0/0"),
            Just("::/128"),
            Just("255.255.255.255/32"),
            Just("0.0.0.0/32"),
            Just("eth0"),
            Just("1.1.0")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Keys that mean something, more often than others.
fn words() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 22] = [
        "subnet",
        "subnets",
        "rangeStart",
        "rangeEnd",
        "gateway",
        "ranges",
        "routes",
        "dst",
        "gw",
        "hostPort",
        "containerPort",
        "ipam",
        "type",
        "driver",
        "network",
        "options",
        "dns",
        "nameservers",
        "interfaces",
        "ips",
        "address",
        "bandwidth",
    ];
    prop_oneof![3 => prop::sample::select(&KNOWN[..]).prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// Where a call can be changed: every place in it.
fn places(value: &Value, here: String, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            places(
                value,
                format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")),
                into,
            );
        }),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, value)| places(value, format!("{here}/{i}"), into)),
        _ => {}
    }
    into.push(here);
}

fn mutate(line: &mut Value, changes: &[(prop::sample::Index, Value)]) {
    for (index, value) in changes {
        let mut all = Vec::new();
        places(line, String::new(), &mut all);
        let place = index.get(&all);
        if let Some(spot) = line.pointer_mut(place) {
            *spot = value.clone();
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Value)>> {
    prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_cni_call_is_understood_or_refused_in_cnis_form(which: prop::sample::Index, changes in changes()) {
        let mut line = without_foo(which.get(&cni_lines()).clone());
        mutate(&mut line, &changes);
        if let Err(refusal) = understand(&call(&line)) {
            let printed = refusal.json(Version::default());
            prop_assert!(printed["code"].as_u64().is_some_and(|code| code > 0), "{}", printed);
            prop_assert!(!refusal.message.is_empty() && refusal.message.len() < 2000, "{}", printed);
        }
    }

    #[test]
    fn a_changed_netavark_call_is_understood_or_refused(which: prop::sample::Index, changes in changes()) {
        let mut line = which.get(&netavark_lines()).clone();
        mutate(&mut line, &changes);
        let input = line["stdin"].clone();
        for refusal in [Exec::read(input.clone()).err(), netavark::Network::read(input["network"].clone()).err()].into_iter().flatten() {
            let printed = netavark::error(&refusal.0);
            prop_assert_eq!(printed.as_object().unwrap().len(), 1);
            prop_assert!(!refusal.0.is_empty() && refusal.0.len() < 2000);
        }
    }

    #[test]
    fn any_bytes_are_refused_in_cnis_form(text in ".{0,200}") {
        let call = CniCall { verb: "ADD".into(), container: "c".into(), netns: "/n".into(), interface: "eth0".into(), config: text, ..CniCall::default() };
        prop_assert!(understand(&call).is_err());
    }
}

//! Drivers that are processes of their own: a classic plugin on a socket serves networks as any other driver does, and costs nobody his patience
//! when it is dead or hangs.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, LinkQuery};
use jackfield_lab::{
    Client, Host, HostOptions, Joined, Lab, LabError, Result, Sandbox,
    plugin::{Mood, Plugin},
    probe,
};
use jackfield_scenarios::expect_as_before;
use serde_json::{Value, json};

/// How long anything may take that needs no answer of the plugin.
const AT_ONCE: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(40);

fn folder(lab: &Lab) -> PathBuf {
    lab.path("plugins")
}

fn host(lab: &Lab) -> Result<Host<'_>> {
    let options = HostOptions {
        arguments: vec!["--plugin-dir".to_owned(), folder(lab).display().to_string()],
        ..HostOptions::default()
    };
    Host::start(lab, options)
}

fn network() -> Value {
    json!({
        "name": "blue", "driver": "acme", "options": { "color": "blue" },
        "pools": [{ "subnet": "10.79.1.0/24" }, { "subnet": "fd00:79:1::/64" }],
    })
}

fn joined(lab: &Lab, client: &mut Client, name: &str, request: Value) -> Result<(Sandbox, Joined)> {
    let sandbox = Sandbox::create(lab, client, name)?;
    let joined = sandbox.connect_with(client, "blue", request)?;
    Ok((sandbox, joined))
}

/// Waits until that holds.
fn eventually(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return Err(LabError::new(what, "it did not come to that"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_plugin_connects_sandboxes_with_ports_and_gets_its_links_back() -> Result<()> {
    let lab = Lab::new("plugin")?;
    let before = lab.dump()?;
    let plugin = Plugin::start(&lab, &folder(&lab), "acme")?;
    let mut host = host(&lab)?;
    let mut client = host.client()?;
    let listed = host.cli(&["driver", "ls"])?;
    assert!(
        listed.lines().any(|l| l.contains("acme") && l.contains("plugin")),
        "{listed}"
    );

    client.post("/v1/networks", &network())?.ok("create network")?;
    let created = plugin.calls("NetworkDriver.CreateNetwork");
    assert_eq!(created.len(), 1);
    assert_eq!(
        created[0]["Options"]["com.docker.network.generic"],
        json!({ "color": "blue" })
    );
    assert_eq!(created[0]["IPv4Data"][0]["Gateway"], "10.79.1.1/24");

    let publish = json!({ "publish": [{ "container_port": 80, "host_port": 8080 }], "mac": "02:00:00:00:00:77" });
    let (web, in_web) = joined(&lab, &mut client, "web", publish)?;
    let (other, in_other) = joined(&lab, &mut client, "other", json!({}))?;
    assert_eq!(in_web.interface, "plug0");
    for address in &in_web.addresses {
        probe::ping(&lab, &other.namespace, *address)?;
        let target = SocketAddr::new(*address, 7000);
        probe::tcp(&lab, &other.namespace, &web.namespace, target, target)?;
    }
    let inside = SocketAddr::new(in_web.addresses[0], 80);
    probe::tcp(
        &lab,
        lab.realm(),
        &web.namespace,
        inside,
        "127.0.0.1:8080".parse().unwrap(),
    )?;
    assert!(
        web.route(&lab, "10.99.0.1".parse().unwrap())?.is_some(),
        "the plugin's static route"
    );
    let link = lab
        .kernel()
        .link(&web.namespace, LinkQuery::Name(&"plug0".parse().unwrap()))
        .unwrap()
        .unwrap();
    assert_eq!(link.mac.unwrap().to_string(), "02:00:00:00:00:77");

    // The host dies and comes back while they are connected.
    host.kill()?;
    probe::ping(&lab, &other.namespace, in_web.addresses[0])?;
    host.restart(HostOptions {
        arguments: vec!["--plugin-dir".to_owned(), folder(&lab).display().to_string()],
        ..HostOptions::default()
    })?;
    let mut client = host.client()?;
    other.disconnect(&mut client, "blue")?;
    assert_eq!(in_other.interface, "plug0");
    assert_eq!(plugin.calls("NetworkDriver.Leave").len(), 1);
    web.delete(&mut client)?;
    other.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    eventually("the plugin hears that all is gone", || {
        plugin.calls("NetworkDriver.DeleteNetwork").len() == 1
    })?;
    assert_eq!(plugin.calls("NetworkDriver.DeleteEndpoint").len(), 2);
    drop(client);
    host.stop()?;
    eventually("nothing is left", || lab.dump().is_ok_and(|now| now == before))?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn a_refusal_of_a_plugin_is_told_and_leaves_nothing() -> Result<()> {
    let lab = Lab::new("plugin-refuses")?;
    let before = lab.dump()?;
    let plugin = Plugin::start(&lab, &folder(&lab), "acme")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    client.post("/v1/networks", &network())?.ok("create network")?;
    let sandbox = Sandbox::create(&lab, &mut client, "a")?;
    let inside = lab.dump_of(&sandbox.namespace)?;
    for (mood, words) in [(Mood::RefusesJoins, "no room"), (Mood::Babbles, "not as expected")] {
        plugin.set_mood(mood);
        let answer = client.post("/v1/networks/blue/connect", &json!({ "sandbox": "a" }))?;
        assert!(answer.detail().contains(words), "{mood:?}: {}", answer.detail());
        assert_eq!(lab.dump_of(&sandbox.namespace)?, inside);
    }
    plugin.set_mood(Mood::Well);
    sandbox.connect(&mut client, "blue")?;
    sandbox.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    eventually("nothing is left", || lab.dump().is_ok_and(|now| now == before))?;
    lab.passed()
}

#[test]
fn a_dead_plugin_costs_one_error_and_blocks_no_way_down() -> Result<()> {
    let lab = Lab::new("plugin-dead")?;
    let before = lab.dump()?;
    let plugin = Plugin::start(&lab, &folder(&lab), "acme")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    client.post("/v1/networks", &network())?.ok("create network")?;
    let (a, _) = joined(&lab, &mut client, "a", json!({}))?;
    let b = Sandbox::create(&lab, &mut client, "b")?;
    plugin.set_mood(Mood::Hangs);
    let connect = json!({ "sandbox": "b" });
    let first = Instant::now();
    let answer = client.post("/v1/networks/blue/connect", &connect)?;
    assert!(answer.detail().contains("gave no answer"), "{}", answer.detail());
    assert!(
        first.elapsed() < Duration::from_secs(12),
        "one deadline, and that of the way back: {:?}",
        first.elapsed()
    );
    // Whatever else is asked of it now is refused at once, and whoever goes down is not held up.
    let second = Instant::now();
    let answer = client.post("/v1/networks/blue/connect", &connect)?;
    assert!(
        answer.detail().contains("is not asked at the moment"),
        "{}",
        answer.detail()
    );
    assert!(second.elapsed() < AT_ONCE, "{:?}", second.elapsed());
    drop(plugin);
    let down = Instant::now();
    a.delete(&mut client)?;
    b.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    assert!(down.elapsed() < 2 * AT_ONCE, "{:?}", down.elapsed());
    // It comes back, and is told what it missed.
    let plugin = Plugin::start(&lab, &folder(&lab), "acme")?;
    eventually("the plugin hears what it missed", || {
        plugin.calls("NetworkDriver.DeleteNetwork").len() == 1
            && !plugin.calls("NetworkDriver.DeleteEndpoint").is_empty()
    })?;
    drop(client);
    host.stop()?;
    eventually("nothing is left", || lab.dump().is_ok_and(|now| now == before))?;
    lab.passed()
}

#[test]
fn a_plugin_is_no_component_and_is_found_by_its_name() -> Result<()> {
    let lab = Lab::new("plugin-names")?;
    let _plugin = Plugin::start(&lab, &folder(&lab), "acme")?;
    let host = host(&lab)?;
    let mut client = host.client()?;
    let answer = client.post("/v1/networks", &json!({ "name": "x", "driver": "acm" }))?;
    assert!(answer.detail().contains("did you mean \"acme\""), "{}", answer.detail());
    let answer = client.delete("/v1/drivers/acme")?;
    assert!(answer.detail().contains("cannot be unloaded"), "{}", answer.detail());
    drop(client);
    host.stop()?;
    lab.passed()
}

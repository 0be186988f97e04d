//! kill -9 at every boundary of the journal: afterwards the kernel holds what it held before the operation, or what it holds after it, and all
//! can be removed.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use jackfield_kernel::{Dump, Kernel, NamespaceSource};
use jackfield_lab::{Client, Host, HostOptions, Lab, LabError, Result, component};
use jackfield_scenarios::{KINDS, Kind, expect_as_before, load};
use serde_json::{Value, json};

/// Far more than one scenario appends; the loop ends when the host no longer dies.
const MOST_RECORDS: usize = 200;
/// Longer than the reaper waits for company, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the doomed host is asked to do, in order; each answer may be the one that never comes.
fn work(client: &mut Client, kind: &Kind) -> Result<()> {
    client
        .post("/v1/networks", &kind.network("blue", 7))?
        .ok("create network")?;
    client
        .post("/v1/sandboxes", &json!({ "name": "a" }))?
        .ok("create sandbox")?;
    client
        .post("/v1/networks/blue/connect", &connect(kind))?
        .ok("connect")?;
    if kind.component.is_none() {
        change_ports(client)?;
    }
    client
        .post("/v1/networks/blue/disconnect", &json!({ "sandbox": "a" }))?
        .ok("disconnect")?;
    client
        .post("/v1/networks/blue/connect", &json!({ "sandbox": "a" }))?
        .ok("connect again")?;
    client.delete("/v1/sandboxes/a")?.ok("delete sandbox")?;
    client.delete("/v1/networks/blue")?.ok("delete network").map(drop)
}

/// The built-in bridge's round publishes.
fn connect(kind: &Kind) -> Value {
    if kind.component.is_some() {
        return json!({ "sandbox": "a" });
    }
    json!({ "sandbox": "a", "publish": [
        { "container_port": 80, "host_port": 8080 },
        { "container_port": 53, "transport": "udp" },
    ] })
}

/// The host's port 8080 goes to another port of the sandbox: what is there has to go before what comes.
fn change_ports(client: &mut Client) -> Result<()> {
    let endpoints = client.get("/v1/endpoints")?.ok("list endpoints")?;
    let id = endpoints[0]["id"].as_str().unwrap_or_default();
    let publish = json!({ "publish": [
        { "container_port": 8000, "host_port": 8080 },
        { "container_port": 53, "transport": "udp" },
        { "container_port": 81, "host_port": 8081, "count": 3 },
    ] });
    client
        .put(&format!("/v1/endpoints/{id}/ports"), &publish)?
        .ok("change ports")
        .map(drop)
}

fn options(kill_at: Option<String>) -> HostOptions {
    let environment = kill_at
        .map(|at| ("JACKFIELD_KILL_AT_RECORD".to_owned(), at))
        .into_iter()
        .collect();
    HostOptions {
        grants: component::GRANTS.to_owned(),
        environment,
        ..HostOptions::default()
    }
}

/// What stands after recovery is what the host says there is: every joined endpoint has its interface, and nothing else is there. The host
/// serves before the last of what it takes back is reaped: that much is waited for.
fn expect_consistent(lab: &Lab, client: &mut Client, point: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let differing = inconsistencies(lab, client, point)?;
        if differing.is_empty() {
            return Ok(());
        }
        assert!(
            Instant::now() < deadline,
            "{point}: sandboxes with interfaces other than those of the endpoints that say they joined: {differing:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sandboxes, with the interfaces that they have and the endpoints that say they joined, where the two are not as many.
fn inconsistencies(lab: &Lab, client: &mut Client, point: &str) -> Result<Vec<(Value, Vec<String>, usize)>> {
    let endpoints = client.get("/v1/endpoints")?.ok("list endpoints")?;
    let sandboxes = client.get("/v1/sandboxes")?.ok("list sandboxes")?;
    let mut differing = Vec::new();
    for sandbox in sandboxes.as_array().into_iter().flatten() {
        let interfaces = interfaces(lab, sandbox, point)?;
        let joined = |e: &&Value| e["sandbox"] == sandbox["id"];
        let joined = endpoints.as_array().into_iter().flatten().filter(joined).count();
        expect_ports(&endpoints, point);
        if interfaces.len() != joined {
            differing.push((sandbox["name"].clone(), interfaces, joined));
        }
    }
    Ok(differing)
}

/// Whoever was joined with published ports has the host's port 8080, before its change and after it.
fn expect_ports(endpoints: &Value, point: &str) {
    for endpoint in endpoints.as_array().into_iter().flatten() {
        let ports = endpoint["ports"].as_array().cloned().unwrap_or_default();
        assert!(
            ports.is_empty() || ports.iter().any(|port| port["host_port"] == json!(8080)),
            "{point}: {ports:?}"
        );
    }
}

fn interfaces(lab: &Lab, sandbox: &Value, point: &str) -> Result<Vec<String>> {
    let path = sandbox["path"]
        .as_str()
        .ok_or_else(|| LabError::new(point, "a sandbox without a path"))?;
    let namespace = lab
        .kernel()
        .open_namespace(&NamespaceSource::Path(path.into()))
        .map_err(|cause| LabError::new(point, cause))?;
    let links = lab.dump_of(&namespace)?.links.into_iter();
    let names = links.map(|link| link.name.to_string());
    Ok(names.filter(|name| name.starts_with("eth")).collect())
}

fn remove_all(client: &mut Client) -> Result<()> {
    for kind in ["sandboxes", "endpoints", "networks"] {
        for object in client
            .get(&format!("/v1/{kind}"))?
            .ok("list")?
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = object["id"].as_str().unwrap_or_default();
            client.delete(&format!("/v1/{kind}/{id}"))?.ok("remove what is left")?;
        }
    }
    Ok(())
}

/// One life that ends at that record, and one that puts things in order. False when the first one came to its end all the same.
fn die_and_recover(lab: &Lab, kind: &Kind, before: &Dump, at: &str) -> Result<bool> {
    let mut host = Host::start(lab, options(None))?;
    load(&mut host.client()?, kind)?;
    host.kill()?;
    let died = live(lab, kind, at)?;
    if died {
        recover(lab, kind, at)?;
    }
    expect_as_before(lab, before).map_err(|e| LabError::new(format!("killed at record {at}: {died}"), e))?;
    Ok(died)
}

/// Whether the host dies of it: by signal 9, in its work or in what it does afterwards.
fn live(lab: &Lab, kind: &Kind, at: &str) -> Result<bool> {
    let mut doomed = Host::start_doomed(lab, options(Some(at.to_owned())))?;
    let lived = doomed.await_serving().and_then(|()| {
        let mut client = doomed.client()?;
        work(&mut client, kind)?;
        unload(&mut client, kind)
    });
    let end = match lived {
        Ok(()) => doomed.stop()?,
        Err(failure) => doomed.await_end().map_err(|_| failure)?,
    };
    Ok(end.signal() == Some(9))
}

/// A new host finds what the dead one left, and all of it can be removed.
fn recover(lab: &Lab, kind: &Kind, at: &str) -> Result<()> {
    let host = Host::start(lab, options(None))?;
    let mut client = host.client()?;
    expect_consistent(lab, &mut client, at)?;
    remove_all(&mut client)?;
    unload(&mut client, kind)?;
    drop(client);
    host.stop().map(drop)
}

/// Unloads the kind's driver; a host may have died right after it had.
fn unload(client: &mut Client, kind: &Kind) -> Result<()> {
    if kind.component.is_none() {
        return Ok(());
    }
    let answer = client.delete(&format!("/v1/drivers/{}", kind.driver))?;
    if answer.status == 404 {
        Ok(())
    } else {
        answer.ok("unload").map(drop)
    }
}

fn scenario(kind: &Kind) -> Result<()> {
    let lab = Lab::new(&format!("crash-{}", kind.driver))?;
    lab.uplink("up0", "outside")?;
    let before = lab.dump()?;
    let mut boundaries = 0;
    for record in 1..=MOST_RECORDS {
        let mut died = false;
        for side in ["b", "a"] {
            died |= die_and_recover(&lab, kind, &before, &format!("{record}{side}"))?;
        }
        if !died {
            assert!(
                boundaries > 20,
                "only {boundaries} boundaries were met: the fault points are not compiled in"
            );
            println!("{}: killed at {boundaries} boundaries", kind.driver);
            return lab.passed();
        }
        boundaries += 2;
    }
    panic!("the host still dies at record {MOST_RECORDS}");
}

#[test]
fn bridge_survives_kill_9_at_every_boundary() -> Result<()> {
    scenario(&KINDS[0])
}

#[test]
fn the_ptp_component_survives_kill_9_at_every_boundary() -> Result<()> {
    scenario(&KINDS[1])
}

#[test]
fn the_bridge_component_survives_kill_9_at_every_boundary() -> Result<()> {
    scenario(&KINDS[2])
}

#[test]
fn the_macvlan_component_survives_kill_9_at_every_boundary() -> Result<()> {
    scenario(&KINDS[3])
}

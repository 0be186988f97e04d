//! The demo: the main job on the real kernel, each step with its time, and nothing left behind.

mod crowd;
mod steps;

use std::net::SocketAddr;

use jackfield_kernel::Namespace;
use jackfield_lab::{Client, Host, HostOptions, Joined, Lab, LabError, Result, Sandbox, component::GRANTS, dns, probe};
use serde_json::json;

use crate::{build::component, failure::Failure};
use steps::Teller;

/// The host's addresses on the cable to the world outside, and that world's.
const HOST: [&str; 2] = ["198.51.100.1", "fd00:51::1"];
const OUTSIDE: [&str; 2] = ["198.51.100.2", "fd00:51::2"];

/// A sandbox, and what it got by joining.
struct Member {
    sandbox: Sandbox,
    joined: Joined,
}

/// Runs it.
pub fn run() -> Result<(), Failure> {
    let bytes =
        std::fs::read(component("ptp")).map_err(|cause| Failure::Told(format!("the ptp component: {cause}")))?;
    show(&bytes).map_err(Failure::from)
}

fn show(component: &[u8]) -> Result<()> {
    let mut tell = Teller::begin();
    let lab = Lab::new("demo")?;
    let outside = world(&lab)?;
    let before = lab.dump()?;

    tell.heading("A host starts, and loads a vendor's driver");
    let host = tell.step("the host serves", || Host::start(&lab, options()))?;
    let mut client = host.client()?;
    tell.step(
        "ptp is checked against its grants, compiled in a child process and tried",
        || client.component("POST", "/v1/drivers", component)?.ok("load ptp"),
    )?;
    let [a, b] = meet(&lab, &mut client, &mut tell)?;
    talk(&lab, &mut tell, &a, &b)?;

    tell.heading("A newer build takes over while others are joining");
    crowd::upgrade_under_load(&lab, &mut tell, component)?;
    tell.step("a still reaches b", || {
        probe::ping(&lab, &a.sandbox.namespace, b.joined.addresses[0])
    })?;

    publish(&lab, &mut client, &mut tell, &outside, &b)?;
    resolve(&lab, &mut tell, &a, &b)?;
    part(&mut client, &mut tell, &a, &b)?;
    drop(client);
    tell.step("the host stops", || host.stop())?;

    let after = lab.dump()?;
    if after != before {
        return Err(LabError::new(
            "compare the realm with what it was before",
            format!("before {before:#?}\nafter {after:#?}"),
        ));
    }
    let pinned = lab.files("run/netns");
    if !pinned.is_empty() {
        return Err(LabError::new(
            "look for what is left over",
            format!("namespaces are still pinned: {pinned:?}"),
        ));
    }
    tell.end("links, addresses, routes, rules, neighbours, sysctls, namespaces and nft ruleset are as before");
    lab.passed()
}

fn options() -> HostOptions {
    HostOptions {
        grants: GRANTS.to_owned(),
        // So that the world outside reaches published ports; the demo's realm forwards nothing at first.
        arguments: vec!["--forwarding".into(), "uplinks".into()],
        ..HostOptions::default()
    }
}

/// Another machine, at the other end of the host's cable.
fn world(lab: &Lab) -> Result<Namespace> {
    let outside = lab.uplink("up0", "outside")?;
    let network = |(host, outside): (&str, &str), prefix| -> Result<_> {
        let parse = |address: &str| format!("{address}/{prefix}").parse();
        let both = parse(host).and_then(|host| Ok((host, parse(outside)?)));
        both.map_err(|cause| LabError::new("address the cable", cause))
    };
    let networks = [network((HOST[0], OUTSIDE[0]), 24)?, network((HOST[1], OUTSIDE[1]), 64)?];
    lab.address_uplink(&outside, &networks)?;
    Ok(outside)
}

fn meet(lab: &Lab, client: &mut Client, tell: &mut Teller) -> Result<[Member; 2]> {
    tell.heading("A network, and two sandboxes that join it");
    let network = json!({ "name": "blue", "driver": "ptp", "ipv6": true, "pools": [{ "subnet": "10.88.0.0/24" }, { "subnet": "fd00:88::/64" }] });
    tell.step("network blue is created by ptp", || {
        client.post("/v1/networks", &network)?.ok("create network")
    })?;
    let a = tell.step("sandbox a is made", || Sandbox::create(lab, client, "a"))?;
    let b = tell.step("sandbox b is made", || Sandbox::create(lab, client, "b"))?;
    let mut join = |sandbox: Sandbox| -> Result<Member> {
        let words = format!("{} joins blue", sandbox.name);
        let joined = tell.step(&words, || sandbox.connect(client, "blue"))?;
        Ok(Member { sandbox, joined })
    };
    Ok([join(a)?, join(b)?])
}

fn talk(lab: &Lab, tell: &mut Teller, a: &Member, b: &Member) -> Result<()> {
    tell.heading("Packets");
    for (from, to) in [(a, b), (b, a)] {
        for address in &to.joined.addresses {
            tell.step(&format!("ping from {} to {address}", from.sandbox.name), || {
                probe::ping(lab, &from.sandbox.namespace, *address)
            })?;
        }
    }
    for address in &b.joined.addresses {
        let target = SocketAddr::new(*address, 8080);
        tell.step(&format!("TCP from a to {target}, a kilobyte there and back"), || {
            probe::tcp(lab, &a.sandbox.namespace, &b.sandbox.namespace, target, target)
        })?;
    }
    Ok(())
}

fn publish(lab: &Lab, client: &mut Client, tell: &mut Teller, outside: &Namespace, b: &Member) -> Result<()> {
    tell.heading("A port is published");
    let path = format!("/v1/endpoints/{}/ports", b.joined.endpoint);
    tell.step("port 80 of b becomes port 8080 of the host", || {
        client
            .put(
                &path,
                &json!({ "publish": [{ "host_port": 8080, "container_port": 80 }] }),
            )?
            .ok("publish")
    })?;
    let hosts = [
        ("another machine", outside, HOST[0]),
        ("another machine", outside, HOST[1]),
        ("the host", lab.realm(), "127.0.0.1"),
    ];
    for (who, from, address) in hosts {
        let address = address.parse().map_err(|cause| LabError::new("an address", cause))?;
        let target = SocketAddr::new(address, 8080);
        let inside = b.joined.address(address.is_ipv6());
        let inside = inside.ok_or_else(|| LabError::new("publish", "b has no address of that family"))?;
        tell.step(&format!("{who} reaches it at {target}"), || {
            probe::tcp(lab, from, &b.sandbox.namespace, SocketAddr::new(inside, 80), target)
        })?;
    }
    Ok(())
}

fn resolve(lab: &Lab, tell: &mut Teller, a: &Member, b: &Member) -> Result<()> {
    tell.heading("A name is resolved");
    for (kind, ipv6) in [("A", false), ("AAAA", true)] {
        let expected: Vec<String> = b.joined.address(ipv6).iter().map(ToString::to_string).collect();
        tell.step(&format!("a asks for b {kind}: {}", expected.join(", ")), || {
            let told = dns::ask(lab, &a.sandbox.namespace, "b", kind, None)?;
            if told.data == expected {
                return Ok(());
            }
            Err(LabError::new(
                "ask for b",
                format!("expected {expected:?}, was told {told:?}"),
            ))
        })?;
    }
    Ok(())
}

fn part(client: &mut Client, tell: &mut Teller, a: &Member, b: &Member) -> Result<()> {
    tell.heading("All of it goes");
    tell.step("a and b leave", || {
        a.sandbox.disconnect(client, "blue")?;
        b.sandbox.disconnect(client, "blue")
    })?;
    tell.step("the sandboxes go", || {
        a.sandbox.delete(client)?;
        b.sandbox.delete(client)
    })?;
    tell.step("network blue goes", || {
        client.delete("/v1/networks/blue")?.ok("delete network")
    })?;
    tell.step("ptp is unloaded", || client.delete("/v1/drivers/ptp")?.ok("unload ptp"))
        .map(drop)
}

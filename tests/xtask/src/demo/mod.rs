//! The demo: the main job on the real kernel, each step with its time, and nothing left behind.

mod crowd;
mod steps;

use std::net::SocketAddr;

use jackfield_lab::{Host, HostOptions, Lab, LabError, Result, Sandbox, probe};
use serde_json::json;

use crate::{build::component, failure::Failure};
use steps::Teller;

/// Runs it.
pub fn run() -> Result<(), Failure> {
    let bytes =
        std::fs::read(component("ptp")).map_err(|cause| Failure::Told(format!("the ptp component: {cause}")))?;
    show(&bytes).map_err(Failure::from)
}

fn show(component: &[u8]) -> Result<()> {
    let mut tell = Teller::begin();
    let lab = Lab::new("demo")?;
    let before = lab.dump()?;

    tell.heading("A host starts, and loads a vendor's driver");
    let host = tell.step("the host serves", || Host::start(&lab, options()))?;
    let mut client = host.client()?;
    tell.step(
        "ptp is checked against its grants, compiled in a child process and tried",
        || client.component("POST", "/v1/drivers", component)?.ok("load ptp"),
    )?;

    tell.heading("A network, and two sandboxes that join it");
    let network = json!({ "name": "blue", "driver": "ptp", "ipv6": true, "pools": [{ "subnet": "10.88.0.0/24" }, { "subnet": "fd00:88::/64" }] });
    tell.step("network blue is created by ptp", || {
        client.post("/v1/networks", &network)?.ok("create network")
    })?;
    let a = tell.step("sandbox a is made", || Sandbox::create(&lab, &mut client, "a"))?;
    let b = tell.step("sandbox b is made", || Sandbox::create(&lab, &mut client, "b"))?;
    let in_a = tell.step("a joins blue", || a.connect(&mut client, "blue"))?;
    let in_b = tell.step("b joins blue", || b.connect(&mut client, "blue"))?;

    tell.heading("Packets");
    for (from, to) in [(&a, &in_b), (&b, &in_a)] {
        for address in &to.addresses {
            tell.step(&format!("ping from {} to {address}", from.name), || {
                probe::ping(&lab, &from.namespace, *address)
            })?;
        }
    }
    for address in &in_b.addresses {
        let target = SocketAddr::new(*address, 8080);
        tell.step(&format!("TCP from a to {target}, a kilobyte there and back"), || {
            probe::tcp(&lab, &a.namespace, &b.namespace, target, target)
        })?;
    }

    tell.heading("A newer build takes over while others are joining");
    crowd::upgrade_under_load(&lab, &mut tell, component)?;
    tell.step("a still reaches b", || {
        probe::ping(&lab, &a.namespace, in_b.addresses[0])
    })?;

    tell.heading("All of it goes");
    tell.step("a and b leave", || {
        a.disconnect(&mut client, "blue")?;
        b.disconnect(&mut client, "blue")
    })?;
    tell.step("the sandboxes go", || {
        a.delete(&mut client)?;
        b.delete(&mut client)
    })?;
    tell.step("network blue goes", || {
        client.delete("/v1/networks/blue")?.ok("delete network")
    })?;
    tell.step("ptp is unloaded", || client.delete("/v1/drivers/ptp")?.ok("unload ptp"))?;
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
        grants: jackfield_lab::component::GRANTS.to_owned(),
        ..HostOptions::default()
    }
}

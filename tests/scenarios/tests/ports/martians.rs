//! What comes from outside for 127.0.0.0/8 reaches nothing, also where the kernel alone would let it in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jackfield_kernel::{Ifindex, Namespace, Request, plan::Route};
use jackfield_lab::{Host, Lab, LabError, Result, Sandbox, probe};
use jackfield_scenarios::{KINDS, expect_as_before};
use serde_json::json;

use super::{HOST, options};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// That link may carry packets of 127.0.0.0/8, as an operator may have set it.
fn let_localnet(lab: &Lab, namespace: &Namespace, link: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv4/conf/{link}/route_localnet");
    let written = lab.within(namespace, || std::fs::write(&path, "1"))?;
    written.map_err(|cause| LabError::new(path, cause))
}

/// An outside host for which 127.0.0.1 is behind the host's address: its own loopback has none.
fn lead_localhost_here(lab: &Lab, outside: &Namespace) -> Result<()> {
    let links = lab.dump_of(outside)?.links;
    let cable = links.iter().find(|link| link.name.as_str() == "eth0").unwrap().index;
    let all = "127.0.0.0/8".parse().unwrap();
    lab.send(
        outside,
        &[
            Request::DeleteAddress {
                index: Ifindex::new(1).unwrap(),
                address: "127.0.0.1/8".parse().unwrap(),
            },
            Request::AddRoute(Route::via(all, HOST[0].parse().unwrap(), cable)),
        ],
    )?;
    let_localnet(lab, outside, "eth0")
}

#[test]
fn a_port_on_127_0_0_1_is_not_reached_from_outside_by_that_address() -> Result<()> {
    let lab = Lab::new("ports-martians")?;
    let outside = lab.uplink("up0", "outside")?;
    let cable = ("198.51.100.1/24".parse().unwrap(), "198.51.100.2/24".parse().unwrap());
    lab.address_uplink(&outside, &[cable])?;
    lead_localhost_here(&lab, &outside)?;
    let_localnet(&lab, lab.realm(), "up0")?;
    let published = SocketAddr::new(LOCALHOST, 7000);
    // The way is open: what a program of the host has there is reached as long as nobody stands in between.
    probe::tcp(&lab, &outside, lab.realm(), published, published)?;
    probe::udp(&lab, &outside, lab.realm(), published, published)?;

    let before = lab.dump()?;
    let host = Host::start(&lab, options(&["--forwarding", "uplinks"]))?;
    let mut client = host.client()?;
    client
        .post("/v1/networks", &KINDS[0].network("blue", 1))?
        .ok("create network")?;
    let web = Sandbox::create(&lab, &mut client, "web")?;
    let ports = json!({ "publish": [
        { "container_port": 70, "host_port": 7000, "host_address": "127.0.0.1" },
        { "container_port": 70, "host_port": 7000, "host_address": "127.0.0.1", "transport": "udp" },
    ] });
    let joined = web.connect_with(&mut client, "blue", ports)?;
    let inside = SocketAddr::new(joined.address(false).unwrap(), 70);
    probe::tcp(&lab, lab.realm(), &web.namespace, inside, published)?;
    probe::udp(&lab, lab.realm(), &web.namespace, inside, published)?;
    assert!(probe::tcp(&lab, &outside, &web.namespace, inside, published).is_err());
    assert!(probe::udp(&lab, &outside, &web.namespace, inside, published).is_err());
    // Nor is anything else of the host's, while ports are published on its loopback.
    let own = SocketAddr::new(LOCALHOST, 7001);
    assert!(probe::tcp(&lab, &outside, lab.realm(), own, own).is_err());

    web.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

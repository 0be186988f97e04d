//! Who reaches whom: sandboxes each other, they the world, and the world them.

use std::{cell::Cell, net::SocketAddr};

use jackfield_kernel::{Namespace, Request, plan};
use jackfield_lab::{Lab, LabError, Result, Sandbox, probe};
use serde_json::json;

use super::{GATEWAY, GATEWAY_IPV6, addresses_of, blue, clear, ip, link, net, open, pair, routes, with_host};

#[test]
fn isolated_sandboxes_reach_the_gateway_and_not_each_other() -> Result<()> {
    with_host(
        "isolated",
        |_| Ok(()),
        |lab, client| {
            client
                .post("/v1/networks", &blue(json!({ "isolated": "true" })))?
                .ok("create network")?;
            let [(a, in_a), (b, in_b)] = pair(lab, client)?;
            for (from, to) in [(&a, &in_b), (&b, &in_a)] {
                assert!(probe::unreachable(lab, &from.namespace, to.addresses[0]));
                assert!(probe::unreachable(lab, &from.namespace, to.addresses[1]));
                for gateway in [GATEWAY, GATEWAY_IPV6] {
                    probe::ping(lab, &from.namespace, ip(gateway))?;
                }
            }
            // One that is not is reached by all: isolation is between isolated ports.
            let c = Sandbox::create(lab, client, "c")?;
            let in_c = c.connect_with(client, "blue", json!({ "options": { "isolated": "false" } }))?;
            probe::ping(lab, &a.namespace, in_c.addresses[0])?;
            clear(client, &[&a, &b, &c])
        },
    )
}

#[test]
fn without_icc_sandboxes_reach_the_gateway_and_not_each_other() -> Result<()> {
    with_host(
        "icc",
        |_| Ok(()),
        |lab, client| {
            let options = json!({ "com.docker.network.bridge.enable_icc": "false" });
            client.post("/v1/networks", &blue(options))?.ok("create network")?;
            let [(a, _), (b, in_b)] = pair(lab, client)?;
            for to in &in_b.addresses {
                assert!(probe::unreachable(lab, &a.namespace, *to));
            }
            probe::ping(lab, &a.namespace, ip(GATEWAY))?;
            probe::ping(lab, &b.namespace, ip(GATEWAY_IPV6))?;
            clear(client, &[&a, &b])
        },
    )
}

/// A published port is for neighbours too, by the host's address, where the host forwards their packets. Where bridge-nf-call-iptables is set the
/// bridge itself sends them on, from one isolated port to another, and so does not: see option icc. From elsewhere the port is reached in
/// both cases, and by their own addresses neighbours never are.
#[test]
fn without_icc_a_neighbour_reaches_a_published_port_unless_the_bridge_sends_it_on() -> Result<()> {
    for called in ["0", "1"] {
        let call = |lab: &Lab| {
            outside(lab)?;
            let write = || std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", called);
            Ok(lab.within(lab.realm(), write)?.is_ok())
        };
        let there = Cell::new(true);
        with_host(
            "icc-ports",
            |lab| call(lab).map(|written| there.set(written)),
            |lab, client| {
                let outside = open(lab, "outside")?;
                client
                    .post("/v1/networks", &blue(json!({ "icc": "false" })))?
                    .ok("create network")?;
                let (a, b) = (Sandbox::create(lab, client, "a")?, Sandbox::create(lab, client, "b")?);
                a.connect(client, "blue")?;
                let port = json!({ "publish": [{ "container_port": 80, "host_port": 8080 }] });
                let server = SocketAddr::new(b.connect_with(client, "blue", port)?.addresses[0], 80);
                let published = SocketAddr::new(ip("192.0.2.1"), 8080);
                let reached = |from: &Namespace, to| probe::tcp(lab, from, &b.namespace, server, to).is_ok();
                assert!(reached(&outside, published), "{called}: from outside");
                assert!(reached(lab.realm(), published), "{called}: from the host");
                assert!(!reached(&a.namespace, server), "{called}: by its own address");
                assert_eq!(
                    reached(&a.namespace, published),
                    called == "0",
                    "{called}: from a neighbour"
                );
                clear(client, &[&a, &b])
            },
        )?;
    }
    Ok(())
}

#[test]
fn in_gateway_mode_isolated_the_host_is_no_gateway() -> Result<()> {
    with_host(
        "mode-isolated",
        |_| Ok(()),
        |lab, client| {
            let options =
                json!({ "bridge": "blue0", "gateway-mode-ipv4": "isolated", "gateway-mode-ipv6": "isolated" });
            client.post("/v1/networks", &blue(options))?.ok("create network")?;
            let bridge = link(lab, lab.realm(), "blue0")?;
            assert_eq!(addresses_of(&lab.dump()?, &bridge), [""; 0]);
            let [(a, _), (b, in_b)] = pair(lab, client)?;
            let has = routes(lab, &a)?;
            assert!(!has.iter().any(|r| r.contains("/0 via")), "{has:?}");
            for to in &in_b.addresses {
                probe::ping(lab, &a.namespace, *to)?;
            }
            clear(client, &[&a, &b])
        },
    )
}

/// A host outside, which has a way back to the networks' addresses, so that only the host's rules keep it out.
pub(super) fn outside(lab: &Lab) -> Result<Namespace> {
    let outside = lab.uplink("up0", "outside")?;
    let near = link(lab, lab.realm(), "up0")?.index;
    let far = link(lab, &outside, "eth0")?.index;
    let add = |index, text: &str| -> Result<Request> {
        Ok(Request::AddAddress {
            index,
            address: net(text)?,
        })
    };
    lab.send(lab.realm(), &[add(near, "192.0.2.1/24")?, add(near, "192.0.2.77/24")?])?;
    let back = plan::Route::via(net("10.77.1.0/24")?, ip("192.0.2.1"), far);
    lab.send(&outside, &[add(far, "192.0.2.9/24")?, Request::AddRoute(back)])?;
    let key = plan::SysctlKey {
        family: jackfield_model::Family::Ipv4,
        table: plan::SysctlTable::Conf,
        key: "forwarding".to_owned(),
    };
    lab.send(
        lab.realm(),
        &[Request::WriteSysctl {
            index: near,
            key,
            value: "1".to_owned(),
        }],
    )?;
    Ok(outside)
}

#[test]
fn what_leaves_has_the_source_and_who_enters_has_the_way_that_the_options_say() -> Result<()> {
    let to = SocketAddr::new(ip("192.0.2.9"), 7100);
    for (options, seen, enters) in [
        (json!({}), "192.0.2.1", false),
        (json!({ "masquerade": "false" }), "10.77.1.2", false),
        (
            json!({ "com.docker.network.host_ipv4": "192.0.2.77" }),
            "192.0.2.77",
            false,
        ),
        (json!({ "gateway-mode-ipv4": "nat" }), "192.0.2.1", false),
        (
            json!({ "gateway-mode-ipv4": "nat", "trusted-interfaces": "up0" }),
            "192.0.2.1",
            true,
        ),
        (json!({ "gateway-mode-ipv4": "nat-unprotected" }), "192.0.2.1", true),
        // Echo requests enter; ports have to be published.
        (json!({ "gateway-mode-ipv4": "routed" }), "10.77.1.2", true),
    ] {
        let what = options.to_string();
        with_host(
            "border",
            |lab| outside(lab).map(drop),
            |lab, client| {
                let outside = open(lab, "outside")?;
                client
                    .post("/v1/networks", &blue(options.clone()))?
                    .ok("create network")?;
                let a = Sandbox::create(lab, client, "a")?;
                let in_a = a.connect(client, "blue")?;
                probe::ping(lab, lab.realm(), in_a.addresses[0])?;
                let source = probe::tcp(lab, &a.namespace, &outside, to, to)?;
                assert_eq!(source.ip(), ip(seen), "{what}");
                assert_eq!(probe::ping(lab, &outside, in_a.addresses[0]).is_ok(), enters, "{what}");
                clear(client, &[&a])
            },
        )?;
    }
    Ok(())
}

#[test]
fn ports_that_name_no_address_are_reached_on_that_of_the_network_alone() -> Result<()> {
    with_host(
        "binding",
        |lab| outside(lab).map(drop),
        |lab, client| {
            let outside = open(lab, "outside")?;
            let options = json!({ "com.docker.network.bridge.host_binding_ipv4": "192.0.2.77" });
            client.post("/v1/networks", &blue(options))?.ok("create network")?;
            let a = Sandbox::create(lab, client, "a")?;
            let ports = json!({ "publish": [
                { "container_port": 80, "host_port": 8080 },
                { "container_port": 80, "host_port": 8081, "host_address": "192.0.2.1" },
            ] });
            let in_a = a.connect_with(client, "blue", ports)?;
            let server = SocketAddr::new(in_a.addresses[0], 80);
            for (from, to, reached) in [
                (&outside, "192.0.2.77:8080", true),
                (&outside, "192.0.2.1:8080", false),
                (&outside, "192.0.2.1:8081", true),
                (lab.realm(), "192.0.2.77:8080", true),
                (lab.realm(), "127.0.0.1:8080", false),
                (lab.realm(), "[fd00:77:1::1]:8080", false),
            ] {
                let to: SocketAddr = to.parse().map_err(|cause| LabError::new(to, cause))?;
                let answered = probe::tcp(lab, from, &a.namespace, server, to);
                assert_eq!(answered.is_ok(), reached, "{to}: {answered:?}");
            }
            clear(client, &[&a])
        },
    )
}

#[test]
fn an_inhibited_bridge_has_no_ipv4_address_and_another_sandbox_is_the_gateway() -> Result<()> {
    with_host(
        "inhibit",
        |_| Ok(()),
        |lab, client| {
            let request = json!({
                "name": "blue", "options": { "com.docker.network.bridge.inhibit_ipv4": "true", "bridge": "blue0" }, "ipv6": true,
                "pools": [{ "subnet": "10.77.1.0/24" }, { "subnet": "fd00:77:1::/64" }],
            });
            client.post("/v1/networks", &request)?.ok("create network")?;
            let bridge = link(lab, lab.realm(), "blue0")?;
            let addresses = addresses_of(&lab.dump()?, &bridge);
            assert!(addresses.iter().all(|a| a.contains(':')), "{addresses:?}");
            assert_eq!(lab.dump()?.sysctls["ipv4/conf/blue0/forwarding"], "0");
            let [(a, _), (b, in_b)] = pair(lab, client)?;
            let has = routes(lab, &a)?;
            assert!(has.contains(&format!("0.0.0.0/0 via {GATEWAY}")), "{has:?}");
            probe::ping(lab, &a.namespace, in_b.addresses[0])?;
            probe::ping(lab, &a.namespace, ip(GATEWAY_IPV6))?;
            assert!(probe::unreachable(lab, &a.namespace, ip(GATEWAY)));
            clear(client, &[&a, &b])
        },
    )
}

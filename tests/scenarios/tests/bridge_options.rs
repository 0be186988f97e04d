//! Each option of the built-in bridge, with packets where packets tell.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jackfield_kernel::{Dump, Ifindex, Kernel, LinkAt, LinkInfo, LinkQuery, Namespace, Place, Request, plan};
use jackfield_lab::{Client, Host, Joined, Lab, LabError, Result, Sandbox, probe};
use jackfield_model::{IpNetwork, LinkName, MacAddr};
use jackfield_scenarios::{expect_as_before, host};
use serde_json::{Value, json};

/// An index of somebody else's, far from the kernel's own and from the host's.
const FOREIGN: u32 = 3000;
const GATEWAY: &str = "10.77.1.1";
const GATEWAY_IPV6: &str = "fd00:77:1::1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

fn net(text: &str) -> Result<IpNetwork> {
    text.parse().map_err(|cause| LabError::new(text, cause))
}

fn name(text: &str) -> Result<LinkName> {
    text.parse().map_err(|cause| LabError::new(text, cause))
}

fn index(number: u32) -> Result<Ifindex> {
    Ifindex::new(number).ok_or_else(|| LabError::new("an index", number.to_string()))
}

/// Network `blue`, in both families, with these options.
fn blue(options: Value) -> Value {
    json!({
        "name": "blue", "options": options, "ipv6": true,
        "pools": [{ "subnet": "10.77.1.0/24" }, { "subnet": "fd00:77:1::/64" }],
    })
}

/// A lab with a host in it, and what the realm held before that.
fn with_host(
    scenario: &str,
    prepare: impl FnOnce(&Lab) -> Result<()>,
    run: impl FnOnce(&Lab, &mut Client) -> Result<()>,
) -> Result<()> {
    let lab = Lab::new(&format!("bridge-{scenario}"))?;
    prepare(&lab)?;
    let before = lab.dump()?;
    let host: Host<'_> = host(&lab)?;
    let mut client = host.client()?;
    run(&lab, &mut client)?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

/// Takes sandboxes and the network away.
fn clear(client: &mut Client, sandboxes: &[&Sandbox]) -> Result<()> {
    for sandbox in sandboxes {
        sandbox.delete(client)?;
    }
    client.delete("/v1/networks/blue")?.ok("delete network").map(drop)
}

fn link(lab: &Lab, namespace: &Namespace, called: &str) -> Result<LinkInfo> {
    let found = lab.kernel().link(namespace, LinkQuery::Name(&name(called)?));
    found
        .map_err(|cause| LabError::new(format!("look at link {called}"), cause))?
        .ok_or_else(|| LabError::new("look", format!("there is no link {called}")))
}

fn addresses_of(dump: &Dump, link: &LinkInfo) -> Vec<String> {
    let of_link = dump.addresses.iter().filter(|a| a.index == link.index);
    of_link.map(|a| a.address.to_string()).collect()
}

/// Routes of a sandbox as `DESTINATION via GATEWAY metric METRIC`.
fn routes(lab: &Lab, sandbox: &Sandbox) -> Result<Vec<String>> {
    let shown = |r: &plan::Route| {
        let via = r.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
        let metric = r.metric.map(|m| format!(" metric {m}")).unwrap_or_default();
        format!("{}{via}{metric}", r.destination)
    };
    Ok(lab
        .dump_of(&sandbox.namespace)?
        .routes
        .iter()
        .map(|r| shown(&r.route))
        .collect())
}

/// A bridge of somebody else's, up, with an address, and a cable from it to a namespace that has the address `far`.
fn foreign_bridge(lab: &Lab, called: &str, near: &str, far: &str) -> Result<Namespace> {
    let outside = lab.namespace("outside")?;
    let at = |place, number| -> Result<LinkAt> {
        Ok(LinkAt {
            place,
            index: index(number)?,
        })
    };
    let bridge = plan::NewLink {
        at: at(Place::Realm, FOREIGN)?,
        name: name(called)?,
        mac: MacAddr::random(),
        mtu: None,
        kind: plan::LinkKind::Bridge(plan::BridgeAttributes::default()),
    };
    let cable = plan::NewLink {
        at: at(Place::Realm, FOREIGN + 1)?,
        name: name("cable0")?,
        mac: MacAddr::random(),
        mtu: None,
        kind: plan::LinkKind::Veth {
            peer: plan::VethPeer {
                at: at(Place::Sandbox, FOREIGN + 2)?,
                name: name("eth0")?,
                mac: MacAddr::random(),
                mtu: None,
            },
        },
    };
    lab.send(
        lab.realm(),
        &[
            create(bridge, None, None),
            create(cable, Some(index(FOREIGN)?), Some(outside.clone())),
            no_generation(FOREIGN)?,
            no_generation(FOREIGN + 1)?,
            up(FOREIGN)?,
            up(FOREIGN + 1)?,
            address(FOREIGN, near)?,
        ],
    )?;
    lab.send(
        &outside,
        &[
            no_generation(FOREIGN + 2)?,
            up(FOREIGN + 2)?,
            address(FOREIGN + 2, far)?,
        ],
    )?;
    lab.send(
        lab.realm(),
        &[
            Request::Settle {
                index: index(FOREIGN + 1)?,
            },
            Request::Settle { index: index(FOREIGN)? },
        ],
    )?;
    Ok(outside)
}

fn create(link: plan::NewLink, controller: Option<Ifindex>, sandbox: Option<Namespace>) -> Request {
    Request::CreateLink {
        link: Box::new(link),
        controller,
        group: 0,
        sandbox,
    }
}

fn no_generation(number: u32) -> Result<Request> {
    Ok(Request::SetLink {
        index: index(number)?,
        setting: plan::LinkSetting::AddressGeneration(false),
    })
}

fn up(number: u32) -> Result<Request> {
    Ok(Request::SetLink {
        index: index(number)?,
        setting: plan::LinkSetting::Up(true),
    })
}

fn address(number: u32, text: &str) -> Result<Request> {
    Ok(Request::AddAddress {
        index: index(number)?,
        address: net(text)?,
    })
}

fn pair(lab: &Lab, client: &mut Client) -> Result<[(Sandbox, Joined); 2]> {
    let a = Sandbox::create(lab, client, "a")?;
    let b = Sandbox::create(lab, client, "b")?;
    let (in_a, in_b) = (a.connect(client, "blue")?, b.connect(client, "blue")?);
    Ok([(a, in_a), (b, in_b)])
}

#[test]
fn an_adopted_bridge_is_used_and_stays_exactly_as_it_was() -> Result<()> {
    let prepare = |lab: &Lab| foreign_bridge(lab, "br0", "10.77.1.1/24", "10.77.1.200/24").map(drop);
    with_host("adopted", prepare, |lab, client| {
        let before = lab.dump()?;
        // By Docker's label; its subnet is that of the bridge, and the bridge's address is the gateway already.
        client
            .post(
                "/v1/networks",
                &blue(json!({ "com.docker.network.bridge.name": "br0" })),
            )?
            .ok("create network")?;
        let bridge = link(lab, lab.realm(), "br0")?;
        let ours: Vec<_> = addresses_of(&lab.dump()?, &bridge).into_iter().collect();
        assert!(ours.contains(&format!("{GATEWAY_IPV6}/64")), "{ours:?}");
        let [(a, in_a), (b, in_b)] = pair(lab, client)?;
        for address in in_b
            .addresses
            .iter()
            .chain(&[ip("10.77.1.200"), ip(GATEWAY), ip(GATEWAY_IPV6)])
        {
            probe::ping(lab, &a.namespace, *address)?;
        }
        probe::ping(lab, lab.realm(), in_a.addresses[0])?;
        // A second network on the same bridge, and either may go first.
        let green = json!({ "name": "green", "options": { "bridge": "br0" }, "pools": [{ "subnet": "10.77.2.0/24" }] });
        client
            .post("/v1/networks", &green)?
            .ok("a second network on the bridge")?;
        clear(client, &[&a, &b])?;
        assert_eq!(
            lab.dump()?.sysctls["ipv4/conf/br0/forwarding"],
            "1",
            "green still needs it"
        );
        client.delete("/v1/networks/green")?.ok("delete green")?;
        let after = lab.dump()?;
        let br0 = |dump: &Dump| {
            (
                addresses_of(dump, &bridge),
                dump.sysctls["ipv4/conf/br0/forwarding"].clone(),
            )
        };
        assert_eq!(br0(&after), br0(&before));
        let internal = json!({ "name": "n", "internal": true, "options": { "bridge": "br0" } });
        let refused = client.post("/v1/networks", &internal)?;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.detail().contains("br0 is the host's"), "{}", refused.detail());
        Ok(())
    })
}

#[test]
fn a_link_that_is_no_bridge_is_not_adopted() -> Result<()> {
    with_host(
        "no-bridge",
        |lab| lab.uplink("up0", "outside").map(drop),
        |_, client| {
            let refused = client.post("/v1/networks", &blue(json!({ "bridge": "up0" })))?;
            assert_eq!(refused.status, 400, "{}", refused.body);
            assert!(refused.detail().contains("it is a veth"), "{}", refused.detail());
            Ok(())
        },
    )
}

#[test]
fn the_mtu_is_that_of_the_default_route_unless_it_is_given() -> Result<()> {
    let prepare = |lab: &Lab| {
        lab.uplink("up0", "outside")?;
        let up0 = link(lab, lab.realm(), "up0")?.index;
        let route = plan::Route::via(net("0.0.0.0/0")?, ip("192.0.2.1"), up0);
        let mtu = plan::LinkSetting::Mtu(1400);
        lab.send(
            lab.realm(),
            &[
                Request::SetLink {
                    index: up0,
                    setting: mtu,
                },
                Request::AddAddress {
                    index: up0,
                    address: net("192.0.2.7/24")?,
                },
                Request::AddRoute(route),
            ],
        )
    };
    with_host("mtu", prepare, |lab, client| {
        for (options, expected) in [(json!({}), 1400), (json!({ "mtu": "9000" }), 9000)] {
            client.post("/v1/networks", &blue(options))?.ok("create network")?;
            let [(a, in_a), (b, in_b)] = pair(lab, client)?;
            assert_eq!(link(lab, &a.namespace, &in_a.interface)?.mtu, expected);
            let bridges: Vec<_> = lab.dump()?.links.into_iter().filter(|l| l.kind == "bridge").collect();
            assert_eq!(bridges[0].mtu, expected);
            probe::ping(lab, &a.namespace, in_b.addresses[0])?;
            a.disconnect(client, "blue")?;
            b.disconnect(client, "blue")?;
            assert_eq!(
                link(lab, lab.realm(), bridges[0].name.as_str())?.mtu,
                expected,
                "without ports"
            );
            clear(client, &[&a, &b])?;
        }
        Ok(())
    })
}

#[test]
fn interfaces_have_the_prefix_the_mac_of_their_address_and_the_routes_asked_for() -> Result<()> {
    with_host(
        "interface",
        |_| Ok(()),
        |lab, client| {
            let options = json!({
                "com.docker.network.container_iface_prefix": "net",
                "route": "10.99.0.0/16 via 10.77.1.200 metric 7, fd99::/32 via fd00:77:1::200",
                "metric": "50",
            });
            client.post("/v1/networks", &blue(options))?.ok("create network")?;
            let [(a, in_a), (b, in_b)] = pair(lab, client)?;
            assert_eq!(in_a.interface, "net0");
            let mac = link(lab, &a.namespace, "net0")?.mac.map(|m| m.to_string());
            assert_eq!(mac.as_deref(), Some("02:42:0a:4d:01:02"));
            let has = routes(lab, &a)?;
            for route in [
                "10.99.0.0/16 via 10.77.1.200 metric 7",
                "fd99::/32 via fd00:77:1::200",
                "0.0.0.0/0 via 10.77.1.1 metric 50",
                "::/0 via fd00:77:1::1 metric 50",
            ] {
                assert!(has.iter().any(|r| r == route), "{route} in {has:?}");
            }
            probe::ping(lab, &a.namespace, in_b.addresses[0])?;
            // An endpoint may have it differently.
            b.disconnect(client, "blue")?;
            let given = json!({ "options": { "no-default-route": "true" }, "mac": "02:00:00:00:00:99" });
            b.connect_with(client, "blue", given)?;
            let has = routes(lab, &b)?;
            assert!(!has.iter().any(|r| r.contains("/0 via")), "{has:?}");
            let mac = link(lab, &b.namespace, "net0")?.mac.map(|m| m.to_string());
            assert_eq!(mac.as_deref(), Some("02:00:00:00:00:99"));
            clear(client, &[&a, &b])
        },
    )
}

#[test]
fn of_two_networks_the_one_of_the_lower_metric_is_the_default() -> Result<()> {
    with_host(
        "metric",
        |_| Ok(()),
        |lab, client| {
            for (name, number, metric) in [("high", 1, "200"), ("low", 2, "100")] {
                let network = json!({ "name": name, "options": { "metric": metric }, "pools": [{ "subnet": format!("10.77.{number}.0/24") }] });
                client.post("/v1/networks", &network)?.ok("create network")?;
            }
            let a = Sandbox::create(lab, client, "a")?;
            let default = |lab: &Lab| -> Result<Vec<String>> {
                Ok(routes(lab, &a)?
                    .into_iter()
                    .filter(|r| r.starts_with("0.0.0.0/0"))
                    .collect())
            };
            a.connect(client, "high")?;
            assert_eq!(default(lab)?, ["0.0.0.0/0 via 10.77.1.1 metric 200"]);
            a.connect(client, "low")?;
            assert_eq!(default(lab)?, ["0.0.0.0/0 via 10.77.2.1 metric 100"]);
            a.disconnect(client, "low")?;
            assert_eq!(default(lab)?, ["0.0.0.0/0 via 10.77.1.1 metric 200"]);
            a.delete(client)?;
            for name in ["high", "low"] {
                client.delete(&format!("/v1/networks/{name}"))?.ok("delete network")?;
            }
            Ok(())
        },
    )
}

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
fn outside(lab: &Lab) -> Result<Namespace> {
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
        (json!({}), "192.0.2.1", true),
        (json!({ "masquerade": "false" }), "10.77.1.2", true),
        (
            json!({ "com.docker.network.host_ipv4": "192.0.2.77" }),
            "192.0.2.77",
            true,
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
                let outside = lab
                    .kernel()
                    .open_namespace(&jackfield_kernel::NamespaceSource::Path(lab.namespace_path("outside")));
                let outside = outside.map_err(|cause| LabError::new("open the outside", cause))?;
                client
                    .post("/v1/networks", &blue(options.clone()))?
                    .ok("create network")?;
                let a = Sandbox::create(lab, client, "a")?;
                let in_a = a.connect(client, "blue")?;
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

#[test]
fn bandwidth_is_limited_both_ways() -> Result<()> {
    const LIMIT: f64 = 1_250_000.0;
    const TIME: Duration = Duration::from_millis(1500);
    with_host(
        "bandwidth",
        |_| Ok(()),
        |lab, client| {
            client.post("/v1/networks", &blue(json!({})))?.ok("create network")?;
            let [(a, in_a), (b, in_b)] = pair(lab, client)?;
            a.disconnect(client, "blue")?;
            let limited = json!({ "options": { "bandwidth-in": "10mbit", "bandwidth-out": "20mbit" }, "addresses": [in_a.addresses[0]] });
            a.connect_with(client, "blue", limited)?;
            let to = |address: IpAddr, port| SocketAddr::new(address, port);
            let receives = probe::throughput(lab, &b.namespace, &a.namespace, to(in_a.addresses[0], 7001), TIME)?;
            let sends = probe::throughput(lab, &a.namespace, &b.namespace, to(in_b.addresses[0], 7002), TIME)?;
            println!(
                "receives {receives:.0} of {LIMIT:.0} B/s, sends {sends:.0} of {:.0}",
                2.0 * LIMIT
            );
            for (what, rate, limit) in [("receives", receives, LIMIT), ("sends", sends, 2.0 * LIMIT)] {
                assert!(
                    (0.5 * limit..1.2 * limit).contains(&rate),
                    "it {what} {rate:.0} B/s of {limit:.0}"
                );
            }
            clear(client, &[&a, &b])
        },
    )
}

#[test]
fn a_vlan_is_set_or_said_to_be_missing() -> Result<()> {
    with_host(
        "vlan",
        |_| Ok(()),
        |lab, client| {
            let answer = client.post("/v1/networks", &blue(json!({ "vlan": "7", "bridge": "blue0" })))?;
            if answer.status == 201 {
                let [(a, _), (b, in_b)] = pair(lab, client)?;
                probe::ping(lab, &a.namespace, in_b.addresses[0])?;
                probe::ping(lab, &a.namespace, ip(GATEWAY))?;
                return clear(client, &[&a, &b]);
            }
            println!("skipped: {}", answer.detail());
            assert!(answer.detail().contains("VLAN"), "{}", answer.body);
            assert_eq!(answer.status, 422, "{}", answer.body);
            Ok(())
        },
    )
}

#[test]
fn a_bridge_with_every_port_taken_says_so() -> Result<()> {
    const MOST: u32 = 1023;
    const GROUP: u32 = 77;
    with_host(
        "full",
        |_| Ok(()),
        |lab, client| {
            client
                .post("/v1/networks", &blue(json!({ "bridge": "blue0" })))?
                .ok("create network")?;
            let bridge = link(lab, lab.realm(), "blue0")?.index;
            let pairs = (0..MOST).map(|n| -> Result<Request> {
                let at = |number| -> Result<LinkAt> {
                    Ok(LinkAt {
                        place: Place::Realm,
                        index: index(number)?,
                    })
                };
                Ok(Request::CreateLink {
                    link: Box::new(plan::NewLink {
                        at: at(FOREIGN + 2 * n)?,
                        name: name(&format!("p{n}"))?,
                        mac: MacAddr::random(),
                        mtu: None,
                        kind: plan::LinkKind::Veth {
                            peer: plan::VethPeer {
                                at: at(FOREIGN + 2 * n + 1)?,
                                name: name(&format!("q{n}"))?,
                                mac: MacAddr::random(),
                                mtu: None,
                            },
                        },
                    }),
                    controller: Some(bridge),
                    group: GROUP,
                    sandbox: None,
                })
            });
            lab.send(lab.realm(), &pairs.collect::<Result<Vec<_>>>()?)?;
            let a = Sandbox::create(lab, client, "a")?;
            let before = lab.dump()?;
            let answer = client.post("/v1/networks/blue/connect", &json!({ "sandbox": "a" }))?;
            assert_eq!(answer.status, 409, "{}", answer.body);
            for word in ["blue", "1023", "disconnect"] {
                assert!(answer.detail().contains(word), "{word} in {}", answer.detail());
            }
            assert_eq!(lab.dump()?, before, "nothing is left of it");
            lab.send(lab.realm(), &[Request::DeleteGroup { group: GROUP }])?;
            let joined = a.connect(client, "blue")?;
            probe::ping(lab, &a.namespace, ip(GATEWAY))?;
            probe::ping(lab, lab.realm(), joined.addresses[0])?;
            clear(client, &[&a])
        },
    )
}

#[test]
fn an_unknown_option_is_answered_with_the_known_ones_and_the_nearest() -> Result<()> {
    with_host(
        "unknown",
        |_| Ok(()),
        |_, client| {
            for (options, words) in [
                (
                    json!({ "isolate": "true" }),
                    vec!["isolate", "did you mean \"isolated\"?", "bandwidth-in"],
                ),
                (
                    json!({ "com.docker.network.driver.mtuu": "1400" }),
                    vec!["did you mean \"com.docker.network.driver.mtu\"?"],
                ),
                (
                    json!({ "mtu": "1400", "com.docker.network.driver.mtu": "1500" }),
                    vec!["mtu is \"1400\"", "it is \"1500\""],
                ),
            ] {
                let refused = client.post("/v1/networks", &blue(options))?;
                assert_eq!(refused.status, 400, "{}", refused.body);
                for word in words {
                    assert!(refused.detail().contains(word), "{word} in {}", refused.detail());
                }
            }
            Ok(())
        },
    )
}

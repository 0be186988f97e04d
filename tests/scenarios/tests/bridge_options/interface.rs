//! What a sandbox gets: its interface with MTU, MAC, routes and bandwidth, and a port that the bridge has room for.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jackfield_kernel::{LinkAt, Place, Request, plan};
use jackfield_lab::{Lab, LabError, Result, Sandbox, probe};
use jackfield_model::MacAddr;
use serde_json::json;

use super::{FOREIGN, GATEWAY, blue, clear, index, ip, link, name, net, pair, routes, with_host};

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

/// A sandbox that says to be a router is not believed by its neighbours, whoever made them, until somebody tells them to.
#[test]
fn a_rogue_router_gives_no_sandbox_a_default_route() -> Result<()> {
    with_host(
        "rogue",
        |lab| lab.namespace("another").map(drop),
        |lab, client| {
            client.post("/v1/networks", &blue(json!({})))?.ok("create network")?;
            let rogue = Sandbox::create(lab, client, "rogue")?;
            let path = json!({ "path": lab.namespace_path("another") });
            let victims = [
                Sandbox::create(lab, client, "made")?,
                Sandbox::create_with(lab, client, "adopted", path)?,
            ];
            rogue.connect(client, "blue")?;
            let rogues = link(lab, &rogue.namespace, "eth0")?.index;
            for victim in &victims {
                let address = victim.connect(client, "blue")?.addresses[1];
                let routed =
                    || Ok::<_, LabError>(routes(lab, victim)?.iter().any(|r| r.starts_with("::/0 via fe80::2")));
                lab.advertise_from(&rogue.namespace, rogues)?;
                // What was sent before this answer has been dealt with.
                probe::ping(lab, &rogue.namespace, address)?;
                assert!(!routed()?, "{}", victim.name);
                // That it would have been believed.
                let listen = || std::fs::write("/proc/sys/net/ipv6/conf/eth0/accept_ra", "1");
                let told = lab.within(&victim.namespace, listen)?;
                told.map_err(|cause| LabError::new("listen", cause))?;
                let deadline = Instant::now() + Duration::from_secs(5);
                while !routed()? {
                    assert!(Instant::now() < deadline, "{} hears nothing at all", victim.name);
                    lab.advertise_from(&rogue.namespace, rogues)?;
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            clear(client, &[&rogue, &victims[0], &victims[1]])
        },
    )
}

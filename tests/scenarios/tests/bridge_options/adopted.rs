//! Bridges of the host that networks are laid on.

use std::net::SocketAddr;

use jackfield_kernel::{Dump, Ifindex, LinkAt, Namespace, Place, Request, plan};
use jackfield_lab::{Lab, Result, Sandbox, probe};
use jackfield_model::MacAddr;
use serde_json::json;

use super::{
    FOREIGN, GATEWAY, GATEWAY_IPV6, addresses_of, blue, border::outside, clear, index, ip, link, name, net, open, pair,
    with_host,
};

/// A bridge of somebody else's, up, with an address, and a cable from it to namespace `beside`, which has the address `far`.
fn foreign_bridge(lab: &Lab, called: &str, near: &str, far: &str) -> Result<Namespace> {
    let outside = lab.namespace("beside")?;
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
        // From it the host asks for neighbours to whom it forwards; the bridge's owner gave it none.
        assert!(ours.iter().any(|address| address.starts_with("fe80:")), "{ours:?}");
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

/// Two networks on one adopted bridge, one on a bridge of its own, a host outside, and one that is on the adopted bridge too: networks do not
/// reach each other, nobody enters but by published ports, and what else is on the bridge is as near as it was.
#[test]
fn networks_on_an_adopted_bridge_are_walled_and_the_bridge_is_not() -> Result<()> {
    let prepare = |lab: &Lab| {
        let beside = foreign_bridge(lab, "br0", "198.51.100.1/24", "198.51.100.9/24")?;
        outside(lab)?;
        let everywhere = plan::Route::via(net("0.0.0.0/0")?, ip("198.51.100.1"), index(FOREIGN + 2)?);
        lab.send(&beside, &[Request::AddRoute(everywhere)])
    };
    with_host("walled", prepare, |lab, client| {
        let (outside, beside) = (open(lab, "outside")?, open(lab, "beside")?);
        let on_br0 = |name: &str, subnet: &str| json!({ "name": name, "options": { "bridge": "br0" }, "pools": [{ "subnet": subnet }] });
        for network in [
            on_br0("blue", "10.77.1.0/24"),
            on_br0("green", "10.77.2.0/24"),
            json!({ "name": "own", "pools": [{ "subnet": "10.77.3.0/24" }] }),
        ] {
            client.post("/v1/networks", &network)?.ok("create network")?;
        }
        let port = json!([{ "container_port": 80, "host_port": 8080 }]);
        let mut joined = Vec::new();
        for (name, network, ports) in [
            ("a", "blue", port),
            ("b", "blue", json!([])),
            ("c", "green", json!([])),
            ("d", "own", json!([])),
        ] {
            let sandbox = Sandbox::create(lab, client, name)?;
            let address = sandbox
                .connect_with(client, network, json!({ "publish": ports }))?
                .addresses[0];
            joined.push((sandbox, address));
        }
        let [a, b, c, d] = [0, 1, 2, 3].map(|at: usize| (&joined[at].0.namespace, joined[at].1));
        let (far, near) = ((&outside, ip("192.0.2.9")), (&beside, ip("198.51.100.9")));
        for (from, to, reached) in [
            (a, b, true),
            (a, far, true),
            (a, near, true),
            (d, far, true),
            (d, near, true),
            (near, a, true),
            (a, c, false),
            (c, a, false),
            (a, d, false),
            (d, a, false),
            (far, a, false),
        ] {
            let answered = probe::ping(lab, from.0, to.1).is_ok();
            assert_eq!(answered, reached, "{} to {}", from.1, to.1);
        }
        probe::ping(lab, lab.realm(), a.1)?;
        let server = SocketAddr::new(a.1, 80);
        for (from, host) in [
            (far, "192.0.2.1"),
            (near, "198.51.100.1"),
            (b, "192.0.2.1"),
            (c, "192.0.2.1"),
            (d, "192.0.2.1"),
        ] {
            probe::tcp(lab, from.0, a.0, server, SocketAddr::new(ip(host), 8080))?;
        }
        let service = SocketAddr::new(far.1, 7200);
        let seen = probe::tcp(lab, a.0, far.0, service, service)?;
        assert_eq!(seen.ip(), ip("192.0.2.1"), "masqueraded");
        // With a network goes what is its own, and no more.
        joined[2].0.delete(client)?;
        client.delete("/v1/networks/green")?.ok("delete green")?;
        assert!(probe::unreachable(lab, far.0, a.1), "blue's walls stand");
        assert!(probe::unreachable(lab, d.0, a.1), "blue's walls stand");
        for at in [0, 1, 3] {
            joined[at].0.delete(client)?;
        }
        for network in ["blue", "own"] {
            client
                .delete(&format!("/v1/networks/{network}"))?
                .ok("delete network")?;
        }
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

//! Addresses, neighbours, sysctls and forwarding entries, and questions about one thing.

use jackfield_model::Family;

use super::{Bench, bridge, index, ip, link, mac, name, net, table::*, up, veth};
use crate::{
    Kernel, LinkQuery, PROTOCOL, Request,
    plan::{ForwardingEntry, LinkKind, LinkSetting, Route, SysctlKey, SysctlTable, VxlanAttributes},
};

#[test]
fn addresses_neighbours_and_sysctls_come_and_go() {
    check(|bench| {
        let before = || {
            let quiet = set(1, LinkSetting::AddressGeneration(false));
            // A link that loses its carrier loses its proxy entries, and the kernel looks at the carrier of a new link some time later.
            let settled = Request::Settle { index: index(1) };
            vec![bench.create(bridge(1, "d0")), quiet, up(1), settled]
        };
        let i = index(1);
        let address = |name, text| Row {
            name,
            before: before(),
            make: vec![Request::AddAddress {
                index: i,
                address: net(text),
            }],
            seen: |r, _| {
                r.addresses
                    .iter()
                    .any(|a| a.index == index(1) && a.protocol == PROTOCOL)
            },
            unmake: vec![Request::DeleteAddress {
                index: i,
                address: net(text),
            }],
        };
        let key = |family, table, key: &str| SysctlKey {
            family,
            table,
            key: key.to_owned(),
        };
        let proxy = key(Family::Ipv4, SysctlTable::Conf, "proxy_arp");
        let delay = key(Family::Ipv6, SysctlTable::Neigh, "retrans_time_ms");
        let write = |key: &SysctlKey, value: &str| Request::WriteSysctl {
            index: i,
            key: key.clone(),
            value: value.to_owned(),
        };
        vec![
            address("IPv4 address", "10.1.0.1/24"),
            address("IPv4 host address", "10.1.0.1/32"),
            address("IPv6 address", "fd00::1/64"),
            Row {
                name: "neighbours",
                before: before(),
                make: vec![
                    Request::AddNeighbour {
                        index: i,
                        address: ip("10.1.0.9"),
                        mac: mac(9),
                    },
                    Request::AddNeighbour {
                        index: i,
                        address: ip("fd00::9"),
                        mac: mac(9),
                    },
                    Request::AddProxyNeighbour {
                        index: i,
                        address: ip("10.1.0.8"),
                    },
                    Request::AddProxyNeighbour {
                        index: i,
                        address: ip("fd00::8"),
                    },
                ],
                seen: |r, _| {
                    let ours = r
                        .neighbours
                        .iter()
                        .filter(|n| n.protocol == PROTOCOL && n.index == index(1));
                    ours.filter_map(|n| n.mac).count() == 2 && r.neighbours.len() == 4
                },
                unmake: vec![
                    Request::DeleteNeighbour {
                        index: i,
                        address: ip("10.1.0.9"),
                    },
                    Request::DeleteNeighbour {
                        index: i,
                        address: ip("fd00::9"),
                    },
                    Request::DeleteProxyNeighbour {
                        index: i,
                        address: ip("10.1.0.8"),
                    },
                    Request::DeleteProxyNeighbour {
                        index: i,
                        address: ip("fd00::8"),
                    },
                ],
            },
            Row {
                name: "sysctls",
                before: before(),
                make: vec![write(&proxy, "1"), write(&delay, "2000")],
                seen: |r, _| {
                    r.sysctls["ipv4/conf/d0/proxy_arp"] == "1" && r.sysctls["ipv6/neigh/d0/retrans_time_ms"] == "2000"
                },
                unmake: vec![write(&proxy, "0"), write(&delay, "1000")],
            },
        ]
    });
}

#[test]
fn forwarding_entries_of_a_vxlan_and_of_a_bridge_come_and_go() {
    check(|bench| {
        let vxlan = LinkKind::Vxlan(VxlanAttributes {
            vni: 42,
            parent: None,
            local: None,
            port: Some(4789),
            learning: Some(false),
            ttl: None,
        });
        let vxlan_before = || vec![bench.create(link(1, "x0", vxlan.clone()))];
        let port_before = || {
            let port = Request::SetLink {
                index: index(2),
                setting: LinkSetting::Controller(Some(index(1))),
            };
            vec![bench.create(bridge(1, "br0")), bench.create(veth(2, "v0")), port]
        };
        let to = |m: Option<u8>, destination: &str| ForwardingEntry {
            mac: m.map(mac),
            destination: Some(ip(destination)),
            vni: None,
            vlan: None,
        };
        let add = |number: u8, entry| Request::AddForwarding {
            index: index(number.into()),
            entry,
        };
        let delete = |number: u8, entry| Request::DeleteForwarding {
            index: index(number.into()),
            entry,
        };
        let (one, two, mac) = (to(None, "192.0.2.1"), to(None, "192.0.2.2"), to(Some(9), "192.0.2.1"));
        let fixed = ForwardingEntry {
            destination: None,
            ..mac.clone()
        };
        vec![
            Row {
                name: "where a VXLAN floods adds up",
                before: vxlan_before(),
                make: vec![add(1, one.clone()), add(1, two.clone())],
                seen: |r, _| r.forwarding.len() == 2,
                unmake: vec![delete(1, one), delete(1, two)],
            },
            Row {
                name: "a MAC behind a VXLAN moves",
                before: vxlan_before(),
                make: vec![add(1, to(Some(9), "192.0.2.7")), add(1, mac.clone())],
                seen: |r, _| r.forwarding.len() == 1 && r.forwarding[0].entry.destination == Some(ip("192.0.2.1")),
                unmake: vec![delete(1, mac)],
            },
            Row {
                name: "a MAC behind a bridge's port",
                before: port_before(),
                make: vec![add(2, fixed.clone())],
                seen: |r, _| r.forwarding.len() == 1,
                unmake: vec![delete(2, fixed)],
            },
        ]
    });
}

#[test]
fn one_thing_is_read_without_a_dump() {
    let Some(bench) = Bench::new() else { return };
    let quiet = set(2, LinkSetting::AddressGeneration(false));
    let address = Request::AddAddress {
        index: index(2),
        address: net("10.1.0.1/24"),
    };
    bench.realm(&[bench.create(veth(2, "v0")), quiet, up(2), address]);
    bench.sandbox(&[up(3)]);
    bench.realm(&[
        Request::Settle { index: index(2) },
        Request::AddRoute(Route::via(net("0.0.0.0/0"), ip("10.1.0.254"), index(2))),
    ]);
    let (kernel, realm) = (&bench.kernel, &bench.realm);

    let found = kernel.link(realm, LinkQuery::Index(index(2))).unwrap().unwrap();
    assert_eq!(
        kernel.link(realm, LinkQuery::Name(&name("v0"))).unwrap().as_ref(),
        Some(&found)
    );
    assert_eq!(kernel.link(realm, LinkQuery::Name(&name("none"))).unwrap(), None);
    assert_eq!(kernel.link(realm, LinkQuery::Index(index(99))).unwrap(), None);
    assert!(
        kernel.dump(realm).unwrap().links.contains(&found),
        "a dump and a question say the same"
    );

    assert!(kernel.statistics(realm, index(2)).unwrap().is_some());
    assert_eq!(kernel.statistics(realm, index(99)).unwrap(), None);

    let key = |key: &str| SysctlKey {
        family: Family::Ipv4,
        table: SysctlTable::Conf,
        key: key.to_owned(),
    };
    assert_eq!(
        kernel.sysctl(realm, index(2), &key("proxy_arp")).unwrap().as_deref(),
        Some("0")
    );
    assert_eq!(kernel.sysctl(realm, index(2), &key("no_such_key")).unwrap(), None);

    let route = kernel.lookup_route(realm, ip("192.0.2.1")).unwrap().unwrap();
    assert_eq!(
        (route.link, route.gateway, route.source),
        (Some(index(2)), Some(ip("10.1.0.254")), Some(ip("10.1.0.1")))
    );
    assert_eq!(kernel.lookup_route(realm, ip("2001:db8::1")).unwrap(), None);
    assert_eq!(kernel.lookup_route(&bench.sandbox, ip("192.0.2.1")).unwrap(), None);
}

//! Each request is seen in the dump, and its inverse leaves the dump as it was.

use jackfield_model::Family;

use super::{Bench, bridge, differences, index, ip, link, mac, name, net, up, veth};
use crate::{
    Dump, Kernel, LinkQuery, Linux, PROTOCOL, Request,
    plan::{
        BridgeAttributes, BridgePortAttributes, ForwardingEntry, IpvlanMode, LinkAt, LinkKind, LinkSetting,
        MacvlanMode, NewLink, Place, Route, RouteKind, Rule, SysctlKey, SysctlTable, TapAttributes, VxlanAttributes,
    },
};

/// One row: what there is before, what is done, how the realm's and the sandbox's dump show it, and what takes it back.
struct Row {
    name: &'static str,
    before: Vec<Request>,
    make: Vec<Request>,
    seen: fn(&Dump, &Dump) -> bool,
    unmake: Vec<Request>,
}

fn set(number: u8, setting: LinkSetting) -> Request {
    Request::SetLink {
        index: index(number.into()),
        setting,
    }
}

fn delete(number: u8) -> Request {
    Request::DeleteLink {
        index: index(number.into()),
    }
}

fn kind_of(dump: &Dump, number: u8) -> Option<&str> {
    dump.links
        .iter()
        .find(|l| l.index == index(number.into()))
        .map(|l| l.kind.as_str())
}

fn check(rows: impl FnOnce(&Bench) -> Vec<Row>) {
    let Some(first) = Bench::new() else { return };
    for row in rows(&first) {
        if let Some(kind) = row.make.iter().find_map(|r| missing_kind(&first, r)) {
            eprintln!("skipped: {}: this kernel has no {kind}", row.name);
            continue;
        }
        // The rows name the first bench's sandbox, so that one is used; the realm is new for each.
        let kernel = Linux::new().unwrap();
        let realm = kernel.create_namespace().unwrap();
        let bench = Bench {
            kernel,
            realm,
            sandbox: first.sandbox.clone(),
        };
        bench.realm(&row.before);
        let (realm, sandbox) = bench.dump();
        bench.realm(&row.make);
        let made = bench.dump();
        assert!(
            (row.seen)(&made.0, &made.1),
            "{}: not seen in\n{}",
            row.name,
            differences(&realm, &made.0)
        );
        bench.realm(&row.unmake);
        let after = bench.dump();
        assert_eq!(
            after.0,
            realm,
            "{}: the realm differs\n{}",
            row.name,
            differences(&realm, &after.0)
        );
        assert_eq!(
            after.1,
            sandbox,
            "{}: the sandbox differs\n{}",
            row.name,
            differences(&sandbox, &after.1)
        );
        bench.realm(&row.before.iter().filter_map(inverse).collect::<Vec<_>>());
    }
}

/// The kind of link that a request makes, where this kernel does not have it.
fn missing_kind(bench: &Bench, request: &Request) -> Option<&'static str> {
    let Request::CreateLink { link, .. } = request else {
        return None;
    };
    (!bench.kernel.supports(link.kind.name()).unwrap()).then_some(link.kind.name())
}

/// Only so that one row's links do not stay in the shared sandbox.
fn inverse(request: &Request) -> Option<Request> {
    match request {
        Request::CreateLink { link, .. } if link.at.place == Place::Realm => {
            Some(Request::DeleteLink { index: link.at.index })
        }
        _ => None,
    }
}

fn in_sandbox(link: NewLink) -> NewLink {
    NewLink {
        at: LinkAt {
            place: Place::Sandbox,
            ..link.at
        },
        ..link
    }
}

#[test]
fn a_link_of_each_kind_is_made_as_asked() {
    check(|bench| {
        let parent = || vec![bench.create(bridge(1, "parent")), up(1)];
        let p = index(1);
        let make = |name, link: NewLink, seen| Row {
            name,
            before: parent(),
            make: vec![bench.create(link)],
            seen,
            unmake: vec![delete(2)],
        };
        vec![
            make("bridge", bridge(2, "br0"), |r, _| {
                r.links.iter().any(|l| {
                    l.kind == "bridge" && l.name == name("br0") && l.index == index(2) && l.mac == Some(mac(2)) && !l.up
                })
            }),
            make(
                "bridge with attributes",
                link(
                    2,
                    "br0",
                    LinkKind::Bridge(BridgeAttributes {
                        stp_state: Some(true),
                        forward_delay: Some(400),
                        ageing_time: Some(6000),
                        mcast_snooping: Some(false),
                        // Many kernels are built without BRIDGE_VLAN_FILTERING, and refuse both values.
                        vlan_filtering: None,
                    }),
                ),
                |r, _| kind_of(r, 2) == Some("bridge"),
            ),
            make(
                "veth",
                NewLink {
                    mtu: Some(1400),
                    ..veth(2, "v0")
                },
                |r, s| {
                    let here = r
                        .links
                        .iter()
                        .any(|l| l.index == index(2) && l.kind == "veth" && l.mtu == 1400 && l.mac == Some(mac(2)));
                    let there = s
                        .links
                        .iter()
                        .any(|l| l.index == index(3) && l.name == name("eth0") && l.mac == Some(mac(3)));
                    here && there
                },
            ),
            make(
                "tap",
                NewLink {
                    mtu: Some(1400),
                    ..link(
                        2,
                        "t0",
                        LinkKind::Tap(TapAttributes {
                            vnet_hdr: true,
                            ..TapAttributes::default()
                        }),
                    )
                },
                |r, _| {
                    r.links
                        .iter()
                        .any(|l| l.kind == "tap" && l.index == index(2) && l.mtu == 1400 && l.mac == Some(mac(2)))
                },
            ),
            make("dummy", link(2, "d0", LinkKind::Dummy), |r, _| {
                kind_of(r, 2) == Some("dummy")
            }),
            make(
                "macvlan",
                link(
                    2,
                    "m0",
                    LinkKind::Macvlan {
                        parent: p,
                        mode: MacvlanMode::Private,
                    },
                ),
                |r, _| {
                    r.links
                        .iter()
                        .any(|l| l.kind == "macvlan" && l.parent == Some(index(1)))
                },
            ),
            make(
                "ipvlan",
                link(
                    2,
                    "i0",
                    LinkKind::Ipvlan {
                        parent: p,
                        mode: IpvlanMode::L3,
                    },
                ),
                |r, _| kind_of(r, 2) == Some("ipvlan"),
            ),
            make("vlan", link(2, "l0", LinkKind::Vlan { parent: p, id: 7 }), |r, _| {
                kind_of(r, 2) == Some("vlan")
            }),
            make(
                "vxlan",
                link(
                    2,
                    "x0",
                    LinkKind::Vxlan(VxlanAttributes {
                        vni: 42,
                        parent: Some(p),
                        local: Some(ip("10.0.0.1")),
                        port: Some(4789),
                        learning: Some(false),
                        ttl: Some(64),
                    }),
                ),
                |r, _| kind_of(r, 2) == Some("vxlan"),
            ),
        ]
    });
}

#[test]
fn a_link_on_a_parent_is_made_in_the_sandbox_in_place() {
    let Some(bench) = Bench::new() else { return };
    bench.realm(&[bench.create(bridge(1, "parent")), up(1)]);
    let before = bench.dump();
    let kinds = [
        LinkKind::Macvlan {
            parent: index(1),
            mode: MacvlanMode::Bridge,
        },
        LinkKind::Ipvlan {
            parent: index(1),
            mode: IpvlanMode::L2,
        },
        LinkKind::Vlan {
            parent: index(1),
            id: 9,
        },
        LinkKind::Dummy,
        LinkKind::Tap(TapAttributes::default()),
    ];
    for kind in kinds {
        if !bench.kernel.supports(kind.name()).unwrap() {
            eprintln!("skipped: this kernel has no {}", kind.name());
            continue;
        }
        bench.realm(&[bench.create(in_sandbox(link(2, "eth0", kind.clone())))]);
        let (realm, sandbox) = bench.dump();
        assert_eq!(realm, before.0, "{kind:?} left something in the realm");
        let made = sandbox.links.iter().find(|l| l.index == index(2)).unwrap();
        assert_eq!((made.kind.as_str(), &made.name), (kind.name(), &name("eth0")));
        bench.sandbox(&[delete(2)]);
        assert_eq!(bench.dump().1, before.1);
    }
}

#[test]
fn each_setting_of_a_link_is_seen_and_taken_back() {
    check(|bench| {
        let before = || vec![bench.create(bridge(1, "br0")), bench.create(veth(2, "v0"))];
        let port = || [before(), vec![set(2, LinkSetting::Controller(Some(index(1))))]].concat();
        let all = |on| {
            let on = Some(on);
            BridgePortAttributes {
                isolated: on,
                hairpin: on,
                learning: on,
                neigh_suppress: on,
                flood: on,
                mcast_flood: on,
            }
        };
        let row = |name, before, to, seen, back| Row {
            name,
            before,
            make: vec![set(2, to)],
            seen,
            unmake: vec![set(2, back)],
        };
        fn two(r: &Dump) -> &crate::LinkInfo {
            r.links.iter().find(|l| l.index == index(2)).unwrap()
        }
        vec![
            row(
                "up",
                before(),
                LinkSetting::Up(true),
                |r, _| two(r).up,
                LinkSetting::Up(false),
            ),
            row(
                "mtu",
                before(),
                LinkSetting::Mtu(1300),
                |r, _| two(r).mtu == 1300,
                LinkSetting::Mtu(1500),
            ),
            row(
                "mac",
                before(),
                LinkSetting::Mac(mac(9)),
                |r, _| two(r).mac == Some(mac(9)),
                LinkSetting::Mac(mac(2)),
            ),
            row(
                "controller",
                before(),
                LinkSetting::Controller(Some(index(1))),
                |r, _| two(r).controller == Some(index(1)) && two(r).bridge_port.is_some(),
                LinkSetting::Controller(None),
            ),
            row(
                "address generation",
                before(),
                LinkSetting::AddressGeneration(false),
                |r, _| !two(r).address_generation,
                LinkSetting::AddressGeneration(true),
            ),
            row(
                "bridge port",
                [port(), vec![set(2, LinkSetting::BridgePort(all(true)))]].concat(),
                LinkSetting::BridgePort(all(false)),
                |r, _| {
                    two(r).bridge_port.unwrap().isolated == Some(false)
                        && two(r).bridge_port.unwrap().flood == Some(false)
                },
                LinkSetting::BridgePort(all(true)),
            ),
            Row {
                name: "alias",
                before: before(),
                make: vec![Request::SetAlias {
                    index: index(2),
                    alias: "jackfield".to_owned(),
                }],
                seen: |r, _| two(r).alias.as_deref() == Some("jackfield"),
                unmake: vec![Request::SetAlias {
                    index: index(2),
                    alias: String::new(),
                }],
            },
            Row {
                name: "name",
                before: before(),
                make: vec![Request::RenameLink {
                    index: index(2),
                    name: name("other"),
                }],
                seen: |r, _| two(r).name == name("other") && r.sysctls.contains_key("ipv4/conf/other/proxy_arp"),
                unmake: vec![Request::RenameLink {
                    index: index(2),
                    name: name("v0"),
                }],
            },
            Row {
                name: "retire and delete by group",
                before: vec![bench.create(bridge(1, "br0"))],
                make: vec![
                    bench.create(veth(2, "v0")),
                    set(2, LinkSetting::Controller(Some(index(1)))),
                    up(2),
                    Request::Retire {
                        index: index(2),
                        group: 77,
                    },
                ],
                seen: |r, _| !two(r).up && two(r).controller.is_none() && two(r).group == 77,
                unmake: vec![Request::DeleteGroup { group: 77 }],
            },
        ]
    });
}

#[test]
fn addresses_neighbours_and_sysctls_come_and_go() {
    check(|bench| {
        let before = || {
            let quiet = set(1, LinkSetting::AddressGeneration(false));
            vec![bench.create(bridge(1, "d0")), quiet, up(1)]
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
fn routes_and_rules_come_and_go() {
    check(|bench| {
        let before = || {
            let quiet = set(1, LinkSetting::AddressGeneration(false));
            let address = |text| Request::AddAddress {
                index: index(1),
                address: net(text),
            };
            vec![
                bench.create(bridge(1, "d0")),
                quiet,
                up(1),
                address("10.1.0.1/24"),
                address("fd00::1/64"),
            ]
        };
        let route = |name, route: Route| Row {
            name,
            before: before(),
            make: vec![Request::AddRoute(route.clone())],
            seen: |r, _| r.routes.iter().any(|r| r.protocol == PROTOCOL),
            unmake: vec![Request::DeleteRoute(route)],
        };
        let rule = |name, rule: Rule| Row {
            name,
            before: before(),
            make: vec![Request::AddRule(rule.clone())],
            seen: |r, _| r.rules.iter().any(|r| r.protocol == PROTOCOL),
            unmake: vec![Request::DeleteRule(rule)],
        };
        let all = some_routes().into_iter().map(|(name, r)| route(name, r));
        all.chain(some_rules().into_iter().map(|(name, r)| rule(name, r)))
            .collect()
    });
}

fn some_routes() -> Vec<(&'static str, Route)> {
    let i = index(1);
    let reject = |kind| Route {
        link: None,
        kind,
        ..Route::connected(net("10.3.0.0/16"), i)
    };
    vec![
        ("on the link", Route::connected(net("10.2.0.0/16"), i)),
        ("by a gateway", Route::via(net("10.2.0.0/16"), ip("10.1.0.254"), i)),
        ("default", Route::via(net("0.0.0.0/0"), ip("10.1.0.254"), i)),
        ("IPv6 on the link", Route::connected(net("fd01::/64"), i)),
        ("IPv6 default", Route::via(net("::/0"), ip("fd00::ff"), i)),
        (
            "gateway onlink",
            Route {
                onlink: true,
                ..Route::via(net("10.2.0.0/16"), ip("192.168.7.1"), i)
            },
        ),
        (
            "IPv4 by an IPv6 gateway",
            Route::via(net("10.2.0.0/16"), ip("fd00::ff"), i),
        ),
        ("blackhole", reject(RouteKind::Blackhole)),
        ("unreachable", reject(RouteKind::Unreachable)),
        ("prohibit", reject(RouteKind::Prohibit)),
        (
            "IPv6 blackhole",
            Route {
                destination: net("fd03::/64"),
                ..reject(RouteKind::Blackhole)
            },
        ),
        (
            "with everything",
            Route {
                source: Some(ip("10.1.0.1")),
                metric: Some(77),
                table: Some(1000),
                mtu: Some(1280),
                advmss: Some(1200),
                ..Route::via(net("10.2.0.0/16"), ip("10.1.0.254"), i)
            },
        ),
    ]
}

fn some_rules() -> Vec<(&'static str, Rule)> {
    let rule = Rule {
        family: Family::Ipv4,
        priority: 1000,
        table: 1000,
        from: None,
        to: None,
        iif: None,
        oif: None,
        fwmark: None,
    };
    vec![
        (
            "from and to",
            Rule {
                from: Some(net("10.1.0.0/24")),
                to: Some(net("10.2.0.0/16")),
                ..rule.clone()
            },
        ),
        (
            "links and mark",
            Rule {
                iif: Some(name("d0")),
                oif: Some(name("d0")),
                fwmark: Some(5),
                ..rule.clone()
            },
        ),
        (
            "IPv6",
            Rule {
                family: Family::Ipv6,
                from: Some(net("fd00::/64")),
                ..rule
            },
        ),
    ]
}

#[test]
fn routes_and_rules_are_read_back_as_they_were_given() {
    let Some(bench) = Bench::new() else { return };
    let address = |text| Request::AddAddress {
        index: index(1),
        address: net(text),
    };
    bench.realm(&[
        bench.create(bridge(1, "d0")),
        up(1),
        address("10.1.0.1/24"),
        address("fd00::1/64"),
    ]);
    for (name, route) in some_routes() {
        bench.realm(&[Request::AddRoute(route.clone())]);
        let (dump, _) = bench.dump();
        let read: Vec<_> = dump
            .routes
            .into_iter()
            .filter(|r| r.protocol == PROTOCOL)
            .map(|r| r.route)
            .collect();
        assert_eq!(read, std::slice::from_ref(&route), "{name}");
        bench.realm(&[Request::DeleteRoute(route)]);
    }
    for (name, rule) in some_rules() {
        bench.realm(&[Request::AddRule(rule.clone())]);
        let (dump, _) = bench.dump();
        let read: Vec<_> = dump
            .rules
            .into_iter()
            .filter(|r| r.protocol == PROTOCOL)
            .map(|r| r.rule)
            .collect();
        assert_eq!(read, std::slice::from_ref(&rule), "{name}");
        bench.realm(&[Request::DeleteRule(rule)]);
    }
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

#[test]
fn a_kind_is_known_or_not_and_asking_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.dump();
    for kind in ["bridge", "veth"] {
        assert!(bench.kernel.supports(kind).unwrap(), "{kind}");
    }
    assert!(!bench.kernel.supports("no-such-kind").unwrap());
    assert_eq!(bench.dump(), before);
}

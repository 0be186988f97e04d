//! Links of each kind and each of their settings.

use super::{Bench, bridge, index, ip, link, mac, name, table::*, up, veth};
use crate::{
    Dump, Kernel, Request,
    plan::{
        BridgeAttributes, BridgePortAttributes, IpvlanMode, LinkAt, LinkKind, LinkSetting, MacvlanMode, NewLink, Place,
        TapAttributes, VxlanAttributes,
    },
};

fn kind_of(dump: &Dump, number: u8) -> Option<&str> {
    dump.links
        .iter()
        .find(|l| l.index == index(number.into()))
        .map(|l| l.kind.as_str())
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
                        vlan_default_pvid: None,
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
fn a_kind_is_known_or_not_and_asking_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.dump();
    for kind in ["bridge", "veth"] {
        assert!(bench.kernel.supports(kind).unwrap(), "{kind}");
    }
    assert!(!bench.kernel.supports("no-such-kind").unwrap());
    // Where its device opens, the kernel makes TAP links, as `a_link_of_each_kind_is_made_as_asked` shows.
    let device = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    assert_eq!(bench.kernel.supports("tap").unwrap(), device.is_ok());
    assert_eq!(bench.dump(), before);
}

//! Sequences with a name: what plans rest on, and whatever a random sequence has once found.

use jackfield_kernel::{
    LinkAt, Place, Request,
    plan::{BridgeAttributes, LinkKind, LinkSetting, MacvlanMode, NewLink, Route, RouteKind, Rule, VethPeer},
};

use jackfield_model::Family;

use crate::universe::{Step, index, mac, the_sandbox};

/// A name and its steps.
pub fn all() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("a populated realm and sandbox", populated()),
        ("names and indexes that are taken", taken()),
        ("controllers that are none", controllers()),
        ("what a link takes along when it goes down", down()),
        ("what a link takes along when it is deleted", deleted()),
        ("what the last address takes along", last_address()),
        ("secondary addresses", secondaries()),
        ("routes that lead nowhere", nowhere()),
        ("macvlans on one parent", macvlans()),
        ("MTUs that are followed", mtus()),
        ("links that are retired and deleted as a group", groups()),
        ("gateways that are this host itself", own_gateways()),
        ("rules for what this host sends", sent_by_host()),
        ("what outlives the carrier", carrier()),
        ("a link that is lent and comes back", lent()),
    ]
}

/// A bridge with a port whose other end is in the sandbox; another pair within the realm; all up, with addresses and default routes.
pub fn populated() -> Vec<Step> {
    let mut steps = vec![
        realm(bridge(100, "a")),
        realm(port(101, "b", 102, "a", 100)),
        realm(pair(103, "c", 104, "d")),
    ];
    steps.extend([100, 101, 103, 104].map(|number| realm(up(number))));
    steps.extend([sandbox(up(1)), sandbox(up(102))]);
    steps.extend([realm(address(100, "10.0.0.1/24")), realm(address(100, "fd00::1/64"))]);
    steps.extend([
        sandbox(address(102, "10.0.0.2/24")),
        sandbox(address(102, "fd00::2/64")),
    ]);
    steps.extend([
        sandbox(via("0.0.0.0/0", "10.0.0.1", 102)),
        sandbox(via("::/0", "fd00::1", 102)),
    ]);
    steps
}

/// From the realm to the sandbox, whose stand-in is the only namespace that a sequence can name.
fn lent() -> Vec<Step> {
    let to_sandbox = |number, name: &str, new| {
        realm(Request::MoveLink {
            index: index(number),
            to: the_sandbox().unwrap(),
            name: name.parse().unwrap(),
            new_index: index(new),
        })
    };
    let mut steps = populated();
    steps.extend([
        realm(address(104, "10.0.1.1/24")),
        realm(neighbour(104, "10.0.1.9")),
        realm(via("10.9.0.0/24", "10.0.1.9", 104)),
        to_sandbox(100, "x", 110),
        to_sandbox(1, "x", 110),
        to_sandbox(109, "x", 110),
        to_sandbox(104, "lo", 110),
        to_sandbox(104, "x", 102),
        to_sandbox(104, "x", 110),
        to_sandbox(104, "y", 111),
        sandbox(up(110)),
        sandbox(address(110, "10.0.1.2/24")),
        realm(set(103, LinkSetting::Up(false))),
        to_sandbox(101, "p", 112),
        sandbox(set(112, LinkSetting::Mtu(1400))),
        realm(Request::DeleteLink { index: index(103) }),
    ]);
    steps
}

fn taken() -> Vec<Step> {
    vec![
        realm(bridge(100, "a")),
        realm(bridge(100, "b")),
        realm(bridge(101, "a")),
        realm(pair(102, "b", 100, "c")),
        realm(pair(102, "b", 103, "a")),
        realm(pair(102, "a", 103, "c")),
        realm(pair(102, "b", 102, "c")),
        realm(pair(102, "b", 103, "b")),
        realm(port(102, "b", 103, "lo", 100)),
        realm(Request::RenameLink {
            index: index(100),
            name: "lo".parse().unwrap(),
        }),
        realm(Request::RenameLink {
            index: index(100),
            name: "a".parse().unwrap(),
        }),
        realm(Request::RenameLink {
            index: index(100),
            name: "z".parse().unwrap(),
        }),
        realm(Request::RenameLink {
            index: index(109),
            name: "z".parse().unwrap(),
        }),
    ]
}

fn controllers() -> Vec<Step> {
    vec![
        realm(pair(101, "a", 102, "b")),
        realm(port(103, "c", 104, "d", 101)),
        realm(port(103, "c", 104, "d", 109)),
        realm(control(101, Some(102))),
        realm(control(101, Some(109))),
        realm(bridge(100, "br")),
        realm(control(101, Some(100))),
        realm(control(101, Some(109))),
        realm(control(100, Some(100))),
        realm(control(1, Some(100))),
        realm(control(101, None)),
    ]
}

fn down() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        sandbox(Request::AddRoute(Route::connected(
            "10.9.0.0/24".parse().unwrap(),
            index(102),
        ))),
        sandbox(neighbour(102, "10.0.0.9")),
        sandbox(neighbour(102, "fd00::9")),
        sandbox(Request::AddProxyNeighbour {
            index: index(102),
            address: "10.0.0.7".parse().unwrap(),
        }),
        sandbox(set(102, LinkSetting::Up(false))),
        sandbox(via("0.0.0.0/0", "10.0.0.1", 102)),
        sandbox(via("::/0", "fd00::1", 102)),
        sandbox(Request::AddRoute(Route::connected(
            "10.9.0.0/24".parse().unwrap(),
            index(102),
        ))),
        sandbox(address(102, "fd00::2/64")),
        sandbox(set(102, LinkSetting::Up(true))),
    ]);
    steps
}

fn deleted() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        realm(macvlan(105, "m", 103)),
        sandbox(macvlan_of_sandbox()),
        realm(Request::DeleteLink { index: index(103) }),
        realm(Request::DeleteLink { index: index(103) }),
        realm(Request::DeleteLink { index: index(100) }),
        realm(Request::DeleteLink { index: index(101) }),
        realm(Request::DeleteLink { index: index(1) }),
    ]);
    steps
}

fn last_address() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        sandbox(Request::AddRoute(Route::connected(
            "10.9.0.0/24".parse().unwrap(),
            index(102),
        ))),
        sandbox(neighbour(102, "10.0.0.9")),
        sandbox(forget(102, "10.0.0.9/24")),
        sandbox(forget(102, "10.0.0.2/25")),
        sandbox(forget(102, "10.0.0.2/24")),
        sandbox(forget(102, "fd00::2/64")),
    ]);
    steps
}

fn secondaries() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        sandbox(address(102, "10.0.0.3/24")),
        sandbox(address(102, "10.0.0.2/25")),
        sandbox(address(102, "10.0.0.2/24")),
        sandbox(address(102, "fd00::2/128")),
        sandbox(address(102, "fd00::3/64")),
        sandbox(forget(102, "fd00::2/64")),
        sandbox(forget(102, "10.0.0.2/24")),
        sandbox(address(109, "10.0.0.2/24")),
    ]);
    steps
}

fn nowhere() -> Vec<Step> {
    let mut steps = populated();
    let blackhole = |link| Route {
        kind: RouteKind::Blackhole,
        link,
        ..Route::connected("10.8.0.0/24".parse().unwrap(), index(102))
    };
    steps.extend([
        sandbox(via("10.9.0.0/24", "10.7.7.7", 102)),
        sandbox(via("fd09::/64", "fd77::1", 102)),
        sandbox(via("10.9.0.0/24", "10.0.0.9", 109)),
        sandbox(via("fd09::/64", "fd00::9", 109)),
        sandbox(Request::AddRoute(blackhole(Some(index(102))))),
        sandbox(Request::AddRoute(blackhole(None))),
        sandbox(Request::AddRoute(blackhole(None))),
        sandbox(Request::AddRoute(Route {
            link: None,
            ..Route::connected("10.9.0.0/24".parse().unwrap(), index(102))
        })),
        sandbox(via("0.0.0.0/0", "10.0.0.9", 102)),
        sandbox(Request::DeleteRoute(Route::connected(
            "10.66.0.0/24".parse().unwrap(),
            index(102),
        ))),
    ]);
    steps
}

fn macvlans() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        realm(macvlan(105, "m", 103)),
        realm(macvlan(106, "n", 105)),
        realm(macvlan(107, "o", 109)),
        realm(macvlan(107, "o", 1)),
        realm(macvlan(107, "o", 101)),
        realm(control(103, Some(100))),
        realm(up(105)),
        realm(set(106, LinkSetting::Mac(mac(105)))),
        realm(up(106)),
        realm(set(105, LinkSetting::Mtu(9000))),
        realm(set(103, LinkSetting::Mtu(1400))),
    ]);
    steps
}

fn mtus() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        realm(set(101, LinkSetting::Mtu(1400))),
        realm(control(103, Some(100))),
        realm(control(101, None)),
        realm(set(100, LinkSetting::Mtu(1450))),
        realm(control(101, Some(100))),
        realm(set(103, LinkSetting::Mtu(1000))),
        sandbox(set(102, LinkSetting::Mtu(1000))),
        sandbox(address(102, "fd00::3/64")),
        sandbox(set(102, LinkSetting::Mtu(1500))),
        sandbox(address(102, "fd00::3/64")),
        sandbox(set(102, LinkSetting::Mtu(60))),
        sandbox(set(102, LinkSetting::Mtu(70_000))),
    ]);
    steps
}

fn groups() -> Vec<Step> {
    let mut steps = populated();
    let alias = |alias: &str| {
        realm(Request::SetAlias {
            index: index(101),
            alias: alias.to_owned(),
        })
    };
    steps.extend([
        alias("net:1"),
        alias(""),
        alias(&"x".repeat(254)),
        alias(&"x".repeat(255)),
        realm(Request::Retire {
            index: index(101),
            group: 7,
        }),
        realm(Request::Retire {
            index: index(109),
            group: 7,
        }),
        realm(Request::Retire {
            index: index(1),
            group: 7,
        }),
        realm(Request::DeleteGroup { group: 7 }),
        realm(Request::Retire {
            index: index(1),
            group: 0,
        }),
        realm(Request::DeleteGroup { group: 7 }),
        realm(Request::DeleteGroup { group: 0 }),
        realm(Request::DeleteGroup { group: 9 }),
    ]);
    steps
}

fn own_gateways() -> Vec<Step> {
    let mut steps = populated();
    let onlink = |gateway: &str, link| Route {
        onlink: true,
        ..Route::via("10.9.0.0/24".parse().unwrap(), gateway.parse().unwrap(), index(link))
    };
    steps.extend([
        sandbox(via("10.9.0.0/24", "10.0.0.2", 102)),
        sandbox(via("10.8.0.0/24", "10.0.0.255", 102)),
        sandbox(via("fd09::/64", "fd00::2", 102)),
        sandbox(via("fd09::/64", "fe80::1", 1)),
        realm(Request::AddRoute(onlink("10.0.0.1", 103))),
        realm(Request::AddRoute(onlink("10.0.0.9", 103))),
        realm(via("fd09::/64", "fd00::1", 103)),
    ]);
    steps
}

fn sent_by_host() -> Vec<Step> {
    let mut steps = populated();
    let rule = |iif: &str, priority| {
        let iif = Some(iif.parse().unwrap());
        Request::AddRule(Rule {
            family: Family::Ipv4,
            priority,
            table: 100,
            from: None,
            to: None,
            iif,
            oif: None,
            fwmark: None,
        })
    };
    let default = Route::via("0.0.0.0/0".parse().unwrap(), "10.0.0.9".parse().unwrap(), index(102));
    steps.extend([
        sandbox(Request::AddRoute(Route {
            table: Some(100),
            ..default
        })),
        sandbox(rule("a", 49)),
        sandbox(rule("lo", 50)),
        sandbox(rule("lo", 50)),
    ]);
    steps
}

/// The other end of a pair goes down, and up again.
fn carrier() -> Vec<Step> {
    let mut steps = populated();
    steps.extend([
        sandbox(neighbour(102, "10.0.0.9")),
        sandbox(Request::AddProxyNeighbour {
            index: index(102),
            address: "10.0.0.7".parse().unwrap(),
        }),
        sandbox(Request::AddProxyNeighbour {
            index: index(102),
            address: "fd00::7".parse().unwrap(),
        }),
        realm(set(101, LinkSetting::Up(false))),
        sandbox(Request::Settle { index: index(102) }),
        realm(set(101, LinkSetting::Up(true))),
        sandbox(Request::Settle { index: index(102) }),
    ]);
    steps
}

/// Pairs within the realm, one end of each a port, until the bridge refuses one more (BR_MAX_PORTS).
pub fn too_many_ports() -> Vec<Step> {
    let port = |n: u32| {
        let (number, peer) = (1000 + 2 * n, 1001 + 2 * n);
        let link = veth(number, &format!("p{n}"), Place::Realm, peer, &format!("q{n}"));
        realm(create(link, Some(100)))
    };
    std::iter::once(realm(bridge(100, "a")))
        .chain((0..1026).map(port))
        .collect()
}

fn realm(request: Request) -> Step {
    Step {
        place: Place::Realm,
        request,
    }
}

fn sandbox(request: Request) -> Step {
    Step {
        place: Place::Sandbox,
        request,
    }
}

fn new(number: u32, name: &str, kind: LinkKind) -> Box<NewLink> {
    let at = LinkAt {
        place: Place::Realm,
        index: index(number),
    };
    Box::new(NewLink {
        at,
        name: name.parse().unwrap(),
        mac: mac(number as u8),
        mtu: None,
        kind,
    })
}

fn create(link: Box<NewLink>, controller: Option<u32>) -> Request {
    Request::CreateLink {
        link,
        controller: controller.map(index),
        group: 0,
        sandbox: the_sandbox(),
    }
}

fn bridge(number: u32, name: &str) -> Request {
    create(new(number, name, LinkKind::Bridge(BridgeAttributes::default())), None)
}

fn veth(number: u32, name: &str, place: Place, peer: u32, peer_name: &str) -> Box<NewLink> {
    let at = LinkAt {
        place,
        index: index(peer),
    };
    let peer = VethPeer {
        at,
        name: peer_name.parse().unwrap(),
        mac: mac(peer as u8),
        mtu: None,
    };
    new(number, name, LinkKind::Veth { peer })
}

fn pair(number: u32, name: &str, peer: u32, peer_name: &str) -> Request {
    create(veth(number, name, Place::Realm, peer, peer_name), None)
}

fn port(number: u32, name: &str, peer: u32, peer_name: &str, bridge: u32) -> Request {
    create(veth(number, name, Place::Sandbox, peer, peer_name), Some(bridge))
}

fn macvlan(number: u32, name: &str, parent: u32) -> Request {
    create(
        new(
            number,
            name,
            LinkKind::Macvlan {
                parent: index(parent),
                mode: MacvlanMode::Bridge,
            },
        ),
        None,
    )
}

/// Sent to the sandbox as its realm, on the sandbox's own link.
fn macvlan_of_sandbox() -> Request {
    macvlan(106, "m", 102)
}

fn set(number: u32, setting: LinkSetting) -> Request {
    Request::SetLink {
        index: index(number),
        setting,
    }
}

fn up(number: u32) -> Request {
    set(number, LinkSetting::Up(true))
}

fn control(number: u32, bridge: Option<u32>) -> Request {
    set(number, LinkSetting::Controller(bridge.map(index)))
}

fn address(number: u32, address: &str) -> Request {
    Request::AddAddress {
        index: index(number),
        address: address.parse().unwrap(),
    }
}

fn forget(number: u32, address: &str) -> Request {
    Request::DeleteAddress {
        index: index(number),
        address: address.parse().unwrap(),
    }
}

fn neighbour(number: u32, address: &str) -> Request {
    Request::AddNeighbour {
        index: index(number),
        address: address.parse().unwrap(),
        mac: mac(9),
    }
}

fn via(destination: &str, gateway: &str, link: u32) -> Request {
    Request::AddRoute(Route::via(
        destination.parse().unwrap(),
        gateway.parse().unwrap(),
        index(link),
    ))
}

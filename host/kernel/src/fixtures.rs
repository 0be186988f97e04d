//! Plans in a few words, for this crate's tests.

use jackfield_model::{LinkName, MacAddr, OperationId};

use crate::{
    Ifindex, LinkAt, Make, Place, Plan,
    plan::{BridgeAttributes, LinkKind, LinkSetting, NewLink, Route, VethPeer},
};

pub fn index(n: u32) -> Ifindex {
    Ifindex::new(n).unwrap()
}

pub fn realm(n: u32) -> LinkAt {
    LinkAt {
        place: Place::Realm,
        index: index(n),
    }
}

pub fn sandbox(n: u32) -> LinkAt {
    LinkAt {
        place: Place::Sandbox,
        index: index(n),
    }
}

/// The same MAC for the same index.
pub fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr::new([2, 0x6a, a, b, c, d]).unwrap()
}

pub fn name(text: &str) -> LinkName {
    text.parse().unwrap()
}

pub fn operation(digit: char) -> OperationId {
    digit.to_string().repeat(64).parse().unwrap()
}

pub fn link(at: LinkAt, text: &str, kind: LinkKind) -> Make {
    Make::Link(NewLink {
        at,
        name: name(text),
        mac: mac(at.index.get()),
        mtu: None,
        kind,
    })
}

pub fn bridge(at: LinkAt, text: &str) -> Make {
    link(at, text, LinkKind::Bridge(BridgeAttributes::default()))
}

pub fn veth(at: LinkAt, text: &str, peer: LinkAt, peer_text: &str) -> Make {
    let peer = VethPeer {
        at: peer,
        name: name(peer_text),
        mac: mac(peer.index.get()),
        mtu: None,
    };
    link(at, text, LinkKind::Veth { peer })
}

pub fn set(link: LinkAt, to: LinkSetting) -> Make {
    Make::Set { link, to, was: None }
}

pub fn up(link: LinkAt) -> Make {
    set(link, LinkSetting::Up(true))
}

pub fn port_of(link: LinkAt, bridge: u32) -> Make {
    set(link, LinkSetting::Controller(Some(index(bridge))))
}

pub fn address(link: LinkAt, text: &str) -> Make {
    Make::Address {
        link,
        address: text.parse().unwrap(),
    }
}

pub fn via(at: LinkAt, destination: &str, gateway: &str) -> Make {
    let route = Route::via(destination.parse().unwrap(), gateway.parse().unwrap(), at.index);
    Make::Route { place: at.place, route }
}

pub fn connected(at: LinkAt, destination: &str) -> Make {
    Make::Route {
        place: at.place,
        route: Route::connected(destination.parse().unwrap(), at.index),
    }
}

pub fn plan(makes: Vec<Make>) -> Plan {
    Plan {
        makes,
        removals: vec![],
    }
}

/// The first index of the host's own range.
pub const OURS: u32 = 0x4000_0000;

/// A network of the bridge driver: its bridge has the index OURS + n.
pub fn network(n: u32, text: &str, gateway: &str) -> Plan {
    let at = realm(OURS + n);
    plan(vec![bridge(at, text), address(at, gateway), up(at)])
}

/// A join to the bridge with the index OURS + b: a pair with the indexes OURS + n and OURS + n + 1.
pub fn join(n: u32, b: u32, interface: &str, own: &str, gateway: &str) -> Plan {
    let (host, inside) = (realm(OURS + n), sandbox(OURS + n + 1));
    plan(vec![
        veth(host, &format!("jf{n}"), inside, interface),
        port_of(host, OURS + b),
        up(host),
        address(inside, own),
        up(inside),
        via(inside, "0.0.0.0/0", gateway),
    ])
}

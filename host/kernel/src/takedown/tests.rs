//! What is sent to take a plan back, on evidence given in the test.

use std::{collections::HashMap, net::IpAddr};

use super::*;
use crate::{
    NamespaceId,
    fixtures::*,
    plan::{IpvlanMode, Route},
};

/// A kernel as a table, and what another operation has made.
struct Table {
    realm: Namespace,
    links: HashMap<LinkAt, LinkInfo>,
    our_addresses: Vec<(LinkAt, IpNetwork)>,
    anothers: Vec<Make>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            realm: Namespace::simulated(NamespaceId(1)),
            links: HashMap::new(),
            our_addresses: Vec::new(),
            anothers: Vec::new(),
        }
    }
}

impl Evidence for Table {
    fn realm(&self) -> &Namespace {
        &self.realm
    }
    fn link(&self, at: LinkAt) -> Result<Option<LinkInfo>> {
        Ok(self.links.get(&at).cloned())
    }
    fn sysctl(&self, _: LinkAt, _: &SysctlKey) -> Result<Option<String>> {
        Ok(None)
    }
    fn is_our_address(&self, at: LinkAt, address: IpNetwork) -> Result<bool> {
        Ok(self.our_addresses.contains(&(at, address)))
    }
    fn is_our_neighbour(&self, _: LinkAt, _: IpAddr, _: bool) -> Result<bool> {
        Ok(false)
    }
    fn is_anothers(&self, object: &Object<'_>) -> bool {
        self.anothers
            .iter()
            .filter_map(Object::made)
            .any(|made| made.is(object))
    }
}

fn info(at: LinkAt, kind: &str, mac: MacAddr) -> LinkInfo {
    LinkInfo {
        index: at.index,
        name: name("any"),
        kind: kind.into(),
        mac: Some(mac),
        mtu: 1500,
        up: true,
        controller: None,
        parent: None,
        group: 0,
        alias: None,
        bridge_port: None,
        address_generation: false,
    }
}

const HOST: u32 = OURS + 10;
const INSIDE: u32 = OURS + 11;

/// Both ends of [`join`]'s pair, as made.
fn pair() -> Table {
    let (host, inside) = (realm(HOST), sandbox(INSIDE));
    let links = [host, inside].map(|at| (at, info(at, "veth", mac(at.index.get()))));
    Table {
        links: links.into(),
        ..Table::default()
    }
}

fn joined() -> Plan {
    join(10, 0, "eth0", "10.0.0.2/24", "10.0.0.1")
}

fn down(plan: &Plan, sure: Stands, style: Style, table: &Table) -> (Vec<String>, Vec<String>) {
    let out = takedown(plan, |_| sure, style, table).unwrap();
    let text = |requests: Vec<Request>| requests.iter().map(|r| format!("{r:?}")).collect();
    (text(out.sandbox), text(out.realm))
}

fn words(requests: &[String]) -> Vec<&str> {
    requests.iter().map(|r| r.split([' ', '(']).next().unwrap()).collect()
}

#[test]
fn undoing_a_join_deletes_one_end_and_says_nothing_of_what_dies_with_it() {
    let (sandbox, realm) = down(&joined(), Stands::Yes, Style::Delete, &pair());
    assert!(sandbox.is_empty(), "{sandbox:?}");
    assert_eq!(words(&realm), ["DeleteLink"]);
}

#[test]
fn releasing_a_join_moves_both_ends_out_of_the_way() {
    let (sandbox, realm) = down(&joined(), Stands::Yes, Style::Retire { group: 7 }, &pair());
    assert_eq!(words(&sandbox), ["DeleteAddress", "SetLink", "RenameLink"]);
    assert_eq!(words(&realm), ["Retire", "RenameLink"]);
    let out = takedown(&joined(), |_| Stands::Yes, Style::Retire { group: 7 }, &pair()).unwrap();
    assert_eq!(out.leftovers, [Leftover::Group(7)]);
}

#[test]
fn a_link_with_another_mac_or_of_another_kind_is_not_ours() {
    for (kind, mac_of) in [("veth", 99), ("dummy", HOST)] {
        let mut table = pair();
        table.links.insert(realm(HOST), info(realm(HOST), kind, mac(mac_of)));
        table.links.remove(&sandbox(INSIDE));
        for style in [Style::Delete, Style::Retire { group: 7 }] {
            let (sandbox, realm) = down(&joined(), Stands::Maybe, style, &table);
            assert!(sandbox.is_empty() && realm.is_empty(), "{kind}: {realm:?}");
        }
    }
}

#[test]
fn an_ipvlan_is_known_without_a_mac_since_it_has_its_parents() {
    let at = sandbox(OURS + 5);
    let kind = LinkKind::Ipvlan {
        parent: index(2),
        mode: IpvlanMode::L3,
    };
    let table = Table {
        links: [(at, info(at, "ipvlan", mac(2)))].into(),
        ..Table::default()
    };
    let (sandbox, _) = down(
        &plan(vec![link(at, "eth0", kind)]),
        Stands::Maybe,
        Style::Delete,
        &table,
    );
    assert_eq!(words(&sandbox), ["DeleteLink"]);
}

#[test]
fn what_was_refused_is_never_taken_back_and_what_is_unknown_only_with_proof() {
    let ours = (realm(2), "192.0.2.7/32".parse().unwrap());
    let plan = plan(vec![address(realm(2), "192.0.2.7/32")]);
    let with_proof = Table {
        our_addresses: vec![ours],
        ..Table::default()
    };
    let retire = Style::Retire { group: 7 };
    for (sure, style, table, sent) in [
        (Stands::No, Style::Delete, &with_proof, 0),
        (Stands::Maybe, Style::Delete, &Table::default(), 0),
        (Stands::Maybe, Style::Delete, &with_proof, 1),
        (Stands::Yes, Style::Delete, &Table::default(), 1),
        (Stands::Yes, retire, &Table::default(), 0),
        (Stands::Yes, retire, &with_proof, 1),
    ] {
        assert_eq!(down(&plan, sure, style, table).1.len(), sent, "{sure:?} {style:?}");
    }
}

#[test]
fn what_another_operation_has_made_is_left_to_it_where_it_is_not_known_to_be_ours() {
    let make = connected(realm(2), "198.51.100.0/24");
    let plan = plan(vec![make.clone()]);
    let table = Table {
        anothers: vec![make],
        ..Table::default()
    };
    assert_eq!(down(&plan, Stands::Maybe, Style::Delete, &table).1.len(), 0);
    assert_eq!(down(&plan, Stands::Yes, Style::Delete, &table).1.len(), 1);
}

#[test]
fn a_setting_goes_back_only_where_the_kernel_still_has_our_value() {
    let at = realm(2);
    for (to, sent) in [(1500, 1), (1400, 0)] {
        let make = Make::Set {
            link: at,
            to: LinkSetting::Mtu(to),
            was: Some(LinkSetting::Mtu(9000)),
        };
        let table = Table {
            links: [(at, info(at, "", mac(2)))].into(),
            ..Table::default()
        };
        assert_eq!(
            down(&plan(vec![make]), Stands::Yes, Style::Delete, &table).1.len(),
            sent,
            "{to}"
        );
    }
}

#[test]
fn a_removal_of_a_link_needs_its_mac_and_is_not_repeated_on_what_another_made_since() {
    let table = pair();
    let link = |mac| Removal::Link { link: realm(HOST), mac };
    let count = |removal: Removal, again, table: &Table| {
        let plan = Plan {
            makes: vec![],
            removals: vec![removal],
        };
        removals(&plan, again, table).unwrap().realm.len()
    };
    assert_eq!(count(link(mac(HOST)), false, &table), 1);
    assert_eq!(count(link(mac(99)), false, &table), 0);
    let route = Route::connected("198.51.100.0/24".parse().unwrap(), index(2));
    let made = Make::Route {
        place: Place::Realm,
        route: route.clone(),
    };
    let table = Table {
        anothers: vec![made],
        ..Table::default()
    };
    let removal = || Removal::Route {
        place: Place::Realm,
        route: route.clone(),
    };
    assert_eq!(count(removal(), false, &table), 1);
    assert_eq!(count(removal(), true, &table), 0);
}

#[test]
fn a_lent_link_goes_back_by_itself_and_another_in_its_place_does_not() {
    let at = sandbox(INSIDE);
    let lent = LentLink {
        from: index(7),
        was: name("plug7"),
        at,
        name: name("eth0"),
        mac: mac(7),
        kind: "veth".into(),
    };
    let given = Make::Set {
        link: at,
        to: LinkSetting::Mac(mac(8)),
        was: None,
    };
    let plan = plan(vec![Make::Lend(lent), given, address(at, "10.0.0.2/24")]);
    for (what, kind, mac_there, moved) in [
        ("as it was", "veth", 7, true),
        ("with the MAC that it was given", "veth", 8, true),
        ("another's", "veth", 9, false),
        ("of another kind", "macvlan", 7, false),
    ] {
        let table = Table {
            links: [(at, info(at, kind, mac(mac_there)))].into(),
            ..Table::default()
        };
        for style in [Style::Delete, Style::Retire { group: 7 }] {
            let (sandbox, realm) = down(&plan, Stands::Yes, style, &table);
            assert_eq!(words(&sandbox), if moved { vec!["MoveLink"] } else { vec![] }, "{what}");
            assert!(realm.is_empty(), "{what}: {realm:?}");
        }
    }
}

#[test]
fn a_waiting_name_fits_and_differs_for_every_index() {
    let names: Vec<_> = [OURS, OURS + 1, i32::MAX as u32]
        .map(|n| waiting_name(index(n)).unwrap())
        .into();
    assert!(names.iter().all(|n| n.as_str().starts_with("jfx")));
    assert!(names[0] != names[1] && names[1] != names[2]);
}

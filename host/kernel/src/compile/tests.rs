//! What is sent for which plan, in which order.

use jackfield_model::{Family, PortMapping, Transport};

use super::*;
use crate::{
    NamespaceId,
    fixtures::*,
    plan::{BridgePortAttributes, LentLink, LinkKind, MacvlanMode, Removal, SysctlKey, SysctlTable},
};

fn compiled(plan: &Plan) -> Vec<Stage> {
    compiled_for(plan, true)
}

/// For a sandbox that was made deaf, or for another.
fn compiled_for(plan: &Plan, deaf: bool) -> Vec<Stage> {
    let sandbox = Namespace::simulated(NamespaceId(9));
    let operation = operation('a');
    let context = Context {
        operation: &operation,
        sandbox: reaches_sandbox(plan).then_some(&sandbox),
        raise_loopback: reaches_sandbox(plan),
        deaf,
        first_port: &|_| true,
    };
    compile(plan, &context)
}

fn text(request: &Request) -> String {
    let at = |index: &Ifindex| index.get() % OURS;
    match request {
        Request::CreateLink {
            link,
            controller,
            group,
            sandbox,
        } => format!(
            "create {} {} mtu {:?} peer mtu {:?} in {:?} group {group}{}",
            link.kind.name(),
            link.name,
            link.mtu,
            if let LinkKind::Veth { peer } = &link.kind {
                peer.mtu
            } else {
                None
            },
            controller.map(|c| at(&c)),
            if sandbox.is_some() { " into sandbox" } else { "" }
        ),
        Request::SetLink { index, setting } => format!("{} {setting:?}", at(index)),
        Request::SetAlias { index, alias } => format!("{} alias {alias}", at(index)),
        Request::AddAddress { index, address } => format!("{} address {address}", at(index)),
        Request::AddRoute(route) => format!("route {}", route.destination),
        Request::WriteSysctl { index, key, value } => format!("{} sysctl {}={value}", at(index), key.key),
        Request::Settle { index } => format!("{} settle", at(index)),
        Request::AddResolver { port } => format!("resolver {port}"),
        Request::Firewall(changes) => format!("firewall {}", changes.len()),
        other => format!("{other:?}"),
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    lines_of(compiled(plan))
}

fn lines_of(stages: Vec<Stage>) -> Vec<String> {
    let of = |s: Stage| {
        s.batch
            .requests
            .iter()
            .map(|r| format!("{:?}: {}", s.batch.place, text(r)))
            .collect::<Vec<_>>()
    };
    stages
        .into_iter()
        .flat_map(|s| [of(s), vec!["--".into()]].concat())
        .collect()
}

#[test]
fn a_join_is_one_create_one_batch_a_namespace_and_a_settling() {
    let expected = [
        "Realm: create veth jf10 mtu None peer mtu None in Some(1) group 0 into sandbox",
        "--",
        "Realm: 10 alias jackfield:aaaaaaaaaaaa:jf10",
        "Realm: 10 AddressGeneration(false)",
        "Realm: 10 Up(true)",
        "--",
        "Sandbox: 1 Up(true)",
        "Sandbox: 11 address 10.0.0.2/24",
        "Sandbox: 11 AddressGeneration(false)",
        "Sandbox: 11 Up(true)",
        "Sandbox: route 0.0.0.0/0",
        "--",
        "Realm: 10 settle",
        "Realm: 1 settle",
        "--",
    ];
    assert_eq!(lines(&join(10, 1, "eth0", "10.0.0.2/24", "10.0.0.1")), expected);
}

/// A sandbox that somebody else made would take its neighbour for a router.
#[test]
fn a_link_into_a_sandbox_of_somebody_elses_is_deaf_before_it_is_up() {
    let told = lines_of(compiled_for(&join(10, 1, "eth0", "10.0.0.2/24", "10.0.0.1"), false));
    let at = |line: &str| {
        told.iter()
            .position(|l| l == line)
            .unwrap_or_else(|| panic!("no {line}: {told:?}"))
    };
    assert!(at("Sandbox: 11 sysctl accept_ra=0") < at("Sandbox: 11 Up(true)"));
    let mut decided = join(10, 1, "eth0", "10.0.0.2/24", "10.0.0.1");
    decided.makes.push(Make::Sysctl {
        link: sandbox(OURS + 11),
        key: accept_ra(),
        value: "2".into(),
        was: None,
    });
    let told = lines_of(compiled_for(&decided, false));
    let about: Vec<_> = told.iter().filter(|l| l.contains("accept_ra")).collect();
    assert_eq!(about, ["Sandbox: 11 sysctl accept_ra=2"]);
}

#[test]
fn a_routed_pair_is_settled_as_a_port_is() {
    let (host, inside) = (realm(OURS), sandbox(OURS + 1));
    let ups = [set(host, LinkSetting::Up(true)), set(inside, LinkSetting::Up(true))];
    let told = lines(&plan([vec![veth(host, "h", inside, "eth0")], ups.to_vec()].concat()));
    let settled: Vec<_> = told.iter().filter(|l| l.contains("settle")).collect();
    assert_eq!(settled, ["Realm: 0 settle"], "{told:?}");
}

#[test]
fn each_link_is_created_in_a_batch_of_its_own() {
    let plan = plan(vec![
        bridge(realm(OURS), "a"),
        bridge(realm(OURS + 1), "b"),
        veth(realm(OURS + 2), "c", sandbox(OURS + 3), "d"),
    ]);
    let stages = compiled(&plan);
    let creates = |s: &Stage| {
        s.batch
            .requests
            .iter()
            .filter(|r| matches!(r, Request::CreateLink { .. }))
            .count()
    };
    assert_eq!(
        stages
            .iter()
            .map(|s| (creates(s), s.batch.requests.len()))
            .take(3)
            .collect::<Vec<_>>(),
        [(1, 1); 3]
    );
    assert!(stages[3..].iter().all(|s| creates(s) == 0));
}

#[test]
fn what_the_plan_sets_on_a_new_link_is_part_of_making_it() {
    let (host, inside) = (realm(OURS + 10), sandbox(OURS + 11));
    let settings = [
        set(host, LinkSetting::Mtu(1400)),
        set(inside, LinkSetting::Mtu(1300)),
        set(inside, LinkSetting::Mac(mac(77))),
        set(host, LinkSetting::Mtu(1500)),
    ];
    let plan = plan([vec![veth(host, "h", inside, "eth0")], settings.to_vec()].concat());
    let stages = compiled(&plan);
    assert_eq!(
        text(&stages[0].batch.requests[0]),
        "create veth h mtu Some(1500) peer mtu Some(1300) in None group 0 into sandbox"
    );
    assert_eq!(stages[0].realises, [vec![0, 1, 2, 3, 4]]);
    assert_eq!(
        planned_links(&plan)[0].ends().nth(1).unwrap().mac,
        mac(77),
        "the link is known by the MAC that it gets"
    );
    assert!(stages[1..].iter().flat_map(|s| &s.realises).all(Vec::is_empty));
}

#[test]
fn a_port_of_a_bridge_that_is_made_later_is_given_to_it_afterwards() {
    let plan = plan(vec![
        veth(realm(OURS), "v", realm(OURS + 1), "w"),
        bridge(realm(OURS + 2), "b"),
        port_of(realm(OURS), OURS + 2),
    ]);
    let all = lines(&plan);
    assert!(all[0].contains("in None"), "{all:?}");
    assert!(all.iter().any(|l| l.starts_with("Realm: 0 Controller(Some")), "{all:?}");
}

#[test]
fn a_pair_is_made_from_the_realms_end_whichever_end_the_plan_names_first() {
    let plan = plan(vec![
        veth(sandbox(OURS), "eth0", realm(OURS + 1), "host"),
        port_of(realm(OURS + 1), OURS + 9),
    ]);
    assert!(
        lines(&plan)[0].starts_with("Realm: create veth host") && lines(&plan)[0].contains("in Some(9)"),
        "{:?}",
        lines(&plan)
    );
}

#[test]
fn address_generation_is_on_only_where_the_plan_asks() {
    let at = realm(OURS);
    let generation = |more: Vec<Make>| {
        let lines = lines(&plan([vec![link(at, "d", LinkKind::Dummy), up(at)], more].concat()));
        let at = lines.iter().position(|l| l.contains("AddressGeneration"));
        at.map(|at| (lines[at].clone(), lines[at + 1].clone()))
    };
    let before_up = |on: bool| {
        Some((
            format!("Realm: 0 AddressGeneration({on})"),
            "Realm: 0 Up(true)".to_owned(),
        ))
    };
    assert_eq!(generation(vec![]), before_up(false));
    assert_eq!(
        generation(vec![set(at, LinkSetting::AddressGeneration(true))]),
        before_up(true)
    );
    assert_eq!(
        generation(vec![set(at, LinkSetting::Mtu(1000))]),
        None,
        "IPv6 has no part in so small a payload"
    );
}

#[test]
fn what_must_hold_before_the_first_packet_comes_before_up_and_what_invites_packets_last() {
    let at = realm(OURS);
    let mapping = PortMapping {
        transport: Transport::Tcp,
        container_port: 80,
        host_address: "0.0.0.0".parse().unwrap(),
        host_port: 8080,
        count: 1,
    };
    let key = SysctlKey {
        family: Family::Ipv4,
        table: SysctlTable::Conf,
        key: "proxy_arp".into(),
    };
    let plan = plan(vec![
        Make::Firewall(FirewallRule::Publish {
            mapping,
            target: "10.0.0.2".parse().unwrap(),
        }),
        veth(at, "v", sandbox(OURS + 1), "eth0"),
        connected(at, "10.0.0.2/32"),
        up(at),
        up(sandbox(OURS + 1)),
        Make::Firewall(FirewallRule::Internal { link: name("v") }),
        Make::Sysctl {
            link: at,
            key,
            value: "1".into(),
            was: None,
        },
        set(at, LinkSetting::BridgePort(BridgePortAttributes::default())),
    ]);
    let all = lines(&plan);
    let find = |what: &str| {
        all.iter()
            .position(|l| l.contains(what))
            .unwrap_or_else(|| panic!("{what} in {all:#?}"))
    };
    let order = [
        "BridgePort",
        "sysctl",
        "Realm: firewall 2",
        "Realm: 0 Up",
        "route 10",
        "Sandbox: 1 Up(true)",
    ]
    .map(find);
    assert!(order.is_sorted(), "{all:#?}");
    assert_eq!(
        all.iter().rposition(|l| l == "Realm: firewall 2"),
        Some(all.len() - 2),
        "publishing is last: {all:#?}"
    );
}

#[test]
fn routes_go_connected_first_then_default_then_the_others() {
    let at = sandbox(OURS);
    let routes = vec![
        via(at, "192.168.0.0/16", "10.0.0.1"),
        via(at, "0.0.0.0/0", "10.0.0.1"),
        connected(at, "10.0.0.1/32"),
    ];
    let all = lines(&plan(
        [vec![link(at, "eth0", LinkKind::Dummy), up(at)], routes].concat(),
    ));
    let routes: Vec<_> = all.iter().filter_map(|l| l.strip_prefix("Sandbox: route ")).collect();
    assert_eq!(routes, ["10.0.0.1/32", "0.0.0.0/0", "192.168.0.0/16"]);
}

#[test]
fn a_link_in_the_sandbox_is_made_from_the_realm_and_a_plan_without_one_leaves_the_sandbox_alone() {
    let kind = LinkKind::Macvlan {
        parent: index(2),
        mode: MacvlanMode::Bridge,
    };
    let stages = compiled(&plan(vec![link(sandbox(OURS), "eth0", kind)]));
    assert_eq!(stages[0].batch.place, Place::Realm);
    assert!(text(&stages[0].batch.requests[0]).ends_with("into sandbox"));
    assert!(
        compiled(&network(0, "br", "10.0.0.1/24"))
            .iter()
            .all(|s| s.batch.place == Place::Realm)
    );
}

#[test]
fn every_make_is_realised_by_exactly_one_request() {
    for plan in [
        join(10, 1, "eth0", "10.0.0.2/24", "10.0.0.1"),
        network(0, "br", "10.0.0.1/24"),
    ] {
        let mut realised: Vec<usize> = compiled(&plan).into_iter().flat_map(|s| s.realises).flatten().collect();
        realised.sort_unstable();
        assert_eq!(realised, (0..plan.makes.len()).collect::<Vec<_>>());
    }
}

#[test]
fn removals_are_no_part_of_what_is_made() {
    let plan = Plan {
        makes: vec![],
        removals: vec![Removal::Conntrack {
            address: "10.0.0.2".parse().unwrap(),
        }],
    };
    assert!(compiled(&plan).is_empty());
}

#[test]
fn a_lent_link_has_arrived_before_anything_names_its_index() {
    let at = sandbox(OURS + 4);
    let lent = Make::Lend(LentLink {
        from: index(7),
        was: name("plug7"),
        at,
        name: name("eth0"),
        mac: mac(7),
        kind: "veth".into(),
    });
    let stages = compiled(&plan(vec![
        lent,
        address(at, "10.0.0.2/24"),
        set(at, LinkSetting::Up(true)),
    ]));
    let words = |stage: &Stage| -> Vec<String> {
        let requests = stage.batch.requests.iter();
        requests
            .map(|r| format!("{r:?}").split([' ', '(']).next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (stages[0].batch.place, words(&stages[0])),
        (Place::Realm, vec!["MoveLink".to_owned()])
    );
    assert_eq!(stages[0].realises, [vec![0]]);
    assert_eq!(stages[1].batch.place, Place::Sandbox);
    assert_eq!(stages.len(), 2);
}

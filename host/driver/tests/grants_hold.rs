//! Whatever a guest calls, in whatever order and with whatever values: nothing panics, and what is recorded was granted.
//!
//! The second half is checked by a reading of the plan that shares no code with the one that recorded it.
#![allow(clippy::unwrap_used)] // Helpers unwrap as the tests do.

mod common;

use std::net::IpAddr;

use common::{Host, options};
use jackfield_driver::{LinkId, Operation, Phase, SandboxInterface, grants::Grants};
use jackfield_kernel::{
    Make, Plan, Removal,
    plan::{FirewallRule, ForwardingEntry, IpvlanMode, LinkKind, MacvlanMode, Rate, SysctlKey, SysctlTable},
};
use jackfield_model::{Family, IpNetwork, LinkName, PortMapping, Transport};
use proptest::prelude::*;

/// One call of a hostile guest: which, and where in the tables of values its arguments are.
#[derive(Clone, Copy, Debug)]
struct Call {
    which: u8,
    link: u8,
    other: u8,
    value: u8,
    flag: bool,
}

const LABELS: [&str; 5] = ["a", "b", "a-peer", "", "\u{0}"];
const NAMES: [&str; 6] = ["up0", "br-x", "lo", "jf-x", "../x", "sixteen-bytes-xx"];
const ADDRESSES: [&str; 8] = [
    "10.1.0.1",
    "10.9.0.1",
    "fd00::1",
    "fd99::1",
    "0.0.0.0",
    "224.0.0.1",
    "::",
    "127.0.0.1",
];
const PREFIXES: [u8; 5] = [0, 24, 32, 64, 128];
const KEYS: [&str; 5] = ["forwarding", "proxy_arp", "../../ipv4/ip_forward", "no_such_key", ""];
const ATTRIBUTES: [&[(&str, &str)]; 6] = [
    &[],
    &[("priority", "100"), ("table", "7"), ("iif", "up0")],
    &[("priority", "100"), ("table", "7"), ("from", "10.1.0.0/24")],
    &[("metric", "5"), ("onlink", "1")],
    &[("isolated", "on")],
    &[("type", "blackhole")],
];

impl Call {
    fn pick<T: Copy>(self, table: &[T]) -> T {
        table[self.value as usize % table.len()]
    }

    fn address(self) -> IpAddr {
        self.pick(&ADDRESSES).parse().unwrap()
    }

    fn network(self) -> IpNetwork {
        let prefix = PREFIXES[self.other as usize % PREFIXES.len()];
        let wide = IpNetwork::new(self.address(), prefix).unwrap_or_else(|_| IpNetwork::from(self.address()));
        if self.flag {
            IpNetwork::new(wide.network(), wide.prefix()).unwrap()
        } else {
            wide
        }
    }

    fn family(self) -> Family {
        if self.flag { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// Makes the call; what it answers is its own affair, but handles are kept for later calls.
    fn make(self, op: &mut Operation, links: &mut Vec<LinkId>) {
        let link = links
            .get(self.link as usize % links.len().max(1))
            .copied()
            .unwrap_or(LinkId(self.link.into()));
        let other = links
            .get(self.other as usize % links.len().max(1))
            .copied()
            .unwrap_or(LinkId(u32::MAX));
        let attributes = options(self.pick(&ATTRIBUTES));
        let mac = [2, 0, 0, 0, 0, self.value];
        let mac = jackfield_model::MacAddr::new(mac).unwrap();
        let entry = ForwardingEntry {
            mac: self.flag.then_some(mac),
            destination: self.other.is_multiple_of(2).then(|| self.address()),
            vni: Some(u32::from(self.value) << 18),
            vlan: Some(u16::from(self.value) << 5),
        };
        let rate = self.flag.then_some(Rate {
            bytes_per_second: self.value.into(),
            burst_bytes: self.other.into(),
        });
        match self.which % 42 {
            0 => links.extend(op.create_bridge(
                self.pick(&LABELS),
                self.flag.then(|| NAMES[self.other as usize % NAMES.len()]),
                &attributes,
            )),
            1 | 2 => links.extend(
                op.create_veth(self.pick(&LABELS), &attributes)
                    .into_iter()
                    .flat_map(|(a, b)| [a, b]),
            ),
            3 => links.extend(op.create_macvlan(self.pick(&LABELS), link, MacvlanMode::Private, &attributes)),
            4 => links.extend(op.create_ipvlan(self.pick(&LABELS), link, IpvlanMode::L3, &attributes)),
            5 => links.extend(op.create_vlan(self.pick(&LABELS), link, u16::from(self.value) * 20, &attributes)),
            6 => links.extend(op.create_vxlan(
                self.pick(&LABELS),
                u32::from(self.value) << 17,
                self.flag.then_some(link),
                &attributes,
            )),
            7 => links.extend(op.create_dummy(self.pick(&LABELS), &attributes)),
            8 => links.extend(op.create_tap(self.pick(&LABELS), &attributes)),
            9 => links.extend(op.find_link(self.pick(&NAMES))),
            10 => links.extend(op.find_own(self.pick(&LABELS))),
            11 => links.extend(op.list_links().into_iter().flatten()),
            12 => op.forget(link),
            13 => drop((
                op.link_name(link),
                op.link_mtu(link),
                op.link_addresses(link),
                op.link_up(link),
                op.link_statistics(link),
            )),
            14 => drop(op.set_up(link, self.flag)),
            15 => drop(op.set_mtu(link, u32::from(self.value) * 300)),
            16 => drop(op.set_mac(link, mac)),
            17 => drop(op.set_controller(link, self.flag.then_some(other))),
            18 => drop(op.set_bridge_port(link, &attributes)),
            19 | 20 => drop(op.add_address(link, self.network())),
            21 => drop(op.remove_address(link, self.network())),
            22 => drop(op.add_neighbour(link, self.address(), mac)),
            23 => drop(op.remove_neighbour(link, self.address())),
            24 => drop(op.add_proxy_neighbour(link, self.address())),
            25 => drop(op.remove_proxy_neighbour(link, self.address())),
            26 => drop(op.add_forwarding_entry(link, entry)),
            27 => drop(op.remove_forwarding_entry(link, entry)),
            28 | 29 => drop(op.set_sysctl(link, self.family(), SysctlTable::Conf, self.pick(&KEYS), "1")),
            30 => drop(op.set_bandwidth(link, rate, None)),
            31 => drop(op.delete_link(link)),
            32 | 33 => drop(op.add_route(self.network(), None, &attributes, self.flag.then_some(link))),
            34 => drop(op.add_route(
                self.network(),
                Some(self.address()),
                &attributes,
                self.flag.then_some(link),
            )),
            35 => drop(op.remove_route(self.network(), None, &attributes, self.flag.then_some(link))),
            36 => drop(op.add_rule(self.family(), &attributes)),
            37 => drop(op.masquerade(self.network(), link)),
            38 => drop(op.publish(PortMapping {
                transport: Transport::Udp,
                container_port: self.other.into(),
                host_address: self.address(),
                host_port: self.value.into(),
                count: (self.link % 4).into(),
            })),
            39 => drop((op.make_internal(link), op.isolate_ports(link))),
            40 => links.extend(op.lookup_route(self.address()).ok().and_then(|(link, ..)| link)),
            _ => drop(op.finish_interface(link, &interface(self))),
        }
    }
}

fn interface(call: Call) -> SandboxInterface {
    SandboxInterface {
        name: "eth0".parse().unwrap(),
        mac: "02:00:00:00:00:07".parse().unwrap(),
        addresses: vec!["10.1.0.2/24".parse().unwrap()],
        routes: Vec::new(),
        gateways: if call.flag { vec![call.address()] } else { Vec::new() },
    }
}

fn call() -> impl Strategy<Value = Call> {
    (any::<u8>(), 0..12u8, any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(which, link, other, value, flag)| Call {
        which,
        link,
        other,
        value,
        flag,
    })
}

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(words.to_vec(), 0..=words.len())
        .prop_map(|w| w.into_iter().map(str::to_owned).collect())
}

fn grants() -> impl Strategy<Value = Grants> {
    let links = some_of(&["bridge", "dummy", "ipvlan", "macvlan", "tap", "veth", "vlan", "vxlan"]);
    let verbs = some_of(&["internal", "isolate", "masquerade", "publish"]);
    let flags = any::<[bool; 7]>();
    (links, verbs, flags).prop_map(
        |(links, firewall, [parents, names, addresses, rules, neighbours, sysctls, bandwidth])| Grants {
            links,
            firewall,
            parents: parents.then(|| "up*".to_owned()).into_iter().collect(),
            names: names.then(|| "br-*".to_owned()).into_iter().collect(),
            addresses: addresses.then(|| "10.9.0.0/24".parse().unwrap()).into_iter().collect(),
            routes: addresses.then(|| "fd99::/64".parse().unwrap()).into_iter().collect(),
            rules,
            neighbours,
            sysctls: sysctls.then(|| "ipv4/conf/forwarding".to_owned()).into_iter().collect(),
            bandwidth,
            ..Grants::default()
        },
    )
}

/// The names of the links that a step makes.
fn names_of(make: &Make) -> Vec<&LinkName> {
    let Make::Link(new) = make else { return vec![] };
    match &new.kind {
        LinkKind::Veth { peer } => vec![&new.name, &peer.name],
        _ => vec![&new.name],
    }
}

/// Why a plan is not within the grants, read from the plan alone.
fn beyond(plan: &Plan, grants: &Grants) -> Option<String> {
    let within = |network: &IpNetwork, granted: &[IpNetwork]| {
        let pools = ["10.1.0.0/24", "fd00::/64"].map(|p| p.parse::<IpNetwork>().unwrap());
        pools
            .iter()
            .chain(granted)
            .any(|g| g.contains(network.ip()) && g.prefix() <= network.prefix())
    };
    let has = |list: &[String], word: &str| list.iter().any(|w| w == word);
    let sysctl =
        |key: &SysctlKey| key.family == Family::Ipv4 && key.table == SysctlTable::Conf && key.key == "forwarding";
    let new: Vec<_> = plan.new_links().map(|at| at.index).collect();
    let new_names: Vec<_> = plan.makes.iter().flat_map(names_of).collect();
    let bad = plan.makes.iter().find(|make| match make {
        Make::Link(link) => {
            let asked = !link.name.as_str().starts_with("jf") && link.name.as_str() != "eth0";
            let parent = match &link.kind {
                LinkKind::Macvlan { parent, .. } | LinkKind::Ipvlan { parent, .. } | LinkKind::Vlan { parent, .. } => {
                    Some(*parent)
                }
                LinkKind::Vxlan(vxlan) => vxlan.parent,
                _ => None,
            };
            !has(&grants.links, link.kind.name())
                || asked && (grants.names.is_empty() || !link.name.as_str().starts_with("br-"))
                || grants.parents.is_empty() && parent.is_some_and(|p| !new.contains(&p))
        }
        Make::Lend(_) => !grants.lends,
        Make::Set { link, .. } => !new.contains(&link.index),
        // The host's own addition to a new link that routes IPv6; no call above asks for such an address.
        Make::Address { link, address } if new.contains(&link.index) && address.to_string().starts_with("fe80::") => {
            false
        }
        Make::Address { link, address } => {
            !within(address, &grants.addresses) || grants.parents.is_empty() && !new.contains(&link.index)
        }
        Make::Neighbour { .. } | Make::ProxyNeighbour { .. } | Make::Forwarding { .. } => !grants.neighbours,
        // The host's own default routes go to the sandbox, and need no grant.
        Make::Route {
            place: jackfield_kernel::Place::Sandbox,
            route,
        } if route.destination.prefix() == 0 => false,
        Make::Route { route, .. } => !within(&route.destination, &grants.routes),
        Make::Rule(_) => !grants.rules,
        Make::Sysctl { key, .. } => !sysctl(key) || grants.sysctls.is_empty(),
        Make::Bandwidth { .. } => !grants.bandwidth,
        Make::Firewall(FirewallRule::Masquerade { subnet, .. }) => {
            !has(&grants.firewall, "masquerade") || !within(subnet, &grants.addresses)
        }
        Make::Firewall(FirewallRule::MasqueradeAs { subnet, source, .. }) => {
            !has(&grants.firewall, "masquerade")
                || !within(subnet, &grants.addresses)
                || !within(&IpNetwork::from(*source), &grants.addresses)
        }
        Make::Firewall(FirewallRule::Publish { .. } | FirewallRule::Open { .. }) => !has(&grants.firewall, "publish"),
        Make::Firewall(FirewallRule::Internal { .. }) => !has(&grants.firewall, "internal"),
        Make::Firewall(
            FirewallRule::Entry { .. }
            | FirewallRule::Trusted { .. }
            | FirewallRule::LaidEntry { .. }
            | FirewallRule::LaidTrusted { .. }
            | FirewallRule::Closed { .. },
        ) => !has(&grants.firewall, "guard"),
        // The host's own additions, about new links alone; subnets are the network's, not a join's.
        Make::Firewall(
            rule @ (FirewallRule::Member { .. } | FirewallRule::Together { .. } | FirewallRule::Home { .. }),
        ) => !rule.links().iter().all(|link| new_names.contains(link)),
        Make::Firewall(FirewallRule::Inside { .. } | FirewallRule::Across { .. } | FirewallRule::Laid { .. }) => true,
        // No driver can record it.
        Make::Resolver { .. } => true,
        // The controller's own: no driver has a verb for them.
        Make::Firewall(FirewallRule::Spread { .. } | FirewallRule::Virtual { .. }) => true,
    });
    let worse = plan
        .removals
        .iter()
        .find(|removal| matches!(removal, Removal::Link { .. }));
    bad.map(|make| format!("{make:?}"))
        .or_else(|| worse.map(|removal| format!("{removal:?}")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_recorded_that_was_not_granted(grants in grants(), calls in proptest::collection::vec(call(), 0..60)) {
        let host = Host::new();
        let mut op = Operation::new(host.context(Phase::Join, grants.clone()));
        let mut links = Vec::new();
        for call in calls {
            call.make(&mut op, &mut links);
        }
        let outcome = op.finish();
        let beyond = beyond(&outcome.plan, &grants);
        prop_assert!(beyond.is_none(), "{} with {grants:?}", beyond.unwrap_or_default());
    }

    #[test]
    fn with_every_grant_no_call_panics_and_the_hosts_link_stays_as_it_was(calls in proptest::collection::vec(call(), 0..80)) {
        let host = Host::new();
        let mut op = host.begin(Phase::Join);
        let mut links = Vec::new();
        for call in calls {
            call.make(&mut op, &mut links);
        }
        let outcome = op.finish();
        let new: Vec<_> = outcome.plan.new_links().map(|at| at.index).collect();
        for make in &outcome.plan.makes {
            if let Make::Set { link, .. } | Make::Bandwidth { link, .. } = make {
                prop_assert!(new.contains(&link.index), "{make:?}");
            }
        }
    }
}

//! The small world that random sequences move in: few names, indexes and addresses, so that they collide.

use jackfield_kernel::{
    FirewallChange, Ifindex, LinkAt, Namespace, NamespaceId, Place, Request,
    plan::{
        BridgeAttributes, BridgePortAttributes, Entry, FirewallRule, ForwardingEntry, LinkKind, LinkSetting,
        MacvlanMode, NewLink, Route, RouteKind, Rule, SysctlKey, SysctlTable, VethPeer, VxlanAttributes,
    },
};
use jackfield_model::{Family, IpNetwork, LinkName, MacAddr, PortMapping, Transport};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// A request, and the namespace that it is sent to.
#[derive(Clone, Debug)]
pub struct Step {
    pub place: Place,
    pub request: Request,
}

/// Where ways are compared to, after all steps.
pub const LOOKED_UP: [&str; 8] = [
    "10.0.0.9",
    "10.0.0.1",
    "10.0.1.9",
    "10.9.0.1",
    "192.0.2.1",
    "fd00::9",
    "fd09::1",
    "2001:db8::1",
];

const NAMES: [&str; 5] = ["a", "b", "c", "d", "lo"];
const ADDRESSES: [&str; 14] = [
    "10.0.0.1/24",
    "10.0.0.1/24",
    "10.0.0.2/24",
    "10.0.0.3/24",
    "10.0.0.1/25",
    "10.0.0.3/32",
    "10.0.1.1/24",
    "127.0.0.2/8",
    "fd00::1/64",
    "fd00::2/64",
    "fd00::1/128",
    "fd01::1/64",
    "ff02::7/64",
    "::1/128",
];
const NEIGHBOURS: [&str; 5] = ["10.0.0.9", "10.0.0.8", "10.9.0.1", "fd00::9", "fd09::1"];
const DESTINATIONS: [&str; 12] = [
    "0.0.0.0/0",
    "0.0.0.0/0",
    "10.0.0.0/24",
    "10.0.0.9/32",
    "10.9.0.0/24",
    "10.7.7.7/32",
    "::/0",
    "::/0",
    "fd00::/64",
    "fd00::9/128",
    "fd09::/64",
    "fd77::1/128",
];
const GATEWAYS_IPV4: [&str; 5] = ["10.0.0.9", "10.0.0.1", "10.0.0.255", "10.7.7.7", "10.0.1.9"];
const GATEWAYS_IPV6: [&str; 5] = ["fd00::9", "fd00::1", "fd77::1", "fe80::1", "fd01::9"];
const SOURCES: [&str; 3] = ["10.0.0.1", "10.0.1.1", "fd00::1"];

/// An index that is one.
pub fn index(number: u32) -> Ifindex {
    Ifindex::new(number).unwrap()
}

/// Stands for the sandbox, which each side has its own of.
pub fn the_sandbox() -> Option<Namespace> {
    Some(Namespace::simulated(NamespaceId(0)))
}

/// The MAC of an end; few, so that they collide as well.
pub fn mac(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, number]).unwrap()
}

/// Random steps, most often in a world where something is there and up already: elsewhere most of them are refused.
pub fn with_preamble() -> impl Strategy<Value = Vec<Step>> {
    (0..4u8, vec(step(), 1..30)).prop_map(|(preamble, steps)| {
        let mut all = if preamble == 0 {
            Vec::new()
        } else {
            crate::sequences::populated()
        };
        all.extend(steps);
        all
    })
}

fn step() -> impl Strategy<Value = Step> {
    (place(), request()).prop_map(|(place, request)| Step { place, request })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![3 => Just(Place::Realm), 2 => Just(Place::Sandbox)]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        5 => create(),
        8 => set(),
        3 => (link(), any_of(&NAMES)).prop_map(|(index, name)| Request::RenameLink { index, name }),
        1 => (link(), "[a-z]{0,3}").prop_map(|(index, alias)| Request::SetAlias { index, alias }),
        1 => (ordinary_link(), 0..3u32).prop_map(|(index, group)| Request::Retire { index, group }),
        2 => link().prop_map(|index| Request::DeleteLink { index }),
        1 => (0..3u32).prop_map(|group| Request::DeleteGroup { group }),
        1 => link().prop_map(|index| Request::Settle { index }),
        8 => (link(), any_of(&ADDRESSES)).prop_map(|(index, address)| Request::AddAddress { index, address }),
        4 => (link(), any_of(&ADDRESSES)).prop_map(|(index, address)| Request::DeleteAddress { index, address }),
        8 => route().prop_map(Request::AddRoute),
        4 => route().prop_map(Request::DeleteRoute),
        2 => rule().prop_map(Request::AddRule),
        1 => rule().prop_map(Request::DeleteRule),
        4 => neighbour(),
        3 => forwarding(),
        2 => sysctl(),
        3 => vec(firewall(), 1..4).prop_map(Request::Firewall),
        1 => (61053..61055u16).prop_map(|port| Request::AddResolver { port }),
        1 => Just(Request::DeleteResolver),
    ]
}

fn link() -> impl Strategy<Value = Ifindex> {
    prop_oneof![1 => Just(1u32), 24 => 100..=106u32].prop_map(index)
}

fn ordinary_link() -> impl Strategy<Value = Ifindex> {
    (100..=106u32).prop_map(index)
}

fn any_of<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    texts: &'static [&'static str],
) -> impl Strategy<Value = T> {
    select(texts).prop_map(|text| text.parse().unwrap())
}

fn any_mac() -> impl Strategy<Value = MacAddr> {
    (0..8u8).prop_map(mac)
}

fn some_mtu() -> impl Strategy<Value = Option<u32>> {
    option::weighted(0.3, select(&[60u32, 68, 1000, 1280, 1400, 1500, 9000, 70_000][..]))
}

fn create() -> impl Strategy<Value = Request> {
    let at = (place(), link()).prop_map(|(place, index)| LinkAt { place, index });
    (
        at,
        any_of::<LinkName>(&NAMES),
        any_mac(),
        some_mtu(),
        kind(),
        option::weighted(0.3, link()),
        0..3u32,
    )
        .prop_map(|(at, name, mac, mtu, kind, controller, group)| Request::CreateLink {
            link: Box::new(NewLink {
                at,
                name,
                mac,
                mtu,
                kind,
            }),
            controller,
            group,
            sandbox: the_sandbox(),
        })
}

fn kind() -> impl Strategy<Value = LinkKind> {
    let mode = select(
        &[
            MacvlanMode::Bridge,
            MacvlanMode::Private,
            MacvlanMode::Vepa,
            MacvlanMode::Passthru,
        ][..],
    );
    let vxlan = |(vni, parent, mtu): (u32, Option<Ifindex>, bool)| {
        LinkKind::Vxlan(VxlanAttributes {
            vni,
            parent,
            local: None,
            port: Some(4789),
            learning: Some(mtu),
            ttl: None,
        })
    };
    prop_oneof![
        2 => Just(LinkKind::Bridge(BridgeAttributes::default())),
        5 => peer().prop_map(|peer| LinkKind::Veth { peer }),
        3 => (link(), mode).prop_map(|(parent, mode)| LinkKind::Macvlan { parent, mode }),
        1 => (1..3u32, option::weighted(0.5, link()), any::<bool>()).prop_map(vxlan),
    ]
}

fn peer() -> impl Strategy<Value = VethPeer> {
    (place(), link(), any_of(&NAMES), any_mac(), some_mtu()).prop_map(|(place, index, name, mac, mtu)| VethPeer {
        at: LinkAt { place, index },
        name,
        mac,
        mtu,
    })
}

/// The loopback only ever comes up: what is left of its subnets when it goes down again, no plan depends on.
fn set() -> impl Strategy<Value = Request> {
    prop_oneof![
        1 => Just(Request::SetLink { index: index(1), setting: LinkSetting::Up(true) }),
        24 => (ordinary_link(), setting()).prop_map(|(index, setting)| Request::SetLink { index, setting }),
    ]
}

fn setting() -> impl Strategy<Value = LinkSetting> {
    let port = (
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
    )
        .prop_map(|(isolated, hairpin, learning)| BridgePortAttributes {
            isolated,
            hairpin,
            learning,
            ..Default::default()
        });
    prop_oneof![
        6 => prop::bool::weighted(0.7).prop_map(LinkSetting::Up),
        2 => select(&[60u32, 1000, 1280, 1400, 1500, 9000, 70_000][..]).prop_map(LinkSetting::Mtu),
        1 => any_mac().prop_map(LinkSetting::Mac),
        3 => option::weighted(0.8, link()).prop_map(LinkSetting::Controller),
        1 => port.prop_map(LinkSetting::BridgePort),
        1 => any::<bool>().prop_map(LinkSetting::AddressGeneration),
    ]
}

fn route() -> impl Strategy<Value = Route> {
    let kind = prop_oneof![
        8 => Just(RouteKind::Unicast),
        1 => select(&[RouteKind::Blackhole, RouteKind::Unreachable, RouteKind::Prohibit][..]),
    ];
    let gateways = (
        option::weighted(0.6, any_of(&GATEWAYS_IPV4)),
        option::weighted(0.6, any_of(&GATEWAYS_IPV6)),
    );
    let numbers = (
        option::weighted(0.3, select(&[0u32, 5, 256, 1024][..])),
        option::weighted(0.2, select(&[100u32, 254][..])),
    );
    let link = option::weighted(0.8, link());
    let source = option::weighted(0.2, any_of(&SOURCES));
    let rest = (
        prop::bool::weighted(0.1),
        option::weighted(0.1, select(&[1400u32, 70_000][..])),
    );
    (
        any_of::<IpNetwork>(&DESTINATIONS),
        link,
        gateways,
        source,
        numbers,
        kind,
        rest,
    )
        .prop_map(
            |(destination, link, (ipv4, ipv6), source, (metric, table), kind, (onlink, mtu))| Route {
                destination,
                link,
                gateway: if destination.is_ipv4() { ipv4 } else { ipv6 },
                source: source.filter(|s: &std::net::IpAddr| s.is_ipv4() == destination.is_ipv4()),
                metric,
                table,
                kind,
                onlink,
                mtu,
                advmss: None,
            },
        )
}

fn rule() -> impl Strategy<Value = Rule> {
    let network = |weight| option::weighted(weight, any_of::<IpNetwork>(&DESTINATIONS));
    let name = option::weighted(0.2, any_of(&NAMES));
    let mark = option::weighted(0.2, 0..3u32);
    (
        any::<bool>(),
        select(&[50u32, 100][..]),
        select(&[100u32, 101][..]),
        network(0.3),
        network(0.3),
        name,
        mark,
    )
        .prop_map(|(ipv4, priority, table, from, to, iif, fwmark)| {
            let fits = |network: &IpNetwork| network.is_ipv4() == ipv4;
            let family = if ipv4 { Family::Ipv4 } else { Family::Ipv6 };
            Rule {
                family,
                priority,
                table,
                from: from.filter(fits),
                to: to.filter(fits),
                iif,
                oif: None,
                fwmark,
            }
        })
}

/// Not of the loopback, where all IPv4 neighbours are one: no plan has any there.
fn neighbour() -> impl Strategy<Value = Request> {
    (ordinary_link(), any_of(&NEIGHBOURS), any_mac(), 0..4u8).prop_map(|(index, address, mac, what)| match what {
        0 => Request::DeleteNeighbour { index, address },
        1 => Request::AddProxyNeighbour { index, address },
        2 => Request::DeleteProxyNeighbour { index, address },
        _ => Request::AddNeighbour { index, address, mac },
    })
}

fn forwarding() -> impl Strategy<Value = Request> {
    let destination = option::weighted(0.5, any_of(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    let vni = option::weighted(0.2, 1..3u32);
    (
        link(),
        option::weighted(0.8, 10..13u8),
        destination,
        vni,
        option::weighted(0.1, 0..3u16),
        any::<bool>(),
    )
        .prop_map(|(index, number, destination, vni, vlan, add)| {
            let entry = ForwardingEntry {
                mac: number.map(mac),
                destination,
                vni,
                vlan,
            };
            if add {
                Request::AddForwarding { index, entry }
            } else {
                Request::DeleteForwarding { index, entry }
            }
        })
}

fn sysctl() -> impl Strategy<Value = Request> {
    let keys: &[(Family, SysctlTable, &str)] = &[
        (Family::Ipv4, SysctlTable::Conf, "proxy_arp"),
        (Family::Ipv4, SysctlTable::Conf, "forwarding"),
        (Family::Ipv4, SysctlTable::Conf, "promote_secondaries"),
        (Family::Ipv4, SysctlTable::Conf, "no_such_key"),
        (Family::Ipv4, SysctlTable::Neigh, "ucast_solicit"),
        (Family::Ipv6, SysctlTable::Conf, "disable_ipv6"),
        (Family::Ipv6, SysctlTable::Conf, "proxy_ndp"),
        (Family::Ipv6, SysctlTable::Conf, "accept_ra"),
        (Family::Ipv6, SysctlTable::Conf, "force_forwarding"),
    ];
    (link(), select(keys), select(&["0", "1", "many"][..])).prop_map(|(index, (family, table, key), value)| {
        Request::WriteSysctl {
            index,
            key: SysctlKey {
                family,
                table,
                key: key.to_owned(),
            },
            value: value.to_owned(),
        }
    })
}

/// Most transactions begin with the table, as the host's do.
fn firewall() -> impl Strategy<Value = FirewallChange> {
    prop_oneof![
        4 => Just(FirewallChange::EnsureTable),
        4 => firewall_rule().prop_map(FirewallChange::Add),
        3 => firewall_rule().prop_map(FirewallChange::Remove),
        1 => Just(FirewallChange::DropTable),
    ]
}

fn firewall_rule() -> impl Strategy<Value = FirewallRule> {
    let subnet = || any_of::<IpNetwork>(&["10.0.0.0/24", "10.0.1.0/24", "fd00::/64"]);
    let mapping = (
        select(&[Transport::Tcp, Transport::Udp][..]),
        80..83u16,
        80..83u16,
        0..3u16,
    );
    let addresses = (
        any_of(&["0.0.0.0", "192.0.2.1", "::"]),
        any_of(&["10.0.0.2", "10.0.0.3", "fd00::2"]),
    );
    let publish = |((transport, container_port, host_port, count), (host_address, target))| FirewallRule::Publish {
        mapping: PortMapping {
            transport,
            container_port,
            host_address,
            host_port,
            count,
        },
        target,
    };
    prop_oneof![
        (subnet(), any_of(&NAMES)).prop_map(|(subnet, link)| FirewallRule::Masquerade { subnet, link }),
        (mapping, addresses).prop_map(publish),
        any_of(&NAMES).prop_map(|link| FirewallRule::Internal { link }),
        subnet().prop_map(|subnet| FirewallRule::Inside { subnet }),
        (subnet(), subnet()).prop_map(|(a, b)| FirewallRule::Across { a, b }),
        (any_of(&NAMES), any_of(&NAMES)).prop_map(|(a, b)| FirewallRule::Together { a, b }),
        any_of(&NAMES).prop_map(|link| FirewallRule::Member { link }),
        (any_of(&NAMES), any_of(&["10.0.0.2", "fd00::2"]))
            .prop_map(|(link, address)| FirewallRule::Home { link, address }),
        (subnet(), any_of(&NAMES)).prop_map(|(subnet, link)| FirewallRule::Laid { subnet, link }),
        (
            subnet(),
            any_of(&NAMES),
            select(&[Entry::Published, Entry::Open, Entry::Anything][..])
        )
            .prop_map(|(subnet, link, entry)| FirewallRule::LaidEntry { subnet, link, entry }),
        (subnet(), any_of(&NAMES), any_of(&NAMES)).prop_map(|(subnet, link, from)| FirewallRule::LaidTrusted {
            subnet,
            link,
            from
        }),
        (subnet(), any_of(&NAMES), any_of(&["192.0.2.1", "fd00::1"]))
            .prop_map(|(subnet, link, source)| FirewallRule::MasqueradeAs { subnet, link, source }),
    ]
}

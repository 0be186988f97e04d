//! The rules of the host's own table: constant, and all of them lookups in sets and maps. What each chain is for: see the layout.

mod border;
mod laid;
mod parts;
mod services;

pub(super) use parts::replies;

use super::{
    expression::Expression,
    layout::{Family, NAME, SPREAD},
    object::Rule,
    operand::{Header, Meta, Register, Tracked, Verdict},
};

/// IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const DESTINATION_CHANGED: u32 = 1 << 5;
const FIRST: Register = Register(0);

/// All rules, chain by chain, in order.
pub(super) fn rules() -> Vec<Rule> {
    let in_chain = |chain: &'static str, rules: Vec<Vec<Expression>>| {
        rules.into_iter().map(move |expressions| Rule {
            chain: chain.into(),
            expressions,
        })
    };
    let each = |rules: fn(Family) -> Vec<Vec<Expression>>| Family::BOTH.into_iter().flat_map(rules).collect::<Vec<_>>();
    let jump = |chain: &str| vec![Expression::Verdict(Verdict::Jump(chain.into()))];
    in_chain(SPREAD, each(services::spread))
        .chain(in_chain("publish", each(publish)))
        .chain(in_chain("republished", each(republished)))
        .chain(in_chain("republished", each(services::spread_on)))
        .chain(in_chain("republished", vec![from_localhost()]))
        .chain(in_chain("guard", guard()))
        .chain(in_chain("prerouting", vec![jump(SPREAD), jump("publish")]))
        .chain(in_chain(
            "output",
            vec![localhost_v6_stays(), jump(SPREAD), jump("publish")],
        ))
        .chain(
            border::rules()
                .into_iter()
                .flat_map(|(chain, rules)| in_chain(chain, rules)),
        )
        .chain(in_chain("postrouting", vec![destination_changed(jump("republished"))]))
        .chain(in_chain("postrouting", each(masquerade)))
        .collect()
}

/// A port is published on one address of the host, or on all of them: those have the unspecified address in the sets.
#[derive(Clone, Copy)]
enum Published {
    OnOne,
    OnAll,
}

/// A published port's address is that of a single element, or of an element that is a range whose ports stay what they are. (No
/// element can shift a range: nf_tables has no NF_NAT_RANGE_PROTO_OFFSET. A shifted range is single ports.)
#[derive(Clone, Copy)]
enum Ports {
    Single,
    Range,
}

impl Ports {
    fn set(self, family: Family, name: &str) -> String {
        match self {
            Self::Single => family.set(name),
            Self::Range => family.set(&format!("{name}_range")),
        }
    }
}

/// One address goes before all addresses, single ports before ranges.
const PUBLISHED: [(Published, Ports); 4] = [
    (Published::OnOne, Ports::Single),
    (Published::OnOne, Ports::Range),
    (Published::OnAll, Ports::Single),
    (Published::OnAll, Ports::Range),
];

/// `ip daddr . meta l4proto . th dport` in the map: dnat.
fn publish(family: Family) -> Vec<Vec<Expression>> {
    let rule = |(published, ports): (Published, Ports)| {
        let mut rule = only(family);
        match published {
            Published::OnOne => rule.push(destination(family, FIRST)),
            Published::OnAll => {
                rule.extend(to_local_address());
                rule.extend(unspecified(family, destination(family, FIRST)));
            }
        }
        rule.push(Expression::Meta {
            key: Meta::Protocol,
            into: FIRST.after(family.length()),
        });
        rule.push(Expression::Payload {
            header: Header::Transport,
            offset: 2,
            length: 2,
            into: FIRST.after(family.length() + 4),
        });
        rule.push(Expression::Lookup {
            set: ports.set(family, "publish"),
            from: FIRST,
            into: Some(FIRST),
        });
        let port = matches!(ports, Ports::Single).then_some(FIRST.after(family.length()));
        rule.push(Expression::DestinationNat {
            family: family.number(),
            address: FIRST,
            port,
        });
        rule
    };
    PUBLISHED.into_iter().map(rule).collect()
}

/// `fib daddr type local`
fn to_local_address() -> [Expression; 2] {
    let local = u32::from(libc::RTN_LOCAL).to_ne_bytes().to_vec();
    [
        Expression::DestinationType { into: FIRST },
        Expression::Compare {
            from: FIRST,
            equal: true,
            value: local,
        },
    ]
}

/// The address loaded, turned into the unspecified one. (An immediate would do too, but `nft` cannot list it inside a key.)
fn unspecified(family: Family, address: Expression) -> [Expression; 2] {
    let zero = vec![0; family.length()];
    [
        address,
        Expression::Mask {
            from: FIRST,
            into: FIRST,
            mask: zero.clone(),
            xor: zero,
        },
    ]
}

/// Of what a published port was sent on to: replies must come back this way, so what would not by itself gets the host's address.
/// First an endpoint that reaches itself, then one that reaches another on its own link.
fn republished(family: Family) -> Vec<Vec<Expression>> {
    let to_itself = PUBLISHED.into_iter().map(|which| to_itself(family, which));
    let to_a_neighbour = PUBLISHED.into_iter().map(|which| to_a_neighbour(family, which));
    to_itself.chain(to_a_neighbour).collect()
}

/// The packet's source and destination are both the target of the port that it was sent to.
fn to_itself(family: Family, which: (Published, Ports)) -> Vec<Expression> {
    let mut rule = only(family);
    rule.extend(sent_on(family, which, source));
    rule.push(Expression::Masquerade);
    rule
}

/// The packet's destination is the target of the port that it was sent to, and it leaves by the link of its sender's own subnet. That the
/// port is ours matters: what somebody else's rules send on, as kube-proxy's, keeps its source.
fn to_a_neighbour(family: Family, which: (Published, Ports)) -> Vec<Expression> {
    let mut rule = only(family);
    rule.extend(sent_on(family, which, destination));
    rule.extend(by_own_link(family));
    rule.push(Expression::Masquerade);
    rule
}

/// The published service that the packet was sent to, with `one_end` of the packet and its destination, is in the set that holds each
/// service with its target twice.
fn sent_on(
    family: Family,
    (published, ports): (Published, Ports),
    one_end: fn(Family, Register) -> Expression,
) -> Vec<Expression> {
    let length = family.length();
    let (protocol, port, ends) = (FIRST.after(length), FIRST.after(length + 4), FIRST.after(length + 8));
    let mut key = original_address(family, published);
    key.push(Expression::Meta {
        key: Meta::Protocol,
        into: protocol,
    });
    key.push(Expression::Tracked {
        key: Tracked::OriginalDestinationPort,
        into: port,
    });
    key.push(one_end(family, ends));
    key.push(destination(family, ends.after(length)));
    key.push(lookup(&ports.set(family, "hairpin")));
    key
}

/// `ct original daddr`, or the unspecified address in its place.
fn original_address(family: Family, published: Published) -> Vec<Expression> {
    let address = original_destination(family, FIRST);
    match published {
        Published::OnOne => vec![address],
        Published::OnAll => unspecified(family, address).into(),
    }
}

/// `ct original daddr`
fn original_destination(family: Family, into: Register) -> Expression {
    let key = match family {
        Family::V4 => Tracked::OriginalDestination4,
        Family::V6 => Tracked::OriginalDestination6,
    };
    Expression::Tracked { key, into }
}

/// `ip saddr . oifname @own`
fn by_own_link(family: Family) -> [Expression; 3] {
    [
        source(family, FIRST),
        Expression::Meta {
            key: Meta::OutputName,
            into: FIRST.after(family.length()),
        },
        Expression::Lookup {
            set: family.set("own"),
            from: FIRST,
            into: None,
        },
    ]
}

/// The host reaches its own published port by localhost: 127.0.0.1 must not be the source on any other link.
fn from_localhost() -> Vec<Expression> {
    let mut rule = only(Family::V4);
    rule.extend(in_localhost(source(Family::V4, FIRST)));
    rule.extend(link(Meta::OutputName, false));
    rule.push(Expression::Masquerade);
    rule
}

/// There is no route_localnet for IPv6: what goes to ::1 can never leave, so it is left alone.
fn localhost_v6_stays() -> Vec<Expression> {
    let mut rule = only(Family::V6);
    rule.push(destination(Family::V6, FIRST));
    rule.push(Expression::Compare {
        from: FIRST,
        equal: true,
        value: std::net::Ipv6Addr::LOCALHOST.octets().to_vec(),
    });
    rule.push(Expression::Verdict(Verdict::Return));
    rule
}

fn guard() -> Vec<Vec<Expression>> {
    let from_outside = |address: Expression| {
        let mut rule = only(Family::V4);
        rule.extend(link(Meta::InputName, false));
        rule.extend(in_localhost(address));
        rule.push(Expression::Verdict(Verdict::Drop));
        rule
    };
    vec![
        from_outside(destination(Family::V4, FIRST)),
        from_outside(source(Family::V4, FIRST)),
    ]
}

fn masquerade(family: Family) -> Vec<Vec<Expression>> {
    let mut by_own = only(family);
    by_own.extend(by_own_link(family));
    by_own.push(Expression::Verdict(Verdict::Return));
    let mut as_another = only(family);
    as_another.push(source(family, FIRST));
    as_another.push(Expression::Lookup {
        set: family.set("snat"),
        from: FIRST,
        into: Some(FIRST),
    });
    as_another.push(Expression::SourceNat {
        family: family.number(),
        address: FIRST,
    });
    let mut by_another = only(family);
    by_another.push(source(family, FIRST));
    by_another.push(Expression::Lookup {
        set: family.set("masquerade"),
        from: FIRST,
        into: None,
    });
    by_another.push(Expression::Masquerade);
    vec![by_own, as_another, by_another]
}

fn lookup(set: &str) -> Expression {
    Expression::Lookup {
        set: set.into(),
        from: FIRST,
        into: None,
    }
}

/// `meta nfproto`: the rest of the rule reads that family's header.
fn only(family: Family) -> Vec<Expression> {
    vec![
        Expression::Meta {
            key: Meta::Family,
            into: FIRST,
        },
        Expression::Compare {
            from: FIRST,
            equal: true,
            value: vec![family.number()],
        },
    ]
}

fn source(family: Family, into: Register) -> Expression {
    Expression::Payload {
        header: Header::Network,
        offset: family.offsets().0,
        length: family.length() as u32,
        into,
    }
}

fn destination(family: Family, into: Register) -> Expression {
    Expression::Payload {
        header: Header::Network,
        offset: family.offsets().1,
        length: family.length() as u32,
        into,
    }
}

/// The address loaded is of 127.0.0.0/8.
fn in_localhost(address: Expression) -> [Expression; 3] {
    let mask = Expression::Mask {
        from: FIRST,
        into: FIRST,
        mask: vec![255, 0, 0, 0],
        xor: vec![0; 4],
    };
    [
        address,
        mask,
        Expression::Compare {
            from: FIRST,
            equal: true,
            value: vec![127, 0, 0, 0],
        },
    ]
}

/// The link is the loopback, or is not.
fn link(key: Meta, loopback: bool) -> [Expression; 2] {
    let mut name = b"lo".to_vec();
    name.resize(NAME, 0);
    [
        Expression::Meta { key, into: FIRST },
        Expression::Compare {
            from: FIRST,
            equal: loopback,
            value: name,
        },
    ]
}

/// `ct status dnat`
fn destination_changed(then: Vec<Expression>) -> Vec<Expression> {
    let mut rule = has_bits(
        Expression::Tracked {
            key: Tracked::Status,
            into: FIRST,
        },
        DESTINATION_CHANGED,
    )
    .to_vec();
    rule.extend(then);
    rule
}

/// Any of these bits is set in what was loaded.
fn has_bits(load: Expression, bits: u32) -> [Expression; 3] {
    [
        load,
        Expression::Mask {
            from: FIRST,
            into: FIRST,
            mask: bits.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        },
        Expression::Compare {
            from: FIRST,
            equal: false,
            value: vec![0; 4],
        },
    ]
}

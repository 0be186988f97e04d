//! The border between networks and the world: the rules of the forward hook.
//!
//! ```text
//!   border:  within a closed link            -> closed: replies, published ports; else drop
//!            within the network              -> pass
//!            into or out of an internal one  -> drop
//!            replies                         -> pass
//!            from a trusted link             -> pass
//!            to a published port             -> pass, also from another network's members
//!            into a member, by its @entry*   -> drop | open: its open ports, echo requests; else drop | pass
//!            from a member                   -> leaving: to another network's member drop, else pass
//!            to a member                     -> pass
//! ```
//!
//! Each of these has a second rule for networks that are laid on somebody else's bridge: see the module of that name.
//!
//! *Within the network* is from a link to itself or to another of the same network (`@together`; `@internal_same` of an older host's table): bridged traffic, which comes by here where
//! bridge-nf-call-iptables is set, passes so with its broadcasts and its neighbour discovery. Where each endpoint has a link of its own,
//! pairs would grow with their square: there the sender's address must be at home on the link that it came by (`@home*`), so that nobody
//! can lie about his network, and both addresses in one network's subnets (`@inside*`).
//!
//! A port is published for everybody, so also for members of other networks, who ask for it at the host's address. By the endpoint's own
//! address they reach what the outside would.

use super::{
    FIRST, destination, destination_changed, has_bits, laid, lookup, only,
    parts::{Expressions, drop_it, go, replies},
    source,
};
use crate::nft::{
    expression::Expression,
    layout::{CLOSED, Family, INTERNAL, INTERNAL_SAME, LEAVING, MARK, MEMBER, NAME, OPEN, PASS, TOGETHER, TRUSTED},
    operand::{Header, Meta, Verdict},
};

/// Each chain with its rules in order.
pub(super) fn rules() -> [(&'static str, Vec<Expressions>); 6] {
    [
        (PASS, vec![mark(), vec![Expression::Verdict(Verdict::Accept)]]),
        (CLOSED, closed()),
        (OPEN, open()),
        (LEAVING, leaving()),
        ("border", border()),
        ("unmark", vec![unmark()]),
    ]
}

fn border() -> Vec<Expressions> {
    let by = |key, set| vec![name_of(key), lookup(set)];
    let (from_member, to_member) = (by(Meta::InputName, MEMBER), by(Meta::OutputName, MEMBER));
    let mut rules = vec![go(between(CLOSED), CLOSED)];
    rules.extend([TOGETHER, INTERNAL_SAME].map(|pairs| go(between(pairs), PASS)));
    rules.extend(Family::BOTH.map(|family| go(at_home(family), PASS)));
    rules.extend([Meta::InputName, Meta::OutputName].map(|key| drop_it(by(key, INTERNAL))));
    rules.extend([from_member.clone(), to_member.clone()].map(|member| go([member, replies()].concat(), PASS)));
    rules.extend(Family::BOTH.into_iter().flat_map(laid::within));
    rules.extend([
        go(between(TRUSTED), PASS),
        [to_member.clone(), destination_changed(go(vec![], PASS))].concat(),
    ]);
    rules.extend(Family::BOTH.into_iter().flat_map(laid::published));
    rules.extend(Family::BOTH.map(entry));
    rules.extend(Family::BOTH.into_iter().flat_map(laid::entered));
    rules.push(go(from_member, LEAVING));
    rules.extend(Family::BOTH.map(|family| go(laid::from(family), LEAVING)));
    rules.push(go(to_member, PASS));
    rules.extend(Family::BOTH.map(|family| go(laid::to(family), PASS)));
    rules
}

/// Networks do not reach each other.
fn leaving() -> Vec<Expressions> {
    let to_member = vec![name_of(Meta::OutputName), lookup(MEMBER)];
    let to_laid = Family::BOTH.map(|family| drop_it(laid::to(family)));
    let mut rules = vec![drop_it(to_member)];
    rules.extend(to_laid);
    rules.push(go(vec![], PASS));
    rules
}

fn closed() -> Vec<Expressions> {
    vec![
        go(replies(), PASS),
        destination_changed(go(vec![], PASS)),
        drop_it(vec![]),
    ]
}

/// Echo requests pass as with Docker's routed networks; so does the rest of their protocol, without which IPv6 finds no path MTU.
fn open() -> Vec<Expressions> {
    let ports = |family: Family| ["open", "open_range"].map(|set| go(to_port(family, &family.set(set)), PASS));
    let mut rules: Vec<_> = Family::BOTH.into_iter().flat_map(ports).collect();
    rules.extend([libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6].map(|protocol| go(of_protocol(protocol as u8), PASS)));
    rules.push(drop_it(vec![]));
    rules
}

/// `iifname . oifname @set`
fn between(set: &str) -> Expressions {
    let output = Expression::Meta {
        key: Meta::OutputName,
        into: FIRST.after(NAME),
    };
    vec![name_of(Meta::InputName), output, lookup(set)]
}

/// `iifname . saddr @home*  saddr . daddr @inside*  oifname @member`
fn at_home(family: Family) -> Expressions {
    let mut rule = only(family);
    rule.extend([
        name_of(Meta::InputName),
        source(family, FIRST.after(NAME)),
        lookup(&family.set("home")),
    ]);
    rule.extend([
        source(family, FIRST),
        destination(family, FIRST.after(family.length())),
        lookup(&family.set("inside")),
    ]);
    rule.extend([name_of(Meta::OutputName), lookup(MEMBER)]);
    rule
}

/// `oifname vmap @entry*`
fn entry(family: Family) -> Expressions {
    let mut rule = only(family);
    rule.extend([
        name_of(Meta::OutputName),
        Expression::VerdictOf {
            set: family.set("entry"),
            from: FIRST,
        },
    ]);
    rule
}

/// `daddr . l4proto . th dport @set`
fn to_port(family: Family, set: &str) -> Expressions {
    let length = family.length();
    let mut rule = only(family);
    rule.extend([
        destination(family, FIRST),
        Expression::Meta {
            key: Meta::Protocol,
            into: FIRST.after(length),
        },
        Expression::Payload {
            header: Header::Transport,
            offset: 2,
            length: 2,
            into: FIRST.after(length + 4),
        },
        lookup(set),
    ]);
    rule
}

fn of_protocol(protocol: u8) -> Expressions {
    vec![
        Expression::Meta {
            key: Meta::Protocol,
            into: FIRST,
        },
        Expression::Compare {
            from: FIRST,
            equal: true,
            value: vec![protocol],
        },
    ]
}

/// `meta mark set meta mark | bit`
fn mark() -> Expressions {
    change_mark(MARK)
}

/// `meta mark & bit != 0 meta mark set meta mark & ~bit`
fn unmark() -> Expressions {
    let marked = has_bits(load_mark(), MARK).to_vec();
    [marked, change_mark(0)].concat()
}

fn change_mark(bit: u32) -> Expressions {
    let mask = Expression::Mask {
        from: FIRST,
        into: FIRST,
        mask: (!MARK).to_ne_bytes().to_vec(),
        xor: bit.to_ne_bytes().to_vec(),
    };
    vec![load_mark(), mask, Expression::SetMark { from: FIRST }]
}

fn load_mark() -> Expression {
    Expression::Meta {
        key: Meta::Mark,
        into: FIRST,
    }
}

fn name_of(key: Meta) -> Expression {
    Expression::Meta { key, into: FIRST }
}

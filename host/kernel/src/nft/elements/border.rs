//! Elements of the sets that the border's rules look into.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use jackfield_model::{Family as IpFamily, LinkName, Transport};

use super::{Placed, interval, name, octets, refused, service_at};
use crate::{
    Result,
    nft::{
        layout::{CLOSED, Family, INTERNAL, INTERNAL_SAME, MEMBER, OPEN, PASS, TOGETHER, TRUSTED},
        object::{Data, Element},
        operand::Verdict,
    },
    plan::{Entry, FirewallRule},
};

/// The elements of a rule about the border; none of a rule about anything else.
pub(super) fn elements(rule: &FirewallRule) -> Result<Vec<Placed>> {
    Ok(match rule {
        FirewallRule::Internal { link } => vec![
            (INTERNAL.into(), Element::key(name(link))),
            (INTERNAL_SAME.into(), pair(link, link)),
        ],
        FirewallRule::Inside { subnet } => vec![inside(*subnet, *subnet)],
        FirewallRule::Across { a, b } => across(rule, *a, *b)?,
        FirewallRule::Member { link } => vec![
            (MEMBER.into(), Element::key(name(link))),
            (TOGETHER.into(), pair(link, link)),
        ],
        FirewallRule::Together { a, b } => together(rule, a, b)?,
        FirewallRule::Home { link, address } => vec![home(link, *address)],
        FirewallRule::Entry { link, family, entry } => vec![entered(link, *family, *entry)],
        FirewallRule::Trusted { link, from } => vec![(TRUSTED.into(), pair(from, link))],
        FirewallRule::Closed { link } => vec![(CLOSED.into(), pair(link, link))],
        FirewallRule::Open {
            transport,
            target,
            port,
            count,
        } => vec![open(rule, *transport, *target, (*port, *count))?],
        FirewallRule::Masquerade { .. }
        | FirewallRule::MasqueradeAs { .. }
        | FirewallRule::Publish { .. }
        | FirewallRule::Laid { .. }
        | FirewallRule::LaidEntry { .. }
        | FirewallRule::LaidTrusted { .. }
        | FirewallRule::Spread { .. }
        | FirewallRule::Virtual { .. } => vec![],
    })
}

/// A rule in words, for errors.
pub(super) fn words(rule: &FirewallRule) -> String {
    match rule {
        FirewallRule::Internal { link } => format!("internal link {link}"),
        FirewallRule::Inside { subnet } => format!("subnet {subnet} of a network"),
        FirewallRule::Across { a, b } => format!("subnets {a} and {b} of one network"),
        FirewallRule::Member { link } => format!("link {link} of a network"),
        FirewallRule::Together { a, b } => format!("links {a} and {b} of one network"),
        FirewallRule::Home { link, address } => format!("address {address} behind link {link}"),
        FirewallRule::Entry { link, family, .. } => format!("entry in {family:?} by link {link}"),
        FirewallRule::Trusted { link, from } => format!("link {from}, trusted to enter by link {link}"),
        FirewallRule::Closed { link } => format!("closed link {link}"),
        FirewallRule::Open {
            transport,
            target,
            port,
            count,
        } => {
            let transport = format!("{transport:?}").to_lowercase();
            format!(
                "open {transport} {}, {count} of them",
                std::net::SocketAddr::new(*target, *port)
            )
        }
        FirewallRule::Masquerade { .. }
        | FirewallRule::MasqueradeAs { .. }
        | FirewallRule::Publish { .. }
        | FirewallRule::Laid { .. }
        | FirewallRule::LaidEntry { .. }
        | FirewallRule::LaidTrusted { .. }
        | FirewallRule::Spread { .. }
        | FirewallRule::Virtual { .. } => String::new(),
    }
}

fn pair(a: &LinkName, b: &LinkName) -> Element {
    Element::key([name(a), name(b)].concat())
}

fn inside(from: IpNetwork, to: IpNetwork) -> Placed {
    let first = [octets(from.network()), octets(to.network())].concat();
    let last = [octets(from.broadcast()), octets(to.broadcast())].concat();
    (Family::of(from.ip()).set("inside"), interval(first, last))
}

fn across(rule: &FirewallRule, a: IpNetwork, b: IpNetwork) -> Result<Vec<Placed>> {
    if a.is_ipv4() != b.is_ipv4() || a.contains(b.network()) || b.contains(a.network()) {
        let said = "expected two subnets of one family that do not overlap".into();
        return Err(refused("join", words(rule), said));
    }
    Ok(vec![inside(a, b), inside(b, a)])
}

fn together(rule: &FirewallRule, a: &LinkName, b: &LinkName) -> Result<Vec<Placed>> {
    if a == b {
        return Err(refused("join", words(rule), "expected two links".into()));
    }
    Ok(vec![(TOGETHER.into(), pair(a, b)), (TOGETHER.into(), pair(b, a))])
}

fn home(link: &LinkName, address: IpAddr) -> Placed {
    let key = [name(link), octets(address)].concat();
    (Family::of(address).set("home"), Element::key(key))
}

fn entered(link: &LinkName, family: IpFamily, entry: Entry) -> Placed {
    let family = match family {
        IpFamily::Ipv4 => Family::V4,
        IpFamily::Ipv6 => Family::V6,
    };
    let element = Element {
        data: Some(Data::Verdict(verdict(entry))),
        ..Element::key(name(link))
    };
    (family.set("entry"), element)
}

/// What becomes of who enters.
pub(super) fn verdict(entry: Entry) -> Verdict {
    match entry {
        Entry::Published => Verdict::Drop,
        Entry::Open => Verdict::Goto(OPEN.into()),
        Entry::Anything => Verdict::Goto(PASS.into()),
    }
}

fn open(rule: &FirewallRule, transport: Transport, target: IpAddr, (port, count): (u16, u16)) -> Result<Placed> {
    let last = count.checked_sub(1).and_then(|more| port.checked_add(more));
    let Some(last) = last.filter(|_| port > 0) else {
        let said = "ports are 1 to 65535, and a range holds at least one".into();
        return Err(refused("open", words(rule), said));
    };
    let family = Family::of(target);
    let key = |port| service_at(target, transport, port);
    Ok(if count == 1 {
        (family.set("open"), Element::key(key(port)))
    } else {
        (family.set("open_range"), interval(key(port), key(last)))
    })
}

//! Elements of networks that are laid on a bridge of somebody else's: each has the network's subnet in its key.

use ipnetwork::IpNetwork;
use jackfield_model::LinkName;

use super::{Placed, border::verdict, interval, name, octets};
use crate::{
    nft::{
        layout::Family,
        object::{Data, Element},
    },
    plan::FirewallRule,
};

/// The elements of such a rule; none of a rule about anything else.
pub(super) fn elements(rule: &FirewallRule) -> Vec<Placed> {
    match rule {
        FirewallRule::Laid { link, subnet } => vec![
            placed("laid", *subnet, &[link]),
            placed("laid_beside", *subnet, &[link, link]),
        ],
        FirewallRule::LaidEntry { link, subnet, entry } => {
            let (set, element) = placed("laid_entry", *subnet, &[link]);
            let data = Some(Data::Verdict(verdict(*entry)));
            vec![(set, Element { data, ..element })]
        }
        FirewallRule::LaidTrusted { link, subnet, from } => vec![placed("laid_trusted", *subnet, &[link, from])],
        _ => vec![],
    }
}

/// A rule in words, for errors.
pub(super) fn words(rule: &FirewallRule) -> String {
    match rule {
        FirewallRule::Laid { link, subnet } => format!("subnet {subnet} on bridge {link}"),
        FirewallRule::LaidEntry { link, subnet, .. } => format!("entry to {subnet} on bridge {link}"),
        FirewallRule::LaidTrusted { link, subnet, from } => {
            format!("link {from}, trusted to enter {subnet} on bridge {link}")
        }
        _ => String::new(),
    }
}

/// Whether the kernel has room for one of them beside the other: their intervals may not share an end.
pub(super) fn collide(there: &FirewallRule, new: &FirewallRule) -> bool {
    match (key(there), key(new)) {
        (Some((kind, there, on)), Some((new_kind, new, new_on))) => {
            let an_end = there.contains(new.network()) || there.contains(new.broadcast());
            kind == new_kind && on == new_on && an_end
        }
        _ => false,
    }
}

/// Which kind, the subnet, and the links.
fn key(rule: &FirewallRule) -> Option<(u8, IpNetwork, [&LinkName; 2])> {
    match rule {
        FirewallRule::Laid { link, subnet } => Some((0, *subnet, [link, link])),
        FirewallRule::LaidEntry { link, subnet, .. } => Some((1, *subnet, [link, link])),
        FirewallRule::LaidTrusted { link, subnet, from } => Some((2, *subnet, [link, from])),
        _ => None,
    }
}

fn placed(set: &str, subnet: IpNetwork, links: &[&LinkName]) -> Placed {
    let names: Vec<u8> = links.iter().flat_map(|link| name(link)).collect();
    let key = |address| [octets(address), names.clone()].concat();
    let element = interval(key(subnet.network()), key(subnet.broadcast()));
    (Family::of(subnet.ip()).set(set), element)
}

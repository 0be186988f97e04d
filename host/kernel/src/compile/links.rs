//! The links of a plan as the whole plan leaves them: a setting that a later step gives a new link is part of making it, because each
//! message to the kernel costs.

use std::collections::HashMap;

use jackfield_model::{LinkName, MacAddr};

use crate::{
    Ifindex, LinkAt, Make, Place, Plan,
    plan::{LinkKind, LinkSetting, NewLink, VethPeer},
};

/// A link that the plan makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLink {
    /// Its step.
    pub make: usize,
    /// What is sent: with what later steps set, and a veth pair always with its end in the realm first.
    pub link: NewLink,
    /// The bridge that it is made a port of.
    pub controller: Option<Ifindex>,
    /// The later steps that making it does.
    pub folded: Vec<usize>,
}

/// One end of a planned link; most kinds have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Where.
    pub at: LinkAt,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its payload, where the plan says it.
    pub mtu: Option<u32>,
}

impl PlannedLink {
    /// Its ends, that in the realm first.
    pub fn ends(&self) -> impl Iterator<Item = End> + '_ {
        let first = End {
            at: self.link.at,
            mac: self.link.mac,
            mtu: self.link.mtu,
        };
        let second = match &self.link.kind {
            LinkKind::Veth { peer } => Some(End {
                at: peer.at,
                mac: peer.mac,
                mtu: peer.mtu,
            }),
            _ => None,
        };
        std::iter::once(first).chain(second)
    }

    /// What that end of it is called.
    pub fn name_of(&self, end: &End) -> &LinkName {
        match &self.link.kind {
            LinkKind::Veth { peer } if peer.at == end.at => &peer.name,
            _ => &self.link.name,
        }
    }
}

/// Every link that the plan makes, in order.
pub fn planned_links(plan: &Plan) -> Vec<PlannedLink> {
    let mut links: Vec<PlannedLink> = plan.makes.iter().enumerate().filter_map(new_link).collect();
    let made: HashMap<LinkAt, usize> = links
        .iter()
        .enumerate()
        .flat_map(|(i, l)| l.ends().map(move |e| (e.at, i)).collect::<Vec<_>>())
        .collect();
    for (step, make) in plan.makes.iter().enumerate() {
        let Make::Set { link: at, to, .. } = make else { continue };
        let Some(planned) = made.get(at).map(|i| &mut links[*i]) else {
            continue;
        };
        if fold(plan, planned, *at, to) {
            planned.folded.push(step);
        }
    }
    links
}

fn new_link((make, step): (usize, &Make)) -> Option<PlannedLink> {
    let Make::Link(link) = step else { return None };
    Some(PlannedLink {
        make,
        link: realm_end_first(link.clone()),
        controller: None,
        folded: vec![],
    })
}

/// A veth pair is the same seen from either end.
fn realm_end_first(link: NewLink) -> NewLink {
    match link.kind {
        LinkKind::Veth { peer } if link.at.place == Place::Sandbox && peer.at.place == Place::Realm => NewLink {
            at: peer.at,
            name: peer.name,
            mac: peer.mac,
            mtu: peer.mtu,
            kind: LinkKind::Veth {
                peer: VethPeer {
                    at: link.at,
                    name: link.name,
                    mac: link.mac,
                    mtu: link.mtu,
                },
            },
        },
        _ => link,
    }
}

fn fold(plan: &Plan, planned: &mut PlannedLink, at: LinkAt, to: &LinkSetting) -> bool {
    match to {
        // A bridge forgets the MTU that it was made with at its first port; one that is set afterwards stays.
        LinkSetting::Mtu(mtu) if !matches!(planned.link.kind, LinkKind::Bridge(_)) => {
            *mtu_of(planned, at) = Some(*mtu);
        }
        LinkSetting::Mac(mac) => *mac_of(planned, at) = *mac,
        LinkSetting::Controller(Some(bridge)) if at == planned.link.at && stands_before(plan, planned, at, *bridge) => {
            planned.controller = Some(*bridge);
        }
        _ => return false,
    }
    true
}

/// Whether making the link as a port of that bridge does what the plan says: the bridge is there by then, and it is the only one.
fn stands_before(plan: &Plan, planned: &PlannedLink, at: LinkAt, bridge: Ifindex) -> bool {
    let made_later = |m: &Make| matches!(m, Make::Link(l) if l.at.place == Place::Realm && l.at.index == bridge);
    let controllers = |m: &&Make| matches!(m, Make::Set { link, to: LinkSetting::Controller(_), .. } if *link == at);
    at.place == Place::Realm
        && !plan.makes[planned.make..].iter().any(made_later)
        && plan.makes.iter().filter(controllers).count() == 1
}

fn mtu_of(planned: &mut PlannedLink, at: LinkAt) -> &mut Option<u32> {
    match &mut planned.link {
        NewLink {
            at: first,
            kind: LinkKind::Veth { peer },
            ..
        } if *first != at => &mut peer.mtu,
        NewLink { mtu, .. } => mtu,
    }
}

fn mac_of(planned: &mut PlannedLink, at: LinkAt) -> &mut MacAddr {
    match &mut planned.link {
        NewLink {
            at: first,
            kind: LinkKind::Veth { peer },
            ..
        } if *first != at => &mut peer.mac,
        NewLink { mac, .. } => mac,
    }
}

//! Rewriting the links of a plan: every place in which a step names one. Possible because a plan is data.

use jackfield_kernel::{
    Ifindex, LinkAt, Make, Place, Plan, Removal,
    plan::{FirewallRule, LinkKind, LinkSetting, Route},
};
use jackfield_model::LinkName;

/// Where a link is, and which, from what it was.
type Move<'a> = &'a dyn Fn(LinkAt) -> LinkAt;
/// The new name of a link; None when it keeps its own.
type Rename<'a> = &'a dyn Fn(&LinkName) -> Option<LinkName>;

/// Rewrites every link that the plan names: where it is and which by `at`, and its name by `name` where that answers with one.
pub fn relink(plan: &mut Plan, at: Move<'_>, name: Rename<'_>) {
    for make in &mut plan.makes {
        relink_make(make, at, name);
    }
    for removal in &mut plan.removals {
        relink_removal(removal, at, name);
    }
}

fn relink_make(make: &mut Make, at: Move<'_>, name: Rename<'_>) {
    match make {
        Make::Link(new) => {
            new.at = at(new.at);
            rename(&mut new.name, name);
            relink_kind(&mut new.kind, at, name);
        }
        Make::Lend(lent) => {
            lent.from = in_realm(lent.from, at);
            lent.at = at(lent.at);
        }
        Make::Set { link, to, .. } => {
            *link = at(*link);
            if let LinkSetting::Controller(Some(controller)) = to {
                *controller = in_realm(*controller, at);
            }
        }
        Make::Address { link, .. }
        | Make::Neighbour { link, .. }
        | Make::ProxyNeighbour { link, .. }
        | Make::Forwarding { link, .. }
        | Make::Sysctl { link, .. }
        | Make::Bandwidth { link, .. } => *link = at(*link),
        Make::Route { place, route } => relink_route(place, route, at),
        Make::Rule(rule) => {
            for link in [&mut rule.iif, &mut rule.oif].into_iter().flatten() {
                rename(link, name);
            }
        }
        Make::Firewall(rule) => relink_firewall(rule, name),
        Make::Resolver { .. } => {}
    }
}

fn relink_kind(kind: &mut LinkKind, at: Move<'_>, name: Rename<'_>) {
    match kind {
        LinkKind::Veth { peer } => {
            peer.at = at(peer.at);
            rename(&mut peer.name, name);
        }
        LinkKind::Macvlan { parent, .. } | LinkKind::Ipvlan { parent, .. } | LinkKind::Vlan { parent, .. } => {
            *parent = in_realm(*parent, at);
        }
        LinkKind::Vxlan(attributes) => attributes.parent = attributes.parent.map(|parent| in_realm(parent, at)),
        LinkKind::Bridge(_) | LinkKind::Dummy | LinkKind::Tap(_) => {}
    }
}

fn relink_removal(removal: &mut Removal, at: Move<'_>, name: Rename<'_>) {
    match removal {
        Removal::Link { link, .. }
        | Removal::Address { link, .. }
        | Removal::Neighbour { link, .. }
        | Removal::ProxyNeighbour { link, .. }
        | Removal::Forwarding { link, .. } => *link = at(*link),
        Removal::Route { place, route } => relink_route(place, route, at),
        Removal::Firewall(rule) => relink_firewall(rule, name),
        Removal::Rule(_) | Removal::Conntrack { .. } => {}
    }
}

fn relink_route(place: &mut Place, route: &mut Route, at: Move<'_>) {
    if let Some(index) = route.link {
        let new = at(LinkAt { place: *place, index });
        *place = new.place;
        route.link = Some(new.index);
    }
}

fn relink_firewall(rule: &mut FirewallRule, name: Rename<'_>) {
    rule.links_mut().into_iter().for_each(|link| rename(link, name));
}

/// Parents and controllers are in the realm, whatever stands on them.
fn in_realm(index: Ifindex, at: Move<'_>) -> Ifindex {
    at(LinkAt {
        place: Place::Realm,
        index,
    })
    .index
}

fn rename(link: &mut LinkName, name: Rename<'_>) {
    if let Some(new) = name(link) {
        *link = new;
    }
}

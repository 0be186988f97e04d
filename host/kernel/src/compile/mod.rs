//! From a plan to the fewest batches. Pure: nothing here asks or changes a kernel.
//!
//! ```text
//!   links     one batch each, acknowledged before anything names its index: the kernel goes on with a batch after an error,
//!             and a link refused for its index would have the next message change a foreign one
//!   realm     settings, sysctls, addresses, neighbours, isolation in nftables, then up, then routes
//!   sandbox   loopback, the same, and with its up the first packet can flow
//!   finish    settle new ports and pairs, publish
//! ```
//!
//! A link that the realm and the sandbox share carries nothing before both ends are up, so what must hold before the first packet is
//! in place by the sandbox's batch. The realm's end goes up first because then the sandbox's has carrier at once; only the realm's end
//! is left to be settled, in the realm.

mod links;

use std::collections::BTreeMap;

use jackfield_model::{Family, OperationId};

use crate::{
    Batch, FirewallChange, Ifindex, LinkAt, Make, Namespace, Place, Plan, Request,
    plan::{FirewallRule, LinkKind, LinkSetting, Route, SysctlKey, SysctlTable},
};

pub use links::{End, PlannedLink, planned_links};

/// The loopback's index in every network namespace.
pub const LOOPBACK: u32 = 1;
/// IPv6 has no part in a link with a smaller payload (RFC 8200, section 5): the kernel refuses settings of it there.
const IPV6_MINIMUM_MTU: u32 = 1280;
/// Longest alias, in bytes: IFALIASZ of linux/if.h less one, of which the closing zero that is sent takes another.
const ALIAS_MAX: usize = 254;

/// What compiling needs besides the plan.
pub struct Context<'a> {
    /// Marks the realm's links.
    pub operation: &'a OperationId,
    /// The sandbox, where the plan reaches into one.
    pub sandbox: Option<&'a Namespace>,
    /// Bring the sandbox's loopback up.
    pub raise_loopback: bool,
    /// The sandbox's links hear no router advertisements without being told.
    pub deaf: bool,
    /// Whether a bridge gets its first port with this: then it has to be settled as well.
    pub first_port: &'a dyn Fn(Ifindex) -> bool,
}

/// One send, and for each of its requests the makes that it does.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The requests.
    pub batch: Batch,
    /// For each request, the positions in the plan of the makes that stand when it succeeded.
    pub realises: Vec<Vec<usize>>,
}

/// The alias that marks a link of ours in the realm.
pub fn alias(operation: &OperationId, name: &str) -> String {
    let mut text = format!("{}{}:{name}", ALIAS_PREFIX, operation.short());
    text.truncate(ALIAS_MAX);
    text
}

/// How every alias of ours begins.
pub const ALIAS_PREFIX: &str = "jackfield:";

/// Whether any step concerns the sandbox's namespace.
pub fn reaches_sandbox(plan: &Plan) -> bool {
    let in_sandbox = |at: &LinkAt| at.place == Place::Sandbox;
    plan.new_links().any(|at| in_sandbox(&at))
        || plan.makes.iter().any(|make| match make {
            Make::Lend(lent) => in_sandbox(&lent.at),
            Make::Route { place, .. } => *place == Place::Sandbox,
            Make::Resolver { .. } => true,
            other => link_of(other).is_some_and(|at| in_sandbox(&at)),
        })
}

/// The link that a step changes; None for one that makes a link, and for those that concern a namespace.
pub fn link_of(make: &Make) -> Option<LinkAt> {
    match make {
        Make::Set { link, .. }
        | Make::Address { link, .. }
        | Make::Neighbour { link, .. }
        | Make::ProxyNeighbour { link, .. }
        | Make::Forwarding { link, .. }
        | Make::Sysctl { link, .. }
        | Make::Bandwidth { link, .. } => Some(*link),
        Make::Link(_)
        | Make::Lend(_)
        | Make::Route { .. }
        | Make::Rule(_)
        | Make::Firewall(_)
        | Make::Resolver { .. } => None,
    }
}

/// The batches of a plan's makes, in order.
pub fn compile(plan: &Plan, context: &Context<'_>) -> Vec<Stage> {
    let links = planned_links(plan);
    let mut stages: Vec<Stage> = links.iter().map(|planned| create(planned, context)).collect();
    stages.extend(lend(plan, context));
    let mut steps = Steps::default();
    if context.raise_loopback
        && let Some(index) = Ifindex::new(LOOPBACK)
    {
        steps.add(
            Place::Sandbox,
            Class::Setting,
            Request::SetLink {
                index,
                setting: LinkSetting::Up(true),
            },
            vec![],
        );
    }
    mark(&links, context, &mut steps);
    generation(plan, &links, &mut steps);
    deafness(plan, &links, context, &mut steps);
    let folded: Vec<usize> = links.iter().flat_map(|l| l.folded.iter().copied()).collect();
    for (at, make) in plan.makes.iter().enumerate().filter(|(at, _)| !folded.contains(at)) {
        steps.make(at, make);
    }
    settle(plan, context, &mut steps);
    steps.firewall(plan);
    stages.extend(steps.stages());
    stages
}

fn create(planned: &PlannedLink, context: &Context<'_>) -> Stage {
    let in_sandbox = planned.ends().any(|end| end.at.place == Place::Sandbox);
    let request = Request::CreateLink {
        link: Box::new(planned.link.clone()),
        controller: planned.controller,
        group: 0,
        sandbox: context.sandbox.filter(|_| in_sandbox).cloned(),
    };
    let makes = std::iter::once(planned.make)
        .chain(planned.folded.iter().copied())
        .collect();
    Stage {
        batch: Batch {
            place: Place::Realm,
            requests: vec![request],
        },
        realises: vec![makes],
    }
}

/// Acknowledged before anything names the new index, as a creation is.
fn lend<'a>(plan: &'a Plan, context: &'a Context<'_>) -> impl Iterator<Item = Stage> + 'a {
    let lent = plan.makes.iter().enumerate().filter_map(|(at, make)| match make {
        Make::Lend(lent) => Some((at, lent)),
        _ => None,
    });
    lent.zip(context.sandbox.into_iter().cycle())
        .map(|((at, lent), sandbox)| {
            let request = Request::MoveLink {
                index: lent.from,
                to: sandbox.clone(),
                name: lent.name.clone(),
                new_index: lent.at.index,
            };
            Stage {
                batch: Batch {
                    place: Place::Realm,
                    requests: vec![request],
                },
                realises: vec![vec![at]],
            }
        })
}

/// Marks the links that a person may see in the realm, and orphans are known by.
fn mark(links: &[PlannedLink], context: &Context<'_>, steps: &mut Steps) {
    for planned in links {
        for end in planned.ends().filter(|end| end.at.place == Place::Realm) {
            let alias = alias(context.operation, planned.link.name.as_str());
            steps.add(
                Place::Realm,
                Class::Setting,
                Request::SetAlias {
                    index: end.at.index,
                    alias,
                },
                vec![],
            );
        }
    }
}

/// Link-local addresses only where the plan asks for them: the multicast that comes with them melts large bridges.
fn generation(plan: &Plan, links: &[PlannedLink], steps: &mut Steps) {
    let mut asked: BTreeMap<LinkAt, (bool, Vec<usize>)> = BTreeMap::new();
    for (at, make) in plan.makes.iter().enumerate() {
        if let Make::Set {
            link,
            to: LinkSetting::AddressGeneration(on),
            ..
        } = make
        {
            let entry = asked.entry(*link).or_default();
            (entry.0, entry.1) = (*on, [std::mem::take(&mut entry.1), vec![at]].concat());
        }
    }
    for end in links.iter().flat_map(PlannedLink::ends) {
        let (on, makes) = asked.remove(&end.at).unwrap_or_default();
        let without_ipv6 = end.mtu.is_some_and(|mtu| mtu < IPV6_MINIMUM_MTU);
        if makes.is_empty() && without_ipv6 {
            continue;
        }
        let setting = LinkSetting::AddressGeneration(on);
        steps.add(
            end.at.place,
            Class::Generation,
            Request::SetLink {
                index: end.at.index,
                setting,
            },
            makes,
        );
    }
    // What is left belongs to links that were there before.
    for (at, (on, makes)) in asked {
        let setting = LinkSetting::AddressGeneration(on);
        steps.add(
            at.place,
            Class::Generation,
            Request::SetLink {
                index: at.index,
                setting,
            },
            makes,
        );
    }
}

/// Nobody takes router advertisements by a link that a plan makes: else whoever is behind it could make himself the IPv6 router of the whole
/// host (CVE-2020-13401), or of a neighbour's sandbox, whose routes are the plan's to say. A plan may say otherwise. A bridge's port hears
/// nothing by itself.
fn deafness(plan: &Plan, links: &[PlannedLink], context: &Context<'_>, steps: &mut Steps) {
    let decided = |at: LinkAt| {
        plan.makes.iter().any(|make| match make {
            Make::Set { link, to, .. } => *link == at && matches!(to, LinkSetting::Controller(Some(_))),
            Make::Sysctl { link, key, .. } => *link == at && *key == accept_ra(),
            _ => false,
        })
    };
    let ends = links.iter().flat_map(PlannedLink::ends);
    let deaf = |at: LinkAt| at.place == Place::Sandbox && context.deaf;
    for end in ends.filter(|end| !deaf(end.at) && !decided(end.at)) {
        let request = Request::WriteSysctl {
            index: end.at.index,
            key: accept_ra(),
            value: DEAF.to_owned(),
        };
        steps.add(end.at.place, Class::Sysctl, request, vec![]);
    }
}

/// No router advertisements.
pub const DEAF: &str = "0";

/// Whether a link takes router advertisements.
pub fn accept_ra() -> SysctlKey {
    SysctlKey {
        family: Family::Ipv6,
        table: SysctlTable::Conf,
        key: "accept_ra".to_owned(),
    }
}

/// What was just set up, or became a port, carries its first packet only after the kernel has been made to run its deferred link work:
/// else an ARP request is lost now and then, and is sent again a second later.
fn settle(plan: &Plan, context: &Context<'_>, steps: &mut Steps) {
    let (mut ends, mut bridges) = (vec![], vec![]);
    for make in &plan.makes {
        let Make::Set { link, to, .. } = make else { continue };
        match to {
            _ if link.place != Place::Realm => {}
            LinkSetting::Controller(Some(bridge)) => {
                once(&mut ends, link.index);
                once(&mut bridges, *bridge);
            }
            LinkSetting::Up(true) if is_new_pair(plan, *link) => once(&mut ends, link.index),
            _ => {}
        }
    }
    let bridges = bridges.into_iter().filter(|bridge| (context.first_port)(*bridge));
    for index in ends.into_iter().chain(bridges) {
        steps.add(Place::Realm, Class::Finish, Request::Settle { index }, vec![]);
    }
}

fn once(list: &mut Vec<Ifindex>, index: Ifindex) {
    if !list.contains(&index) {
        list.push(index);
    }
}

/// Whether the plan makes this link as an end of a pair, whose carrier comes with the other end.
fn is_new_pair(plan: &Plan, link: LinkAt) -> bool {
    let pairs = plan.makes.iter().filter_map(|make| match make {
        Make::Link(new) => Some(new),
        _ => None,
    });
    pairs
        .filter_map(|new| match &new.kind {
            LinkKind::Veth { peer } => Some([new.at, peer.at]),
            _ => None,
        })
        .any(|ends| ends.contains(&link))
}

/// The order within a namespace. Declaration order is the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Setting,
    Sysctl,
    Bandwidth,
    Address,
    Neighbour,
    Isolation,
    Generation,
    Up,
    ConnectedRoute,
    DefaultRoute,
    OtherRoute,
    Rule,
    Finish,
}

/// Requests that are not yet in order.
#[derive(Default)]
struct Steps(Vec<(Place, Class, Request, Vec<usize>)>);

impl Steps {
    fn add(&mut self, place: Place, class: Class, request: Request, makes: Vec<usize>) {
        self.0.push((place, class, request, makes));
    }

    fn make(&mut self, at: usize, make: &Make) {
        if let Some((place, class, request)) = request(make) {
            self.add(place, class, request, vec![at]);
        }
    }

    /// One transaction for what must hold before the first packet, one for what invites packets in.
    fn firewall(&mut self, plan: &Plan) {
        for (class, lets_in) in [(Class::Isolation, false), (Class::Finish, true)] {
            let rules: Vec<(usize, &FirewallRule)> = firewall_rules(plan)
                .filter(|(_, rule)| rule.lets_in() == lets_in)
                .collect();
            if rules.is_empty() {
                continue;
            }
            let adds = rules.iter().map(|(_, rule)| FirewallChange::Add((*rule).clone()));
            let changes = std::iter::once(FirewallChange::EnsureTable).chain(adds).collect();
            let makes = rules.iter().map(|(at, _)| *at).collect();
            self.add(Place::Realm, class, Request::Firewall(changes), makes);
        }
    }

    fn stages(mut self) -> Vec<Stage> {
        self.0.sort_by_key(|(_, class, ..)| *class);
        let (sandbox, realm): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(place, ..)| *place == Place::Sandbox);
        let (finish, realm): (Vec<_>, Vec<_>) = realm.into_iter().partition(|(_, class, ..)| *class == Class::Finish);
        let groups = if sandbox.is_empty() {
            vec![(Place::Realm, [realm, finish].concat())]
        } else {
            vec![(Place::Realm, realm), (Place::Sandbox, sandbox), (Place::Realm, finish)]
        };
        groups
            .into_iter()
            .filter(|(_, steps)| !steps.is_empty())
            .map(|(place, steps)| stage(place, steps))
            .collect()
    }
}

fn stage(place: Place, steps: Vec<(Place, Class, Request, Vec<usize>)>) -> Stage {
    let (requests, realises) = steps.into_iter().map(|(_, _, request, makes)| (request, makes)).unzip();
    Stage {
        batch: Batch { place, requests },
        realises,
    }
}

/// The firewall steps of a plan, with their positions.
pub fn firewall_rules(plan: &Plan) -> impl Iterator<Item = (usize, &FirewallRule)> {
    plan.makes.iter().enumerate().filter_map(|(at, make)| {
        if let Make::Firewall(rule) = make {
            Some((at, rule))
        } else {
            None
        }
    })
}

/// The request of a step that needs one of its own. Links, address generation and the firewall are compiled elsewhere.
fn request(make: &Make) -> Option<(Place, Class, Request)> {
    let compiled = match make {
        Make::Link(_)
        | Make::Lend(_)
        | Make::Firewall(_)
        | Make::Set {
            to: LinkSetting::AddressGeneration(_),
            ..
        } => return None,
        Make::Set { link, to, .. } => {
            let class = if *to == LinkSetting::Up(true) {
                Class::Up
            } else {
                Class::Setting
            };
            (
                link.place,
                class,
                Request::SetLink {
                    index: link.index,
                    setting: to.clone(),
                },
            )
        }
        Make::Address { link, address } => (
            link.place,
            Class::Address,
            Request::AddAddress {
                index: link.index,
                address: *address,
            },
        ),
        Make::Neighbour { link, address, mac } => (
            link.place,
            Class::Neighbour,
            Request::AddNeighbour {
                index: link.index,
                address: *address,
                mac: *mac,
            },
        ),
        Make::ProxyNeighbour { link, address } => (
            link.place,
            Class::Neighbour,
            Request::AddProxyNeighbour {
                index: link.index,
                address: *address,
            },
        ),
        Make::Forwarding { link, entry } => (
            link.place,
            Class::Neighbour,
            Request::AddForwarding {
                index: link.index,
                entry: entry.clone(),
            },
        ),
        Make::Route { place, route } => (*place, route_class(route), Request::AddRoute(route.clone())),
        Make::Rule(rule) => (Place::Realm, Class::Rule, Request::AddRule(rule.clone())),
        // Last, since it is no NETLINK_ROUTE message: elsewhere it would cut a batch in two.
        Make::Resolver { port } => (Place::Sandbox, Class::Finish, Request::AddResolver { port: *port }),
        Make::Sysctl { link, key, value, .. } => {
            let request = Request::WriteSysctl {
                index: link.index,
                key: key.clone(),
                value: value.clone(),
            };
            (link.place, Class::Sysctl, request)
        }
        Make::Bandwidth { link, ingress, egress } => {
            // What the sandbox sends, the host's end receives, and its own end sends.
            let (sent, received) = match link.place {
                Place::Realm => (ingress, egress),
                Place::Sandbox => (egress, ingress),
            };
            let request = Request::SetBandwidth {
                index: link.index,
                ingress: *sent,
                egress: *received,
            };
            (link.place, Class::Bandwidth, request)
        }
    };
    Some(compiled)
}

/// A gateway has to be reachable before a route may name it.
fn route_class(route: &Route) -> Class {
    match (route.gateway, route.destination.prefix()) {
        (None, _) => Class::ConnectedRoute,
        (Some(_), 0) => Class::DefaultRoute,
        (Some(_), _) => Class::OtherRoute,
    }
}

#[cfg(test)]
mod tests;

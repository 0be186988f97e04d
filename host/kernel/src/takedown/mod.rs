//! The inverse of a plan: what to send so that nothing of it is left, and nothing else is touched.
//!
//! The decisions are made here, on evidence that is read through a trait: a link goes only if index, MAC and kind are those of the plan;
//! a setting is restored only where the kernel still has our value; an address only if it carries our protocol. A step that answered with
//! an error never stood. What dies with a link of the same plan is not mentioned.
//!
//! Two styles. *Delete* is for a plan that failed: all of it is gone on return. *Retire* is for a release: a link's deletion takes 16 to
//! 20 ms whatever one does, so it is only moved out of the way (down, without addresses, under a name that nobody wants, in the reaper's
//! group) and deleted later in company.

mod object;

use std::collections::HashSet;

use jackfield_model::{IpNetwork, LinkName, MacAddr};

use crate::{
    Ifindex, LinkAt, LinkInfo, Make, Namespace, Place, Plan, Removal, Request, Result, StaleConnections,
    compile::{End, PlannedLink, link_of, planned_links},
    plan::{BridgePortAttributes, FirewallRule, LentLink, LinkKind, LinkSetting, MacvlanMode, SysctlKey},
};

pub use object::Object;

/// What is known of a make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stands {
    /// It was never sent, or the kernel refused it: what holds its name or address is somebody else's.
    #[default]
    No,
    /// Nobody knows: the host died, or the send as a whole failed.
    Maybe,
    /// The kernel acknowledged it.
    Yes,
}

/// How links go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// At once.
    Delete,
    /// Out of the way now, into this group, and deleted by the reaper.
    Retire {
        /// The group.
        group: u32,
    },
}

/// What the kernel has now, and what other operations have made.
pub trait Evidence {
    /// The realm, to which lent links go back.
    fn realm(&self) -> &Namespace;
    /// A link by its index.
    fn link(&self, at: LinkAt) -> Result<Option<LinkInfo>>;
    /// A sysctl's value; None too when its link is gone.
    fn sysctl(&self, at: LinkAt, key: &SysctlKey) -> Result<Option<String>>;
    /// Whether the link has that address and it carries our protocol.
    fn is_our_address(&self, at: LinkAt, address: IpNetwork) -> Result<bool>;
    /// Whether the link has that neighbour, or proxy neighbour, and it carries our protocol.
    fn is_our_neighbour(&self, at: LinkAt, address: std::net::IpAddr, proxy: bool) -> Result<bool>;
    /// Whether another operation that stands has made the same thing.
    fn is_anothers(&self, object: &Object<'_>) -> bool;
}

/// What is out of the way and has yet to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// In the realm, by its group.
    Group(u32),
    /// In the sandbox, with no end in the realm.
    InSandbox {
        /// Its index.
        index: Ifindex,
        /// Its MAC, where its kind has one of its own.
        mac: Option<MacAddr>,
    },
    /// Connections that lead nowhere any more.
    Connections(StaleConnections),
}

/// What to send.
#[derive(Clone, Debug, Default)]
pub struct Takedown {
    /// To the sandbox, first: with that the traffic ends.
    pub sandbox: Vec<Request>,
    /// To the realm.
    pub realm: Vec<Request>,
    /// Elements of the table that go, in one transaction.
    pub firewall: Vec<FirewallRule>,
    /// What the reaper is left with.
    pub leftovers: Vec<Leftover>,
}

/// The inverse of the makes that stand or may stand, last make first.
///
/// # Errors
/// When evidence could not be read: then nothing is known and nothing should be sent.
pub fn takedown(
    plan: &Plan,
    stands: impl Fn(usize) -> Stands,
    style: Style,
    evidence: &impl Evidence,
) -> Result<Takedown> {
    let links = planned_links(plan);
    let mut down = Down {
        plan,
        style,
        evidence,
        new: links
            .iter()
            .flat_map(PlannedLink::ends)
            .map(|end| end.at)
            .chain(lent(plan))
            .collect(),
        out: Takedown::default(),
    };
    for (at, make) in plan.makes.iter().enumerate().rev() {
        match (stands(at), make) {
            (Stands::No, _) => {}
            (_, Make::Link(_)) => {
                let planned = links.iter().find(|l| l.make == at);
                planned.map_or(Ok(()), |planned| down.link(planned))?;
            }
            (sure, make) => down.other(make, sure)?,
        }
    }
    Ok(down.out)
}

/// The requests that do the removals. With `again`, those are left out whose object another operation has made since.
///
/// # Errors
/// When evidence could not be read.
pub fn removals(plan: &Plan, again: bool, evidence: &impl Evidence) -> Result<Takedown> {
    let mut out = Takedown::default();
    for removal in &plan.removals {
        if again && Object::removed(removal).is_some_and(|object| evidence.is_anothers(&object)) {
            continue;
        }
        remove(removal, evidence, &mut out)?;
    }
    Ok(out)
}

/// A name under which a link waits for its deletion: `jfx` and its index to base 36, which no driver gives.
pub fn waiting_name(index: Ifindex) -> Option<LinkName> {
    format!("jfx{}", base36(index)).parse().ok()
}

/// Whether a link's name was made of its index, which is given once: then it is in nobody's way, and a rename, which costs 100 µs, is spared.
fn is_nobody_elses(name: &LinkName, index: Ifindex) -> bool {
    let digits = name.as_str().strip_prefix("jf").and_then(|rest| rest.get(1..));
    digits.is_some_and(|digits| digits == base36(index))
}

fn base36(index: Ifindex) -> String {
    let digit = |number: u32| char::from_digit(number % 36, 36);
    let numbers = std::iter::successors(Some(index.get()), |n| Some(n / 36)).take_while(|n| *n > 0);
    let digits: Vec<_> = numbers.filter_map(digit).collect();
    digits.into_iter().rev().collect()
}

/// Whether a link is that end of that planned one.
pub fn is_ours(info: &LinkInfo, planned: &PlannedLink, end: &End) -> bool {
    info.kind == planned.link.kind.name() && own_mac(planned, end).is_none_or(|mac| info.mac == Some(mac))
}

/// An ipvlan has its parent's MAC whatever it is given, so that its index and kind alone tell it.
fn own_mac(planned: &PlannedLink, end: &End) -> Option<MacAddr> {
    (!matches!(planned.link.kind, LinkKind::Ipvlan { .. })).then_some(end.mac)
}

/// A lent link loses all that it got in the sandbox when it goes back.
fn lent(plan: &Plan) -> impl Iterator<Item = LinkAt> {
    plan.makes.iter().filter_map(|make| match make {
        Make::Lend(lent) => Some(lent.at),
        _ => None,
    })
}

struct Down<'a, E> {
    plan: &'a Plan,
    style: Style,
    evidence: &'a E,
    new: HashSet<LinkAt>,
    out: Takedown,
}

impl<E: Evidence> Down<'_, E> {
    fn push(&mut self, place: Place, request: Request) {
        match place {
            Place::Realm => self.out.realm.push(request),
            Place::Sandbox => self.out.sandbox.push(request),
        }
    }

    fn link(&mut self, planned: &PlannedLink) -> Result<()> {
        let mut ends = vec![];
        for end in planned.ends() {
            if self
                .evidence
                .link(end.at)?
                .is_some_and(|info| is_ours(&info, planned, &end))
            {
                ends.push(end);
            }
        }
        match self.style {
            Style::Retire { group } if !takes_more_than_a_name(&planned.link.kind) => {
                self.retire(planned, &ends, group)
            }
            // A pair dies with either of its ends.
            _ => {
                if let Some(End { at, .. }) = ends.first() {
                    self.push(at.place, Request::DeleteLink { index: at.index });
                }
            }
        }
        Ok(())
    }

    fn retire(&mut self, planned: &PlannedLink, ends: &[End], group: u32) {
        for end in ends {
            let index = end.at.index;
            self.forget_addresses(end.at);
            let away = match end.at.place {
                Place::Realm => Request::Retire { index, group },
                Place::Sandbox => Request::SetLink {
                    index,
                    setting: LinkSetting::Up(false),
                },
            };
            self.push(end.at.place, away);
            if let Some(name) = waiting_name(index).filter(|_| !is_nobody_elses(planned.name_of(end), index)) {
                self.push(end.at.place, Request::RenameLink { index, name });
            }
        }
        match ends.first() {
            Some(End { at, .. }) if at.place == Place::Realm => self.out.leftovers.push(Leftover::Group(group)),
            Some(end) => {
                let mac = own_mac(planned, end);
                self.out.leftovers.push(Leftover::InSandbox {
                    index: end.at.index,
                    mac,
                });
            }
            None => {}
        }
    }

    /// A link that is down keeps its addresses as local ones, and whoever gets them next would be talked to in vain.
    fn forget_addresses(&mut self, at: LinkAt) {
        let plan = self.plan;
        for make in &plan.makes {
            if let Make::Address { link, address } = make
                && *link == at
            {
                self.push(
                    at.place,
                    Request::DeleteAddress {
                        index: at.index,
                        address: *address,
                    },
                );
            }
        }
    }

    fn other(&mut self, make: &Make, sure: Stands) -> Result<()> {
        if self.dies_with_a_link(make) {
            return Ok(());
        }
        if sure == Stands::Maybe && Object::made(make).is_some_and(|object| self.evidence.is_anothers(&object)) {
            return Ok(());
        }
        match make {
            Make::Firewall(rule) => self.out.firewall.push(rule.clone()),
            make => {
                if let Some((place, request)) = self.inverse(make, sure)? {
                    self.push(place, request);
                }
            }
        }
        Ok(())
    }

    fn dies_with_a_link(&self, make: &Make) -> bool {
        let at = match make {
            Make::Route { place, route } => route.link.map(|index| LinkAt { place: *place, index }),
            other => link_of(other),
        };
        at.is_some_and(|at| self.new.contains(&at))
    }

    fn inverse(&self, make: &Make, sure: Stands) -> Result<Option<(Place, Request)>> {
        let ours = |proof: Result<bool>| if sure == Stands::Yes { Ok(true) } else { proof };
        Ok(match make {
            Make::Link(_) | Make::Firewall(_) => None,
            Make::Lend(lent) => self.brought_back(lent)?,
            Make::Set { link, to, was } => self.restored(*link, to, was.as_ref())?,
            Make::Sysctl { link, key, value, was } => self.restored_sysctl(*link, key, value, was.as_deref())?,
            Make::Address { link, address } => self.is_ours_to_delete(*link, *address, sure)?.then(|| {
                (
                    link.place,
                    Request::DeleteAddress {
                        index: link.index,
                        address: *address,
                    },
                )
            }),
            Make::Neighbour { link, address, .. } => ours(self.evidence.is_our_neighbour(*link, *address, false))?
                .then(|| {
                    (
                        link.place,
                        Request::DeleteNeighbour {
                            index: link.index,
                            address: *address,
                        },
                    )
                }),
            Make::ProxyNeighbour { link, address } => ours(self.evidence.is_our_neighbour(*link, *address, true))?
                .then(|| {
                    (
                        link.place,
                        Request::DeleteProxyNeighbour {
                            index: link.index,
                            address: *address,
                        },
                    )
                }),
            Make::Forwarding { link, entry } => Some((
                link.place,
                Request::DeleteForwarding {
                    index: link.index,
                    entry: entry.clone(),
                },
            )),
            Make::Route { place, route } => Some((*place, Request::DeleteRoute(route.clone()))),
            Make::Rule(rule) => Some((Place::Realm, Request::DeleteRule(rule.clone()))),
            Make::Resolver { .. } => Some((Place::Sandbox, Request::DeleteResolver)),
            Make::Bandwidth { link, .. } => Some((
                link.place,
                Request::SetBandwidth {
                    index: link.index,
                    ingress: None,
                    egress: None,
                },
            )),
        })
    }

    /// One that is not there went with its sandbox, or its owner took it. Whoever rules the sandbox may have put another link in its place: that
    /// stays where it is.
    fn brought_back(&self, lent: &LentLink) -> Result<Option<(Place, Request)>> {
        let is_it =
            |info: LinkInfo| info.kind == lent.kind && [Some(lent.mac), self.mac_given(lent.at)].contains(&info.mac);
        Ok(self.evidence.link(lent.at)?.is_some_and(is_it).then(|| {
            let back = Request::MoveLink {
                index: lent.at.index,
                to: self.evidence.realm().clone(),
                name: lent.was.clone(),
                new_index: lent.from,
            };
            (lent.at.place, back)
        }))
    }

    /// The MAC that the plan gave a link that it did not make.
    fn mac_given(&self, at: LinkAt) -> Option<MacAddr> {
        self.plan.makes.iter().find_map(|make| match make {
            Make::Set {
                link,
                to: LinkSetting::Mac(mac),
                ..
            } if *link == at => Some(*mac),
            _ => None,
        })
    }

    /// An address that was acknowledged a moment ago is ours; one of an older operation somebody may have replaced by his own since.
    fn is_ours_to_delete(&self, at: LinkAt, address: IpNetwork, sure: Stands) -> Result<bool> {
        if sure == Stands::Yes && self.style == Style::Delete {
            Ok(true)
        } else {
            self.evidence.is_our_address(at, address)
        }
    }

    fn restored(&self, at: LinkAt, to: &LinkSetting, was: Option<&LinkSetting>) -> Result<Option<(Place, Request)>> {
        let Some(was) = was.filter(|was| *was != to) else {
            return Ok(None);
        };
        let still = self.evidence.link(at)?.is_some_and(|info| has(&info, to));
        Ok(still.then(|| {
            (
                at.place,
                Request::SetLink {
                    index: at.index,
                    setting: was.clone(),
                },
            )
        }))
    }

    fn restored_sysctl(
        &self,
        at: LinkAt,
        key: &SysctlKey,
        value: &str,
        was: Option<&str>,
    ) -> Result<Option<(Place, Request)>> {
        let Some(was) = was.filter(|was| *was != value) else {
            return Ok(None);
        };
        let still = self
            .evidence
            .sysctl(at, key)?
            .is_some_and(|now| now.trim() == value.trim());
        let request = Request::WriteSysctl {
            index: at.index,
            key: key.clone(),
            value: was.to_owned(),
        };
        Ok(still.then_some((at.place, request)))
    }
}

/// Kinds of which a second one is refused for more than its name while the first is there: they cannot wait for the reaper.
fn takes_more_than_a_name(kind: &LinkKind) -> bool {
    matches!(
        kind,
        LinkKind::Vlan { .. }
            | LinkKind::Vxlan(_)
            | LinkKind::Macvlan {
                mode: MacvlanMode::Passthru,
                ..
            }
    )
}

/// Whether a link has a setting.
fn has(info: &LinkInfo, setting: &LinkSetting) -> bool {
    match setting {
        LinkSetting::Up(up) => info.up == *up,
        LinkSetting::Mtu(mtu) => info.mtu == *mtu,
        LinkSetting::Mac(mac) => info.mac == Some(*mac),
        LinkSetting::Controller(controller) => info.controller == *controller,
        LinkSetting::BridgePort(wanted) => info.bridge_port.is_some_and(|port| has_attributes(&port, wanted)),
        LinkSetting::AddressGeneration(on) => info.address_generation == *on,
    }
}

/// What `wanted` leaves open is as it may be.
fn has_attributes(port: &BridgePortAttributes, wanted: &BridgePortAttributes) -> bool {
    let agree = |now: Option<bool>, wanted: Option<bool>| wanted.is_none() || now == wanted;
    agree(port.isolated, wanted.isolated)
        && agree(port.hairpin, wanted.hairpin)
        && agree(port.learning, wanted.learning)
        && agree(port.neigh_suppress, wanted.neigh_suppress)
        && agree(port.flood, wanted.flood)
        && agree(port.mcast_flood, wanted.mcast_flood)
}

fn remove(removal: &Removal, evidence: &impl Evidence, out: &mut Takedown) -> Result<()> {
    let (place, request) = match removal {
        Removal::Firewall(rule) => {
            out.firewall.push(rule.clone());
            return Ok(());
        }
        Removal::Link { link, mac } => {
            if evidence.link(*link)?.is_none_or(|info| info.mac != Some(*mac)) {
                return Ok(());
            }
            (link.place, Request::DeleteLink { index: link.index })
        }
        Removal::Address { link, address } => (
            link.place,
            Request::DeleteAddress {
                index: link.index,
                address: *address,
            },
        ),
        Removal::Neighbour { link, address } => (
            link.place,
            Request::DeleteNeighbour {
                index: link.index,
                address: *address,
            },
        ),
        Removal::ProxyNeighbour { link, address } => (
            link.place,
            Request::DeleteProxyNeighbour {
                index: link.index,
                address: *address,
            },
        ),
        Removal::Forwarding { link, entry } => (
            link.place,
            Request::DeleteForwarding {
                index: link.index,
                entry: entry.clone(),
            },
        ),
        Removal::Route { place, route } => (*place, Request::DeleteRoute(route.clone())),
        Removal::Rule(rule) => (Place::Realm, Request::DeleteRule(rule.clone())),
        Removal::Conntrack { address } => (Place::Realm, Request::FlushConntrack { address: *address }),
    };
    match place {
        Place::Realm => out.realm.push(request),
        Place::Sandbox => out.sandbox.push(request),
    }
    Ok(())
}

#[cfg(test)]
mod tests;

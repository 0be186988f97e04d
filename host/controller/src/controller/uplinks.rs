//! Forwarding of the host's own links, by the operator's leave.
//!
//! What comes in by a link is routed on only where that link forwards: the answers to sandboxes as well as what is sent to published
//! ports. It is switched on for single links, and off again with the last network that needs it; each link and family is an operation of
//! its own, which restores the values that there were, where they are still ours.
//!
//! ```text
//!   a network comes or goes, a default route moves, the host starts
//!        --> wanted: links that the operator allows x families of the networks that are routed
//!              missing --> applied                 too many --> released
//! ```
//! For IPv4 it is `forwarding`, for IPv6 `force_forwarding`, which is there from Linux 6.17 on. That leaves the link a host's in all else:
//! it goes on learning its default route from router advertisements. On an older kernel forwarding IPv6 can only be switched on for the whole
//! host, which is the operator's to do; so that this does not cost the host its own default route, `accept_ra` becomes 2 here in
//! any case, which means: also where the host forwards (Documentation/networking/ip-sysctl.rst).

use std::{
    collections::{BTreeSet, btree_map::Entry},
    sync::PoisonError,
};

use jackfield_kernel::{
    Ifindex, LinkAt, LinkQuery, Make, Place as Where, Plan,
    plan::{SysctlKey, SysctlTable},
};
use jackfield_model::{Family, OperationId, Result};

use super::{Inner, place::Place, switched::Uplink};
use crate::{
    request::Forwarding,
    state::{Network, NetworkPhase, RealmState},
};

const FORWARDING_IPV4: &str = "forwarding";
const FORWARDING_IPV6: &str = "force_forwarding";
const ACCEPT_RA: &str = "accept_ra";

impl Inner {
    /// In every realm.
    pub(super) fn settle_all_uplinks(&self) {
        self.places().iter().for_each(|place| self.settle_uplinks(place));
    }

    /// Switches forwarding on where it is wanted and missing, and off where it is ours and not wanted.
    pub(super) fn settle_uplinks(&self, place: &Place) {
        // One thread at a time: what is held is a list of a few links, and no driver is called.
        let mut uplinks = place.uplinks.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.wanted_uplinks(place).unwrap_or_else(|error| {
            tracing::warn!(%error, "the links that have to forward are not known");
            uplinks.keys().copied().collect()
        });
        let surplus: Vec<Uplink> = uplinks
            .keys()
            .filter(|uplink| !wanted.contains(uplink))
            .copied()
            .collect();
        for uplink in surplus {
            if let Some(operation) = uplinks.remove(&uplink)
                && let Err(error) = self.release(place, Some(&operation), Vec::new())
            {
                tracing::warn!(link = %uplink.0, %error, "forwarding stays switched on");
                uplinks.insert(uplink, operation);
            }
        }
        for uplink in wanted {
            if !uplinks.contains_key(&uplink) {
                match switch_on(place, uplink) {
                    Ok(operation) => uplinks.extend(operation.map(|operation| (uplink, operation))),
                    Err(error) => tracing::warn!(link = %uplink.0, %error, "forwarding cannot be switched on"),
                }
            }
        }
    }

    fn wanted_uplinks(&self, place: &Place) -> Result<BTreeSet<Uplink>> {
        let families = place.look(routed_families);
        if families.is_empty() || self.config.forwarding == Forwarding::Off {
            return Ok(BTreeSet::new());
        }
        let links = self.allowed_links(place)?;
        Ok(links
            .into_iter()
            .flat_map(|link| families.iter().map(move |f| (link, *f)))
            .collect())
    }

    fn allowed_links(&self, place: &Place) -> Result<BTreeSet<Ifindex>> {
        let (kernel, realm) = (&self.kernel, place.realm.namespace());
        match &self.config.forwarding {
            Forwarding::Off => Ok(BTreeSet::new()),
            Forwarding::Uplinks => Ok(kernel.default_route_links(realm)?),
            Forwarding::Links(names) => {
                let found = names.iter().map(|name| kernel.link(realm, LinkQuery::Name(name)));
                let found = found.collect::<jackfield_kernel::Result<Vec<_>>>()?;
                Ok(found.into_iter().flatten().map(|link| link.index).collect())
            }
        }
    }
}

impl Place {
    /// Takes up what an earlier host left switched on; false where the operation is something else.
    pub(super) fn adopt_uplink(&self, operation: &OperationId, plan: &Plan) -> bool {
        let mut uplinks = self.uplinks.lock().unwrap_or_else(PoisonError::into_inner);
        match uplink_of(plan).map(|uplink| uplinks.entry(uplink)) {
            Some(Entry::Vacant(free)) => {
                free.insert(operation.clone());
                true
            }
            _ => false,
        }
    }
}

/// The families of networks whose packets the host itself routes: not of those that are cut off, nor of those that are laid on a link of
/// the host, whose packets leave by that without being routed.
fn routed_families(state: &RealmState) -> BTreeSet<Family> {
    let routed = |network: &&Network| {
        let on_a_parent = network.record.standing.as_ref().is_some_and(|s| !s.parents.is_empty());
        network.phase == NetworkPhase::Ready && !network.record.spec.internal && !on_a_parent
    };
    let pools = state.networks.values().filter(routed).flat_map(|n| &n.record.pools);
    pools.map(|pool| Family::of(pool.subnet.ip())).collect()
}

/// None where this kernel cannot do it for one link.
fn switch_on(place: &Place, (index, family): Uplink) -> Result<Option<OperationId>> {
    let value = |key: &str| {
        place
            .realm
            .kernel()
            .sysctl(place.realm.namespace(), index, &sysctl(family, key))
    };
    let step = |key: &str, value: &str, was: String| Make::Sysctl {
        link: LinkAt {
            place: Where::Realm,
            index,
        },
        key: sysctl(family, key),
        value: value.to_owned(),
        was: Some(was),
    };
    let mut makes = Vec::new();
    if family == Family::Ipv6
        && let Some(was) = value(ACCEPT_RA)?.filter(|was| was == "1")
    {
        makes.push(step(ACCEPT_RA, "2", was));
    }
    let switch = switch_of(family);
    match value(switch)? {
        Some(was) => makes.push(step(switch, "1", was)),
        None => {
            tracing::info!(link = %index, "this kernel forwards IPv6 for the whole host only: net.ipv6.conf.all.forwarding=1")
        }
    }
    if makes.is_empty() {
        return Ok(None);
    }
    let operation = OperationId::random();
    let plan = Plan {
        makes,
        removals: Vec::new(),
    };
    place.realm.apply(&operation, &plan, None)?.commit(Vec::new())?;
    Ok(Some(operation))
}

fn switch_of(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => FORWARDING_IPV4,
        Family::Ipv6 => FORWARDING_IPV6,
    }
}

fn sysctl(family: Family, key: &str) -> SysctlKey {
    SysctlKey {
        family,
        table: SysctlTable::Conf,
        key: key.to_owned(),
    }
}

/// What an operation that an earlier host left switched on, known by its plan: no other does just that.
fn uplink_of(plan: &Plan) -> Option<Uplink> {
    let Some(Make::Sysctl { link, key, .. }) = plan.makes.last() else {
        return None;
    };
    let (index, family) = (link.index, key.family);
    let ours = |make: &Make| match make {
        Make::Sysctl { link, key, was, .. } => {
            let known = key.key == switch_of(family) || (family == Family::Ipv6 && key.key == ACCEPT_RA);
            known && was.is_some() && link.place == Where::Realm && (link.index, key.family) == (index, family)
        }
        _ => false,
    };
    (plan.removals.is_empty() && plan.makes.iter().all(ours)).then_some((index, family))
}

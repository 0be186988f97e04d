//! How a join begins: with the steps that create-endpoint recorded, on fresh indexes.
//!
//! A link that left the sandbox is deleted some time after the leave, and keeps its index until then. The next join of the same endpoint
//! must not meet it, so every join renumbers what was deferred.

use std::collections::BTreeMap;

use jackfield_kernel::{Ifindex, LinkAt, Plan, Realm};
use jackfield_model::LinkName;

use super::{names, relink::relink};
use crate::OwnLink;

/// The plan to begin with, and the links as it makes them.
pub(crate) fn begin(realm: &Realm, deferred: Option<&Plan>, mut links: Vec<OwnLink>) -> (Plan, Vec<OwnLink>) {
    let Some(deferred) = deferred else {
        return (Plan::default(), links);
    };
    let mut plan = deferred.clone();
    let indexes: BTreeMap<Ifindex, Ifindex> = plan.new_links().map(|at| (at.index, realm.reserve_index())).collect();
    let new_names: BTreeMap<LinkName, LinkName> = links
        .iter()
        .filter(|link| link.planned)
        .filter_map(|link| {
            let new = indexes.get(&link.at.index)?;
            Some((link.name.clone(), names::renewed(&link.name, link.at.index, *new)?))
        })
        .collect();
    let renumber = |at: LinkAt| LinkAt {
        index: indexes.get(&at.index).copied().unwrap_or(at.index),
        ..at
    };
    relink(&mut plan, &renumber, &|name| new_names.get(name).cloned());
    for link in links.iter_mut().filter(|link| link.planned) {
        link.at = renumber(link.at);
        link.name = new_names.get(&link.name).cloned().unwrap_or_else(|| link.name.clone());
    }
    (plan, links)
}

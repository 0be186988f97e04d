//! A network's stored plan, made fit for today: the indexes that it chose may be taken since, and its parents have others after a reboot.

use std::{collections::BTreeMap, sync::Arc};

use jackfield_driver::{OwnLink, relink};
use jackfield_kernel::{Ifindex, LinkAt, LinkQuery, Plan, Realm};
use jackfield_model::{Error, ErrorCode, LinkName, OperationId, Result};

use crate::state::{EndpointRecord, Standing};

/// From the index that a link had to the one that it has now.
pub type Renumbered = BTreeMap<Ifindex, Ifindex>;

/// The plan to apply instead of the stored one.
///
/// # Errors
/// unavailable, when a link that it is laid on is missing.
pub fn renew(realm: &Realm, stored: &Standing) -> Result<(Standing, Renumbered)> {
    let mut indexes = Renumbered::new();
    let mut parents = Vec::new();
    for (old, name) in &stored.parents {
        let new = find(realm, name)?;
        indexes.insert(*old, new);
        parents.push((new, name.clone()));
    }
    indexes.extend(stored.plan.new_links().map(|at| (at.index, realm.reserve_index())));
    let standing = Standing {
        operation: OperationId::random(),
        plan: Arc::new(renumber_plan(&stored.plan, &indexes)),
        links: renumber_links(&stored.links, &indexes),
        parents,
        host_bindings: stored.host_bindings.clone(),
    };
    Ok((standing, indexes))
}

/// What an endpoint's create-endpoint recorded about links of its network, after those got other indexes.
pub fn follow(record: &EndpointRecord, indexes: &Renumbered) -> EndpointRecord {
    EndpointRecord {
        deferred: Arc::new(renumber_plan(&record.deferred, indexes)),
        ..record.clone()
    }
}

fn find(realm: &Realm, name: &LinkName) -> Result<Ifindex> {
    let found = realm.kernel().link(realm.namespace(), LinkQuery::Name(name))?;
    let missing = || {
        Error::new(
            ErrorCode::Unavailable,
            format!("link {name}, which it is laid on, is missing"),
        )
        .retryable()
    };
    found.map(|link| link.index).ok_or_else(missing)
}

fn renumbered(at: LinkAt, indexes: &Renumbered) -> LinkAt {
    LinkAt {
        index: indexes.get(&at.index).copied().unwrap_or(at.index),
        ..at
    }
}

fn renumber_plan(plan: &Plan, indexes: &Renumbered) -> Plan {
    let mut plan = plan.clone();
    relink(&mut plan, &|at| renumbered(at, indexes), &|_| None);
    plan
}

fn renumber_links(links: &[OwnLink], indexes: &Renumbered) -> Vec<OwnLink> {
    links
        .iter()
        .map(|link| OwnLink {
            at: renumbered(link.at, indexes),
            ..link.clone()
        })
        .collect()
}

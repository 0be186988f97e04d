//! From the word that somebody used to the object that is meant: full id, then name, then an unambiguous beginning of an id.

use std::collections::BTreeMap;

use jackfield_model::{EndpointId, IdPrefix, Name, NetworkId, SandboxId};

use super::{Denied, Kind, RealmState};

/// Matches listed in an error.
const LISTED: usize = 16;

/// The one that is meant, or why it cannot be told.
fn one<Id: Clone + ToString>(kind: Kind, reference: &str, mut found: Vec<&Id>) -> Result<Id, Denied> {
    match found.len() {
        0 => Err(Denied::Unknown {
            kind,
            reference: reference.to_owned(),
        }),
        1 => Ok(found.remove(0).clone()),
        _ => {
            let matches = found.into_iter().take(LISTED).map(ToString::to_string).collect();
            Err(Denied::Ambiguous {
                kind,
                reference: reference.to_owned(),
                matches,
            })
        }
    }
}

fn by_prefix<'a, Id: ToString, T>(objects: &'a BTreeMap<Id, T>, reference: &str, text: fn(&Id) -> &str) -> Vec<&'a Id> {
    let Some(prefix) = IdPrefix::parse(reference) else {
        return Vec::new();
    };
    objects.keys().filter(|id| prefix.matches(text(id))).collect()
}

impl RealmState {
    /// The network that is meant.
    pub fn find_network(&self, reference: &str) -> Result<NetworkId, Denied> {
        let full = reference.parse().ok().filter(|id| self.networks.contains_key(id));
        let named = || {
            reference
                .parse::<Name>()
                .ok()
                .and_then(|n| self.network_names.get(&n).cloned())
        };
        full.or_else(named).map_or_else(
            || {
                one(
                    Kind::Network,
                    reference,
                    by_prefix(&self.networks, reference, NetworkId::as_str),
                )
            },
            Ok,
        )
    }

    /// The sandbox that is meant.
    pub fn find_sandbox(&self, reference: &str) -> Result<SandboxId, Denied> {
        let full = reference.parse().ok().filter(|id| self.sandboxes.contains_key(id));
        let named = || {
            reference
                .parse::<Name>()
                .ok()
                .and_then(|n| self.sandbox_names.get(&n).cloned())
        };
        full.or_else(named).map_or_else(
            || {
                one(
                    Kind::Sandbox,
                    reference,
                    by_prefix(&self.sandboxes, reference, SandboxId::as_str),
                )
            },
            Ok,
        )
    }

    /// The endpoint that is meant. Endpoints' names are unique in their network only, so that a name too may be ambiguous.
    pub fn find_endpoint(&self, reference: &str) -> Result<EndpointId, Denied> {
        if let Some(id) = reference.parse().ok().filter(|id| self.endpoints.contains_key(id)) {
            return Ok(id);
        }
        let has_name = |name: Option<&Name>| name.is_some_and(|n| n.as_str() == reference);
        let named: Vec<_> = self
            .endpoints
            .iter()
            .filter(|(_, e)| has_name(e.record.asked.name.as_ref()))
            .map(|(id, _)| id)
            .collect();
        let found = if named.is_empty() {
            by_prefix(&self.endpoints, reference, EndpointId::as_str)
        } else {
            named
        };
        one(Kind::Endpoint, reference, found)
    }
}

/// Whether the word is a whole id. Programs delete by id, and for them gone is as good as deleted; a person's word that fits nothing is a slip.
pub fn is_full_id(reference: &str) -> bool {
    reference.parse::<NetworkId>().is_ok()
}

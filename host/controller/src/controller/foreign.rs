//! Foreign sandboxes that went without a word: their runtime was away, or the host was.
//!
//! The runtime moved the interface, so that the host cannot look for it where it is. What it can see, and what it concludes:
//!
//! ```text
//!   a pair's end in the realm is gone      the pair died with the sandbox's namespace: the endpoint is deleted
//!   the runtime's key of the sandbox, a path:
//!       something is there                 the sandbox lives, and the path is one that the host can see
//!       nothing is, and something was      the sandbox is gone: the endpoint is deleted, also where the runtime moved the interface back
//!       nothing is, and nothing ever was,
//!         or not even the folder is        the runtime's files cannot be seen from here: nothing is concluded
//! ```
//! An endpoint that no sandbox has yet is left alone: its join may be on the way.

use std::{io, path::Path, sync::Arc};

use jackfield_driver::OwnLink;
use jackfield_kernel::{LinkQuery, Place as Where};
use jackfield_model::{EndpointId, Result, SandboxId};

use super::{Inner, place::Place};
use crate::{
    state::{EndpointPhase, Ground, RealmState, SandboxRecord, Stay},
    store::notes,
};

/// An endpoint in a foreign sandbox.
struct Abroad {
    endpoint: EndpointId,
    stay: Stay,
}

/// What the key of a foreign sandbox says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Alive,
    Gone,
    Silent,
}

impl Inner {
    /// Deletes the endpoints of foreign sandboxes that are gone, and the sandboxes; answers which endpoints.
    pub(super) fn collect_foreign(self: &Arc<Self>, place: &Place) -> Vec<EndpointId> {
        let keys: Vec<(SandboxId, Key)> = place.look(foreign).iter().map(|r| self.read_key(place, r)).collect();
        let is_gone = |sandbox: &SandboxId| keys.iter().any(|(id, key)| id == sandbox && *key == Key::Gone);
        let mut collected = Vec::new();
        for abroad in place.look(all_abroad) {
            match self.is_lost(place, &abroad.stay, is_gone(&abroad.stay.sandbox)) {
                Ok(true) => collected.extend(self.collect(place, &abroad)),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(endpoint = %abroad.endpoint, %error, "cannot tell whether an endpoint's sandbox is gone");
                }
            }
        }
        for (sandbox, _) in keys.iter().filter(|(_, key)| *key == Key::Gone) {
            self.delete_empty_sandbox(place, sandbox).map(drop).unwrap_or_else(
                |error| tracing::warn!(%sandbox, %error, "a sandbox that is gone cannot be collected yet"),
            );
        }
        collected
    }

    /// What is seen for the first time is written down: that it is gone later means something only then, and the host may start again before.
    fn read_key(&self, place: &Place, record: &SandboxRecord) -> (SandboxId, Key) {
        let key = read_key(record);
        let new = (key == Key::Alive)
            .then(|| place.change(|s| s.see_foreign(&record.id)))
            .flatten();
        let noted = new.map_or(Ok(()), |seen| {
            self.append_notes(vec![notes::sandbox(place.id(), &seen)])
        });
        if let Err(error) = noted {
            tracing::warn!(sandbox = %record.id, %error, "that a sandbox was seen is not written down");
        }
        (record.id.clone(), key)
    }

    fn is_lost(&self, place: &Place, stay: &Stay, key_is_gone: bool) -> Result<bool> {
        let Some(end) = host_end(stay).filter(|_| !key_is_gone) else {
            return Ok(key_is_gone);
        };
        let query = LinkQuery::Index(end.at.index);
        Ok(self.kernel.link(place.realm.namespace(), query)?.is_none())
    }

    fn collect(self: &Arc<Self>, place: &Place, abroad: &Abroad) -> Option<EndpointId> {
        let id = abroad.endpoint.as_str();
        let deleted = self
            .leave(place, id)
            .and_then(|_| self.delete_endpoint(place, id))
            .and_then(|_| self.delete_empty_sandbox(place, &abroad.stay.sandbox));
        match deleted {
            Ok(_) => {
                tracing::info!(endpoint = %abroad.endpoint, "its sandbox went without a word; it is deleted");
                Some(abroad.endpoint.clone())
            }
            Err(error) => {
                tracing::warn!(endpoint = %abroad.endpoint, %error, "an endpoint whose sandbox is gone cannot be collected yet");
                None
            }
        }
    }
}

/// The end that stays in the realm, where the interface is one of a pair: a macvlan moves whole.
fn host_end(stay: &Stay) -> Option<&OwnLink> {
    let interface = stay.interface.as_ref()?;
    let mut others = stay.links.iter().filter(|link| link.at.index != interface.at.index);
    others.find(|link| link.at.place == Where::Realm)
}

fn foreign(state: &RealmState) -> Vec<SandboxRecord> {
    let all = state.sandboxes.keys().filter(|id| state.is_foreign(id));
    all.filter_map(|id| Some(state.sandboxes.get(id)?.record.clone()))
        .collect()
}

fn all_abroad(state: &RealmState) -> Vec<Abroad> {
    let joined = state.endpoints.values().filter(|e| e.phase == EndpointPhase::Joined);
    let abroad = joined.filter_map(|e| {
        let stay = e.record.stay.clone().filter(|stay| state.is_foreign(&stay.sandbox))?;
        Some(Abroad {
            endpoint: e.record.spec.id.clone(),
            stay,
        })
    });
    abroad.collect()
}

fn read_key(record: &SandboxRecord) -> Key {
    match &record.ground {
        Ground::Foreign { path, seen } => decide(&look_at(path), *seen && path.parent().is_some_and(Path::exists)),
        _ => Key::Silent,
    }
}

fn look_at(path: &Path) -> io::Result<()> {
    std::fs::symlink_metadata(path).map(drop)
}

/// `known`: that folder is one that the host sees into, and something was there before.
fn decide(found: &io::Result<()>, known: bool) -> Key {
    match found {
        Ok(()) => Key::Alive,
        Err(error) if error.kind() == io::ErrorKind::NotFound && known => Key::Gone,
        Err(_) => Key::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_was_there_can_be_gone() {
        let error = |kind| Err(io::Error::from(kind));
        for (found, seen, key) in [
            (Ok(()), false, Key::Alive),
            (Ok(()), true, Key::Alive),
            (error(io::ErrorKind::NotFound), true, Key::Gone),
            (error(io::ErrorKind::NotFound), false, Key::Silent),
            (error(io::ErrorKind::PermissionDenied), true, Key::Silent),
        ] {
            assert_eq!(decide(&found, seen), key, "{found:?}, seen before: {seen}");
        }
    }
}

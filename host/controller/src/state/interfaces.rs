//! Names of interfaces in a sandbox: the driver's prefix and the first free number, or the name that was asked for.

use std::collections::BTreeMap;

use jackfield_model::{EndpointId, LinkName, SandboxId};

use super::{Denied, Kind, RealmState};

/// Numbers tried; a sandbox with more interfaces of one prefix does not exist.
const NUMBERS: u32 = 10_000;
/// Longest prefix: it must leave room for the number.
const LONGEST: usize = LinkName::MAX - 5;

/// The first name that nobody has; `foreign` says whose names are taken by links that are not ours.
fn first_free(prefix: &str, ours: &BTreeMap<LinkName, EndpointId>, foreign: &[LinkName]) -> Result<LinkName, Denied> {
    let bad = || Denied::BadPrefix {
        prefix: prefix.chars().take(32).collect(),
    };
    if prefix.is_empty() || prefix.len() > LONGEST {
        return Err(bad());
    }
    let names = (0..NUMBERS).map(|number| format!("{prefix}{number}").parse::<LinkName>());
    for name in names {
        let name = name.map_err(|_| bad())?;
        if !ours.contains_key(&name) && !foreign.contains(&name) {
            return Ok(name);
        }
    }
    Err(bad())
}

impl RealmState {
    /// Takes a name in the sandbox for the endpoint. `foreign` lists the names that were found taken by somebody else's links; the controller
    /// asks the kernel for the name that it gets, and comes again with that name in the list where there is a link already.
    pub fn reserve_interface(
        &mut self,
        sandbox: &SandboxId,
        endpoint: &EndpointId,
        prefix: &str,
        asked: Option<&LinkName>,
        foreign: &[LinkName],
    ) -> Result<LinkName, Denied> {
        let unknown = || Denied::Unknown {
            kind: Kind::Sandbox,
            reference: sandbox.to_string(),
        };
        let place = self.sandboxes.get_mut(sandbox).ok_or_else(unknown)?;
        place.interfaces.retain(|_, owner| owner != endpoint);
        let name = match asked {
            None => first_free(prefix, &place.interfaces, foreign)?,
            Some(name) if place.interfaces.contains_key(name) || foreign.contains(name) => {
                return Err(Denied::InterfaceTaken {
                    sandbox: place.name(),
                    interface: name.clone(),
                });
            }
            Some(name) => name.clone(),
        };
        place.interfaces.insert(name.clone(), endpoint.clone());
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_number_is_taken_and_a_bad_prefix_is_refused() {
        let name = |n: &str| n.parse::<LinkName>().unwrap();
        let ours = BTreeMap::from([
            (name("eth0"), EndpointId::random()),
            (name("eth2"), EndpointId::random()),
        ]);
        assert_eq!(first_free("eth", &ours, &[]).unwrap(), name("eth1"));
        assert_eq!(first_free("eth", &ours, &[name("eth1")]).unwrap(), name("eth3"));
        assert_eq!(first_free("abcdefghij", &ours, &[]).unwrap(), name("abcdefghij0"));
        for bad in ["", "abcdefghijk", "a/b", "a b", "%d"] {
            assert!(
                matches!(first_free(bad, &ours, &[]), Err(Denied::BadPrefix { .. })),
                "{bad}"
            );
        }
    }
}

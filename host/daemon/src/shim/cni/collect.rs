//! GC: what of a network the runtime does not know any more.

use std::collections::HashSet;

use jackfield_controller::{Controller, request::EndpointInfo};
use jackfield_shims::cni::{Failure, config::Outline};

use crate::shim::{
    attach::detach,
    caller::Caller,
    labels::{CONTAINER, INTERFACE, Key, NETWORK},
    network::{find, on_first_use},
};

/// Detaches every attachment of the network that is not valid, past whatever fails, and deletes a network that was made on first use and that
/// nobody is in any more. The first failure is told at the end.
pub fn collect(controller: &Controller, caller: &Caller, outline: &Outline) -> Result<(), Failure> {
    let Some(valid) = &outline.valid else {
        return Err(Failure::config(
            "GC needs \"cni.dev/valid-attachments\", and the configuration has none: nothing was collected",
        ));
    };
    let valid: HashSet<(&str, &str)> = valid.iter().map(|(c, i)| (c.as_str(), i.as_str())).collect();
    let mut first = Ok(());
    let gone = controller.collect_gone(caller.realm).map(drop);
    first = first.and(gone);
    for endpoint in controller.endpoints(caller.realm)? {
        let Some(key) = key(&endpoint, outline.name.as_str()) else {
            continue;
        };
        if !valid.contains(&(key.container, key.interface)) {
            first = first.and(detach(controller, caller, &key).map(drop));
        }
    }
    first = first.and(delete_unused(controller, caller, outline));
    first.map_err(Failure::from)
}

/// The attachment that an endpoint is, if it is one of that network.
fn key<'a>(endpoint: &'a EndpointInfo, network: &str) -> Option<Key<'a>> {
    let label = |key: &str| endpoint.labels.get(key).map(String::as_str);
    let key = Key {
        container: label(CONTAINER)?,
        network: label(NETWORK)?,
        interface: label(INTERFACE)?,
    };
    (key.network == network).then_some(key)
}

fn delete_unused(controller: &Controller, caller: &Caller, outline: &Outline) -> jackfield_model::Result<()> {
    let found = find(controller, caller.realm, outline.name.as_str())?;
    let unused = found.filter(|network| on_first_use(&network.labels) && network.endpoints.is_empty());
    match unused {
        Some(network) => controller.delete_network(caller.realm, network.id.as_str()).map(drop),
        None => Ok(()),
    }
}

//! The network that a runtime means: found by its name, or made on first use.
//!
//! One that was made on first use says in a label what it was made from. It is never deleted by a DEL; it goes with `jackfield network prune`,
//! with a GC that leaves no attachment, or when nobody is in it and its name or its subnet is wanted for another description.

use jackfield_controller::{
    Controller,
    request::{CreateNetwork, NetworkInfo, RealmRef},
};
use jackfield_model::{Error, ErrorCode, Name, NetworkId, Options, Result};

use super::labels::{BY, DESCRIPTION, digest};

/// A network to be made on first use.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// `cni` or `netavark`.
    pub by: &'static str,
    /// As it is asked for, but for its labels.
    pub request: CreateNetwork,
}

impl Wanted {
    /// In short, what it is made from.
    fn description(&self) -> String {
        // A request is plain data, which is always JSON; were it not, all descriptions would be alike.
        let text = serde_json::to_string(&self.request).unwrap_or_default();
        digest(&["description", &text]).chars().take(32).collect()
    }

    fn labelled(&self) -> CreateNetwork {
        let mut request = self.request.clone();
        let labels = [(BY, self.by.to_owned()), (DESCRIPTION, self.description())];
        request
            .labels
            .extend(labels.map(|(key, value)| (key.to_owned(), value)));
        request
    }

    /// Whether that one is what is wanted.
    fn is(&self, network: &NetworkInfo) -> bool {
        network.labels.get(DESCRIPTION) == Some(&self.description())
    }
}

/// Whether it was made on first use.
pub fn on_first_use(labels: &Options) -> bool {
    labels.contains_key(DESCRIPTION)
}

/// The one of that name, or None.
pub fn find(controller: &Controller, realm: RealmRef, name: &str) -> Result<Option<NetworkInfo>> {
    match controller.network_without_leases(realm, name) {
        Ok(network) if network.name.as_str() == name => Ok(Some(network)),
        // An id, or the beginning of one.
        Ok(_) => Ok(None),
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The network that is wanted, made if it is not there.
pub fn ensure(controller: &Controller, realm: RealmRef, wanted: &Wanted) -> Result<NetworkInfo> {
    let name = &wanted.request.name;
    if let Some(found) = find(controller, realm, name.as_str())? {
        if wanted.is(&found) {
            return Ok(found);
        }
        refuse_unlike(wanted, &found)?;
        controller.delete_network(realm, found.id.as_str())?;
    }
    match controller.create_network(realm, wanted.labelled()) {
        Ok(made) => Ok(made.into_inner()),
        Err(error) => again(controller, realm, wanted, error),
    }
}

/// One that is there and was made from something else: it may go if nobody needs it.
fn refuse_unlike(wanted: &Wanted, found: &NetworkInfo) -> Result<()> {
    let name = &found.name;
    if !on_first_use(&found.labels) {
        return Err(Error::new(
            ErrorCode::AlreadyExists,
            format!(
                "there is a network {name} that was made otherwise: to use it, {}",
                advice(wanted.by, name)
            ),
        ));
    }
    if !found.endpoints.is_empty() {
        return Err(Error::new(
            ErrorCode::InUse,
            format!(
                "network {name} was made from another description, and {} endpoints are in it: take them away, or give the new one another name",
                found.endpoints.len()
            ),
        ));
    }
    Ok(())
}

fn advice(by: &str, name: &Name) -> String {
    match by {
        "cni" => format!("write \"network\": \"{name}\" into the configuration, and leave out what describes one"),
        _ => "give yours another name, or delete that one".to_owned(),
    }
}

/// Somebody else was quicker, or an idle one that was made on first use stands in the way.
fn again(controller: &Controller, realm: RealmRef, wanted: &Wanted, error: Error) -> Result<NetworkInfo> {
    if let Some(found) = find(controller, realm, wanted.request.name.as_str())?.filter(|found| wanted.is(found)) {
        return Ok(found);
    }
    let in_the_way = matches!(
        error.code,
        ErrorCode::AlreadyExists | ErrorCode::InUse | ErrorCode::Exhausted
    );
    if !in_the_way || delete_idle(controller, realm)? == 0 {
        return Err(error);
    }
    controller
        .create_network(realm, wanted.labelled())
        .map(|made| made.into_inner())
}

/// Deletes networks that were made on first use and that nobody is in.
fn delete_idle(controller: &Controller, realm: RealmRef) -> Result<usize> {
    let idle: Vec<NetworkId> = controller
        .networks(realm)?
        .into_iter()
        .filter(|network| on_first_use(&network.labels) && network.endpoints.is_empty())
        .map(|network| network.id)
        .collect();
    let delete = |id: &&NetworkId| controller.delete_network(realm, id.as_str()).is_ok();
    Ok(idle.iter().filter(delete).count())
}

//! Endpoints that Docker forgot, or that nobody heard of, on their way down.

use jackfield_controller::{Controller, request::RealmRef};
use jackfield_model::{EndpointId, ErrorCode, NetworkId, Result, SandboxId};

const OWN: RealmRef = RealmRef::Own;
/// The label of every endpoint that Docker made: it may forget those, and no others.
pub const LABEL: &str = "docker.endpoint";

/// Out of its sandbox, and gone; the sandbox too, when it was the last one there.
///
/// # Errors
/// As leaving and deleting; what is gone is no error.
pub fn take_down(controller: &Controller, endpoint: &EndpointId) -> Result<()> {
    let sandbox = match controller.endpoint(OWN, endpoint.as_str()) {
        Ok(info) => info.sandbox,
        Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    controller.leave(OWN, endpoint.as_str())?;
    controller.delete_endpoint(OWN, endpoint.as_str())?;
    sandbox.map_or(Ok(()), |sandbox| drop_empty(controller, &sandbox))
}

/// The sandbox, where nothing is left in it.
///
/// # Errors
/// As deleting it.
pub fn drop_empty(controller: &Controller, sandbox: &SandboxId) -> Result<()> {
    controller.delete_empty_sandbox(OWN, sandbox).map(drop)
}

/// Those of a network that Docker made.
///
/// # Errors
/// not-found, when the network is gone.
pub fn of_docker(controller: &Controller, network: &NetworkId) -> Result<Vec<EndpointId>> {
    let all = controller.network_without_leases(OWN, network.as_str())?.endpoints;
    let is_dockers = |id: &EndpointId| {
        let info = controller.endpoint(OWN, id.as_str());
        info.is_ok_and(|info| info.labels.contains_key(LABEL))
    };
    Ok(all.into_iter().filter(is_dockers).collect())
}

//! Calling drivers: what each call is told, and what becomes of a driver that panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jackfield_driver::{Context, Identity, LoadedDriver, Operation, OwnLink, Phase, StateStore};
use jackfield_kernel::Plan;
use jackfield_model::{EndpointSpec, Error, NetworkSpec, Result};

use super::{Inner, place::Place};

/// What one call is about.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The network, where it is known still.
    pub network: Option<Arc<NetworkSpec>>,
    /// The endpoint, where there is one.
    pub endpoint: Option<Arc<EndpointSpec>>,
    /// Links of the network and of the endpoint.
    pub links: Vec<OwnLink>,
    /// What create-endpoint recorded, for a join.
    pub deferred: Option<Arc<Plan>>,
    /// The runtime moves the interface.
    pub foreign: bool,
    /// Keys; None for the committed ones.
    pub state: Option<Arc<dyn StateStore>>,
}

impl Inner {
    /// An operation for one call.
    pub(super) fn operation(&self, place: &Place, driver: &dyn LoadedDriver, phase: Phase, about: About) -> Operation {
        Operation::new(Context {
            realm: place.realm.clone(),
            driver: driver.identity().clone(),
            grants: driver.grants().clone(),
            phase,
            network: about.network,
            endpoint: about.endpoint,
            own_links: about.links,
            deferred: about.deferred,
            foreign_sandbox: about.foreign,
            state: about.state.unwrap_or_else(|| self.keys.clone()),
            ports: place.ports.clone(),
        })
    }
}

/// Makes the call. A panic in a driver is an error of that driver and of nobody else.
pub fn guarded<T>(driver: &Identity, phase: Phase, call: impl FnOnce() -> Result<T>) -> Result<T> {
    // The instance and the operation are thrown away after a panic, so that nothing half-done is seen again.
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(panicked(driver, phase, &*panic)));
    result.map_err(|e| e.step(phase.to_string()).driver(driver.to_string()))
}

fn panicked(driver: &Identity, phase: Phase, panic: &(dyn std::any::Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let said = said.map(|s| format!(" ({})", s.escape_default())).unwrap_or_default();
    Error::internal(format!(
        "driver {driver} panicked in {phase}{said}: this is a fault of the driver, report it to its vendor"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_model::ErrorCode;

    #[test]
    fn a_panic_is_an_internal_error_that_names_the_driver() {
        let driver = Identity {
            name: "shaky".into(),
            version: "0.1.0".into(),
        };
        let error = guarded::<()>(&driver, Phase::Join, || panic!("no luck")).unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(
            error
                .message
                .starts_with("driver shaky 0.1.0 panicked in join (no luck)"),
            "{error}"
        );
        assert_eq!(error.step.as_deref(), Some("join"));
    }
}

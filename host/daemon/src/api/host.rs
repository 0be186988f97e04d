//! What every handler has at hand.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use jackfield_controller::Controller;
use jackfield_model::{Error, Result};

use crate::{docker::Plugins, drivers::DriverAdmin, events::Events};

/// The host behind the API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Host {
    pub controller: Controller,
    pub drivers: Arc<dyn DriverAdmin>,
    pub events: Arc<Events>,
    pub about: Arc<About>,
    /// Docker's side, where it is served.
    pub docker: Option<Arc<Plugins>>,
}

/// What does not change while the host runs.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// When it began to serve, in seconds since 1970.
    pub started: u64,
    pub run_dir: PathBuf,
    pub state_dir: PathBuf,
}

impl Host {
    /// Calls what blocks, on this thread: it is the connection's own and polls nothing else (see `serve::connections`). So the call goes on to
    /// its end when the caller hangs up.
    pub async fn call<T>(&self, call: impl FnOnce(&Controller) -> Result<T>) -> Result<T> {
        guarded(|| call(&self.controller))
    }

    /// The same, for what concerns drivers.
    pub async fn with_drivers<T>(&self, call: impl FnOnce(&Controller, &dyn DriverAdmin) -> Result<T>) -> Result<T> {
        guarded(|| call(&self.controller, self.drivers.as_ref()))
    }
}

impl Host {
    /// A driver came or went: so does its socket for Docker, before the caller hears of it.
    pub fn drivers_changed(&self) {
        if let Some(docker) = &self.docker {
            docker.follow();
        }
    }
}

/// A panic is an answer, and the connection goes on.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| failed())?
}

/// A panic; the panic hook has said where.
fn failed() -> Error {
    Error::internal("the host failed at this request; its log says where")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_model::ErrorCode;

    #[test]
    fn a_call_that_panics_is_an_answer_and_nothing_more() {
        assert_eq!(guarded(|| Ok(7)).unwrap(), 7);
        let error = guarded::<()>(|| panic!("a fault")).unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.contains("failed at this request"), "{error}");
        assert_eq!(guarded(|| Ok(8)).unwrap(), 8);
    }
}

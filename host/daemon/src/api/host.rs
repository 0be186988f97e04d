//! What every handler has at hand.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use jackfield_controller::Controller;
use jackfield_model::{Error, Result};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::{block_in_place, spawn_blocking},
};

use crate::{drivers::DriverAdmin, events::Events};

/// The host behind the API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Host {
    pub controller: Controller,
    pub drivers: Arc<dyn DriverAdmin>,
    pub events: Arc<Events>,
    pub about: Arc<About>,
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
    /// Calls what blocks, on a thread that may. It goes on to its end when the caller hangs up.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Controller) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let controller = self.controller.clone();
        blocking(move || call(&controller)).await
    }

    /// The same, for what concerns drivers.
    pub async fn with_drivers<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Controller, &dyn DriverAdmin) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (controller, drivers) = (self.controller.clone(), self.drivers.clone());
        blocking(move || call(&controller, drivers.as_ref())).await
    }
}

/// On this thread, whose other tasks go on elsewhere: handing a call to another thread and its answer back would cost two wake-ups, which
/// take longer than most of what is called.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let caught = || catch_unwind(AssertUnwindSafe(call)).map_err(|_| failed());
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(caught)?,
        _ => spawn_blocking(caught)
            .await
            .map_err(|cause| failed().caused_by(cause))??,
    }
}

/// A panic; the panic hook has said where.
fn failed() -> Error {
    Error::internal("the host failed at this request; its log says where")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_model::ErrorCode;

    async fn answers_and_survives_a_panic() {
        assert_eq!(blocking(|| Ok(7)).await.unwrap(), 7);
        let error = blocking::<()>(|| panic!("a fault")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.contains("failed at this request"), "{error}");
        assert_eq!(blocking(|| Ok(8)).await.unwrap(), 8);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_call_that_panics_is_an_answer_and_nothing_more() {
        answers_and_survives_a_panic().await;
    }

    #[tokio::test]
    async fn the_same_where_there_is_one_thread() {
        answers_and_survives_a_panic().await;
    }
}

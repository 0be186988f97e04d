//! What every handler has at hand.

use std::{path::PathBuf, sync::Arc};

use jackfield_controller::Controller;
use jackfield_model::{Error, Result};

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

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let failed = |cause| Error::internal("the host failed at this request; its log says where").caused_by(cause);
    tokio::task::spawn_blocking(call).await.map_err(failed)?
}

//! Endpoints whose sandbox went without a word, looked for now and then: Docker tells of nearly all of them.

use std::time::Duration;

use jackfield_controller::{Controller, request::RealmRef};
use tokio::time::sleep;

/// Pause between two looks, each a question to the kernel for every endpoint. Nothing waits for it: an address that is given away again takes
/// the earlier endpoint with it.
const PAUSE: Duration = Duration::from_secs(30);

/// Looks for as long as the host runs.
pub(crate) async fn sweep(controller: Controller) {
    loop {
        sleep(PAUSE).await;
        let controller = controller.clone();
        let looked = tokio::task::spawn_blocking(move || controller.collect_foreign(RealmRef::Own)).await;
        match looked {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!("cannot look for endpoints that are gone: {error}"),
            Err(error) => tracing::error!("looking for endpoints that are gone failed: {error}"),
        }
    }
}

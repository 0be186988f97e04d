//! `/v1/info`

use axum::extract::State;
use jackfield_controller::{Controller, request::RealmRef};
use jackfield_model::Result;

use super::{
    About, Host,
    answer::{Answer, found},
};
use crate::{drivers::DriverAdmin, wire::Info};

pub(super) async fn show(State(host): State<Host>) -> Answer {
    let about = host.about.clone();
    found(
        &host
            .with_drivers(move |controller, drivers| info(&about, controller, drivers))
            .await?,
    )
}

fn info(about: &About, controller: &Controller, drivers: &dyn DriverAdmin) -> Result<Info> {
    Ok(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
        kernel: kernel_release(),
        pid: std::process::id(),
        started: about.started,
        run_dir: about.run_dir.clone(),
        state_dir: about.state_dir.clone(),
        forwarding: controller.forwarding().to_string(),
        drivers: drivers.names(),
        networks: controller.networks(RealmRef::Own)?.len(),
        endpoints: controller.endpoints(RealmRef::Own)?.len(),
        sandboxes: controller.sandboxes(RealmRef::Own)?.len(),
    })
}

/// Empty where /proc is not mounted: nobody's request should fail for that.
fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

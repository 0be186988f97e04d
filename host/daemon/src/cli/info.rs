//! `jackfield info`

use super::{
    Outcome, Session,
    output::{commas, sheet, time},
};
use crate::wire::Info;

pub(super) async fn show(session: &mut Session) -> Outcome {
    let info: Info = session.client.get("/v1/info").await?;
    session.output.show(&info, described)
}

pub(super) fn described(info: &Info) -> String {
    sheet(&[
        ("Version", info.version.clone()),
        ("API", info.api.clone()),
        ("Kernel", info.kernel.clone()),
        ("Process", info.pid.to_string()),
        ("Started", time(info.started * 1000)),
        ("Run folder", info.run_dir.display().to_string()),
        ("State folder", info.state_dir.display().to_string()),
        ("Forwarding", info.forwarding.clone()),
        ("Drivers", commas(&info.drivers)),
        ("Networks", info.networks.to_string()),
        ("Endpoints", info.endpoints.to_string()),
        ("Sandboxes", info.sandboxes.to_string()),
    ])
}

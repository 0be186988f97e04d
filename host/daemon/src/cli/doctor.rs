//! `jackfield doctor`

use std::process::ExitCode;

use jackfield_kernel::{Kernel, Linux};

use super::{Outcome, Session};
use crate::{
    doctor::{self, Finding, Machine, OwnHost, State},
    wire::Info,
};

/// Kinds of links that drivers make.
const KINDS: [&str; 8] = ["bridge", "veth", "vxlan", "macvlan", "ipvlan", "vlan", "dummy", "tap"];

/// Fails where something is broken, so that scripts can ask.
pub(super) async fn show(session: &mut Session) -> Outcome {
    let info: Option<Info> = session.client.get("/v1/info").await.ok();
    let host = OwnHost {
        socket: session.client.socket().to_owned(),
        drivers: info.as_ref().map(|info| info.drivers.clone()).unwrap_or_default(),
        answers: info.map(|info| (info.version, info.forwarding)),
    };
    let findings = doctor::examine(&Machine::this(), &host, &missing_kinds());
    session.output.show(&findings, |it| described(it))?;
    let broken = findings.iter().any(|finding| finding.state == State::Broken);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// None where the kernel cannot be asked: that needs a privilege.
fn missing_kinds() -> Vec<&'static str> {
    let Ok(kernel) = Linux::new() else { return Vec::new() };
    KINDS
        .into_iter()
        .filter(|kind| matches!(kernel.supports(kind), Ok(false)))
        .collect()
}

/// A line for each finding, and below it the one that mends it.
pub(super) fn described(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let lines = findings.iter().map(
        |Finding {
             subject,
             state,
             says,
             fix,
         }| {
            let state = match state {
                State::Well => "well",
                State::Note => "note",
                State::Broken => "FIX",
            };
            let fix = fix
                .as_ref()
                .map(|fix| format!("{:width$}         {fix}\n", ""))
                .unwrap_or_default();
            format!("{subject:width$}   {state:4}  {says}\n{fix}")
        },
    );
    lines.collect()
}

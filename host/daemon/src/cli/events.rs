//! `jackfield events`

use std::process::ExitCode;

use clap::Args;

use super::{
    Outcome, Session,
    output::{pairs, time},
};
use crate::wire::Event;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Begin after the event of this number; 0 shows all that the host still has [default: only what happens from now on]
    #[arg(long, value_name = "SEQUENCE")]
    since: Option<u64>,
}

impl Arguments {
    pub async fn run(self, session: Session) -> Outcome {
        let query = self.since.map(|since| format!("?since={since}")).unwrap_or_default();
        let Session { client, output } = session;
        let mut lines = client.lines(&format!("/v1/events{query}")).await?;
        while let Some(event) = lines.next::<Event>().await? {
            output.line(&event, described)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn described(event: &Event) -> String {
    let name = event
        .name
        .clone()
        .unwrap_or_else(|| event.id.chars().take(12).collect());
    let attributes = if event.attributes.is_empty() {
        String::new()
    } else {
        format!("({})", pairs(&event.attributes))
    };
    let words = [
        time(event.time_ms),
        event.object.clone(),
        event.action.clone(),
        name,
        attributes,
    ];
    words
        .iter()
        .filter(|word| !word.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

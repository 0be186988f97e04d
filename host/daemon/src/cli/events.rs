//! `jackfield events`

use std::process::ExitCode;

use clap::Args;

use super::{
    Outcome, Session,
    output::{pairs, time},
};
use crate::wire::Event;

/// What may be told.
const LIST: &str = "\
Events, with their attributes:
  network   create, delete         driver
            recovered              it stands again, after a start that found it broken or a wait: driver
            waiting                it cannot be applied yet, and is tried again: driver, why
            release                an address that was reserved may be given out again: address
  endpoint  create, join, leave,   network; sandbox while it is in one; ports that it has published
            delete
            publish                its published ports are others now, or back after a change that was cut off
  sandbox   create, delete         kind
            names-failed           it has no name service, or keeps it longer than it should: error
  service   create, update,        the id is its network's: addresses, endpoints
            delete
  driver    load, upgrade,         version
            rollback, unload
  firewall  heal                   what somebody else had taken out was put back: missing of the host's own table, beside
                                   (chains of other programs that have the host's rule again)
            blocked                another firewall may drop what the host lets pass; told once: by, reason, fix
            freed                  it is not in the way any more: by
  stream    lagged                 events are missing here: missed, reason";

#[derive(Debug, Args)]
#[command(after_long_help = LIST)]
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

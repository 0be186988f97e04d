//! Events, one a line.

use jackfield_controller::request;
use jackfield_model::Options;
use serde::{Deserialize, Serialize};

/// Something that happened. The list of them is that of [`request::Event`], which this is on the wire; and `stream lagged`, which says that
/// something is missing here (`missed`: how many, `reason`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 since the host started.
    pub sequence: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it happened to; `stream` for a word about the stream itself.
    pub object: String,
    /// What happened.
    pub action: String,
    /// The object's id or the driver's name.
    pub id: String,
    /// The object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub attributes: Options,
}

impl From<request::Event> for Event {
    fn from(event: request::Event) -> Self {
        let request::Event {
            sequence,
            time_ms,
            object,
            action,
            id,
            name,
            attributes,
        } = event;
        Self {
            sequence,
            time_ms,
            object,
            action,
            id,
            name,
            attributes,
        }
    }
}

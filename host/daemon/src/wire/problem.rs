//! What every refusal looks like: RFC 9457, `application/problem+json`.

use std::{error::Error as StdError, fmt};

use jackfield_model::{Error, ErrorCode};
use serde::{Deserialize, Serialize};

/// A refusal or a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind, as a URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, the same for all of it.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// One sentence: what was wrong, what was expected, what to do.
    pub detail: String,
    /// The kind, for programs.
    pub code: ErrorCode,
    /// The object that it concerns, as `network blue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The step at which it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Name and version of the driver at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// What caused it, the nearest cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The same request may succeed later.
    pub retryable: bool,
}

impl Problem {
    /// The media type.
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// A problem with that status, of which only the sentence is known.
    pub fn new(status: u16, code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::from_error(status, &Error::new(code, detail))
    }

    /// An error as a problem with that status.
    pub fn from_error(status: u16, error: &Error) -> Self {
        Self {
            kind: format!("urn:jackfield:problem:{}", error.code),
            title: title(error.code).to_owned(),
            status,
            detail: error.message.clone(),
            code: error.code,
            object: error.object.clone(),
            step: error.step.clone(),
            driver: error.driver.clone(),
            causes: causes(error),
            retryable: error.retryable,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for Problem {}

/// The sentences of the causes, without those that only repeat the one before.
pub fn causes(error: &dyn StdError) -> Vec<String> {
    let chain = std::iter::successors(error.source(), |cause| (*cause).source());
    let mut last = error.to_string();
    chain
        .map(ToString::to_string)
        .filter(|text| std::mem::replace(&mut last, text.clone()) != *text)
        .collect()
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidArgument => "The request is wrong",
        ErrorCode::NotFound => "There is no such object",
        ErrorCode::AlreadyExists => "It is taken",
        ErrorCode::InUse => "It is in use",
        ErrorCode::InvalidState => "Not in this state",
        ErrorCode::Exhausted => "A limit is reached",
        ErrorCode::Denied => "Not allowed",
        ErrorCode::Unsupported => "Not supported",
        ErrorCode::Unavailable => "Not available now",
        ErrorCode::Internal => "The host failed",
    }
}

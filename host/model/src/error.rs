//! The one error that crosses Jackfield's inner borders: what kind, in one sentence, and whether to try again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is. The same list as `error-code` of the WIT package, so that a driver's word reaches the API unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request itself is wrong.
    InvalidArgument,
    /// No object of that name or id.
    NotFound,
    /// The name, id, address or link is taken.
    AlreadyExists,
    /// Something else still needs it.
    InUse,
    /// Not in this state, or not in this order.
    InvalidState,
    /// A limit is reached: addresses, ports, memory, steps.
    Exhausted,
    /// The operator's grants, or the caller's identity, do not allow it.
    Denied,
    /// This kernel, host or driver cannot do it.
    Unsupported,
    /// Something outside did not answer, or not in time.
    Unavailable,
    /// A fault of ours or of the driver's.
    Internal,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidArgument => "invalid-argument",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::InUse => "in-use",
            Self::InvalidState => "invalid-state",
            Self::Exhausted => "exhausted",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        })
    }
}

/// A failure told to a person: what was wrong, what was expected, what to do. It keeps its cause as a `source`.
///
/// Typed errors of the crates (the kernel's, the journal's) convert into this at the border where they stop being acted on.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind.
    pub code: ErrorCode,
    /// One sentence, no full stop at its end.
    pub message: String,
    /// The same call may succeed later.
    pub retryable: bool,
    /// The object that it concerns, as `network blue` or `link eth0`.
    pub object: Option<String>,
    /// The step of the operation at which it failed, as `create-endpoint` or `add address 10.0.0.2/24`.
    pub step: Option<String>,
    /// Name and version of the driver that was at work, as `ptp 0.1.0`.
    pub driver: Option<String>,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// [`std::result::Result`] with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of that kind, not retryable.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: false,
            object: None,
            step: None,
            driver: None,
            source: None,
        }
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// No such object.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Names the object; the innermost name stays.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object.get_or_insert_with(|| object.into());
        self
    }

    /// Names the step; the innermost name stays.
    #[must_use]
    pub fn step(mut self, step: impl Into<String>) -> Self {
        self.step.get_or_insert_with(|| step.into());
        self
    }

    /// Names the driver at work.
    #[must_use]
    pub fn driver(mut self, driver: impl Into<String>) -> Self {
        self.driver.get_or_insert_with(|| driver.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

//! What a driver answers when it cannot: a kind, and one sentence for a person.

use std::fmt;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request itself is wrong.
    InvalidArgument,
    /// No object of that name or id.
    NotFound,
    /// The name, id, address or link is taken.
    AlreadyExists,
    /// Something else still needs it.
    InUse,
    /// Not in this operation, or not in this order.
    InvalidState,
    /// A limit is reached.
    Exhausted,
    /// The operator's grants do not allow it.
    Denied,
    /// The kernel or this host cannot do it.
    Unsupported,
    /// Something outside, a controller say, did not answer.
    Unavailable,
    /// A fault of the driver's or the host's.
    Internal,
}

/// A failure told to a person: what was wrong, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
    /// The same call may succeed later.
    pub retryable: bool,
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

    /// This driver cannot do that.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unsupported, message)
    }

    /// Something outside did not answer; the host may try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::new(ErrorCode::Unavailable, message)
        }
    }

    /// A fault of the driver's own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

//! What can go wrong: the step, and why.

use std::fmt;

/// [`std::result::Result`] with [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    step: String,
    cause: Box<dyn std::error::Error>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.cause)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// Names the step of what failed.
pub trait During<T> {
    /// The same, with the step.
    fn during(self, step: &str) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error>>> During<T> for std::result::Result<T, E> {
    fn during(self, step: &str) -> Result<T> {
        self.map_err(|cause| Failure {
            step: step.to_owned(),
            cause: cause.into(),
        })
    }
}

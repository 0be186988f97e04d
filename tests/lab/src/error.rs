//! What can go wrong in the lab: told to a developer, with the step that failed.

use std::fmt;

/// [`std::result::Result`] with [`LabError`].
pub type Result<T, E = LabError> = std::result::Result<T, E>;

/// A step of a scenario that did not go as it should.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {problem}")]
pub struct LabError {
    /// What was being done.
    pub step: String,
    /// What happened instead.
    pub problem: String,
}

impl LabError {
    /// That step failed so.
    pub fn new(step: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self {
            step: step.into(),
            problem: problem.to_string(),
        }
    }
}

/// Names the step of what failed.
pub(crate) trait During<T> {
    /// The same, with the step.
    fn during(self, step: &str) -> Result<T>;
}

impl<T, E: fmt::Display> During<T> for std::result::Result<T, E> {
    fn during(self, step: &str) -> Result<T> {
        self.map_err(|cause| LabError::new(step, cause))
    }
}

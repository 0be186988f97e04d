//! Why a task ended early.

use std::{io, process::ExitStatus};

/// Told to a developer as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A program of ours did not end well.
    #[error("{command} ended with {status}")]
    Command {
        /// What was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A program could not be run at all.
    #[error("{command} cannot be run: {cause}")]
    Start {
        /// What was to be run.
        command: String,
        /// Why not.
        cause: io::Error,
    },
    /// A step inside the lab failed.
    #[error(transparent)]
    Lab(#[from] jackfield_lab::LabError),
    /// The machine or the tree is not as it should be.
    #[error("{0}")]
    Told(String),
}

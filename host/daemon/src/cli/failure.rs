//! Why a command failed, and how that is told.

use std::{error::Error as StdError, io, process::ExitCode};

use jackfield_model::Error;

use crate::{
    client::ClientError,
    wire::{Problem, problem_causes},
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The host refused or cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(Error),
    /// Something of this process's own failed.
    #[error(transparent)]
    Own(#[from] Error),
    /// The command that was to be run cannot be.
    #[error("cannot run \"{program}\"")]
    Program {
        /// What was asked for.
        program: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Whoever read our output has enough of it, as `head` does.
    #[error("the output is closed")]
    OutputClosed,
}

impl Failure {
    /// A system call of this process's own failed.
    pub fn system(what: &str, cause: io::Error) -> Self {
        Self::Own(Error::internal(what).caused_by(cause))
    }

    /// The command line asks for something that cannot be.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::Usage(Error::invalid(sentence))
    }

    /// Tells it, and gives the exit code. 126 and 127 are the shell's for a command that cannot be run and one that is not there.
    pub fn report(self) -> ExitCode {
        if let Self::OutputClosed = self {
            return ExitCode::SUCCESS;
        }
        eprint!("{}", self.text());
        match &self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Program { cause, .. } if cause.kind() == io::ErrorKind::NotFound => ExitCode::from(127),
            Self::Program { .. } => ExitCode::from(126),
            _ => ExitCode::FAILURE,
        }
    }

    /// The sentence, where it happened, and the causes; a line each.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("jackfield: {self}")];
        let causes = match self {
            Self::Client(ClientError::Refused(problem)) => {
                lines.extend(place(problem));
                problem.causes.clone()
            }
            other => problem_causes(other as &dyn StdError),
        };
        lines.extend(causes.iter().map(|cause| format!("  because: {}", indented(cause))));
        lines.join("\n") + "\n"
    }
}

/// A cause of several lines, as a parser's that shows the place, stays one block.
fn indented(cause: &str) -> String {
    cause.trim_end().replace('\n', "\n    ")
}

/// What the sentence has said already is not said again.
fn place(problem: &Problem) -> Option<String> {
    let parts = [
        ("", &problem.object),
        ("step ", &problem.step),
        ("driver ", &problem.driver),
    ];
    let known = parts.iter().filter_map(|(word, it)| it.as_ref().map(|it| (word, it)));
    let new = known.filter(|(_, it)| !problem.detail.contains(it.as_str()));
    let words: Vec<_> = new.map(|(word, it)| format!("{word}{it}")).collect();
    (!words.is_empty()).then(|| format!("  at: {}", words.join(", ")))
}

//! Whether each runtime on this machine will find the host, and the line that fixes it where it will not.
//!
//! It only looks: at files, at what answers on sockets, at what the kernel has. What it looks at is a [`Machine`], so that tests have one of their
//! own; what it makes of that is pure. A runtime that is not there is not spoken of.

mod containerd;
mod docker;
mod host;
mod kernel;
mod links;
mod machine;
mod podman;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use machine::Machine;

/// The small programs that runtimes start.
const CNI_PROGRAM: &str = "jackfield-cni";
const NETAVARK_PROGRAM: &str = "jackfield-netavark";
/// Where the package puts the latter; runtimes know it by links.
const PROGRAMS: &str = "/usr/lib/jackfield";

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It works.
    Well,
    /// It works, and there is something to know.
    Note,
    /// It will not work.
    Broken,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `host`, `kernel`, `docker`, ...
    pub subject: String,
    /// How it is.
    pub state: State,
    /// In one sentence.
    pub says: String,
    /// The command or the line of a file that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn well(subject: &str, says: impl Into<String>) -> Self {
        Self::new(subject, State::Well, says, None)
    }

    fn note(subject: &str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(subject, State::Note, says, Some(fix.into()))
    }

    fn broken(subject: &str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(subject, State::Broken, says, Some(fix.into()))
    }

    fn new(subject: &str, state: State, says: impl Into<String>, fix: Option<String>) -> Self {
        Self {
            subject: subject.to_owned(),
            state,
            says: says.into(),
            fix,
        }
    }
}

/// What is known of the host itself.
#[derive(Clone, Debug)]
pub(crate) struct OwnHost {
    /// Its socket.
    pub socket: PathBuf,
    /// Its version and which links forward, where it answers.
    pub answers: Option<(String, String)>,
    /// Its drivers.
    pub drivers: Vec<String>,
}

/// Everything, in the order in which it should be mended.
pub(crate) fn examine(machine: &Machine, host: &OwnHost, missing_kinds: &[&str]) -> Vec<Finding> {
    [
        kernel::examine(machine, missing_kinds),
        host::examine(machine, host),
        links::examine(machine),
        docker::examine(machine, host),
        podman::examine(machine, host),
        containerd::examine(machine),
    ]
    .concat()
}

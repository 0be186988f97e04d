//! What can go wrong between a client and the host.

use std::{error::Error, io, path::PathBuf};

use crate::wire::Problem;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("cannot reach the host at {}: {}", socket.display(), advice(source))]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The host refused.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The connection broke, or the answer could not be read.
    #[error("the host's answer to {path} broke off or cannot be read")]
    Broken {
        /// What was asked for.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody answers, but not as a host does.
    #[error("what answers at this socket is no jackfield host: it said {status} to {path}")]
    NoJackfield {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
    },
}

impl ClientError {
    pub(super) fn broken(path: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "start it with `jackfield serve`, or name its socket with --socket"
        }
        io::ErrorKind::PermissionDenied => "you may not open that socket",
        _ => "the connection failed",
    }
}

//! Errors of the kernel and of the journal.

use nix::errno::Errno;

use jackfield_model::{Error, ErrorCode};

/// [`std::result::Result`] with [`KernelError`].
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

/// What went wrong between the host and its kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The kernel refused one request.
    #[error("{operation} {object}: {}", errno.desc())]
    Refused {
        /// What was tried, as `create link` or `add address`.
        operation: &'static str,
        /// On what.
        object: String,
        /// The kernel's answer.
        #[source]
        errno: Errno,
    },
    /// The kernel explained its refusal (NLMSGERR_ATTR_MSG).
    #[error("{operation} {object}: {said}")]
    Explained {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// The kernel's own words.
        said: String,
        /// The kernel's answer.
        #[source]
        errno: Errno,
    },
    /// A system call around the request failed: a socket, a namespace, a file.
    #[error("{operation} {object}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// On what.
        object: String,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// What the kernel or a file said could not be understood.
    #[error("{operation} {object}: {problem}")]
    Malformed {
        /// What was read.
        operation: &'static str,
        /// Of what.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What was named as a namespace is none.
    #[error("{object} is no network namespace: {problem}")]
    NotANamespace {
        /// What was named.
        object: String,
        /// What it is instead, or what was expected.
        problem: &'static str,
    },
    /// The namespace is gone, or is another one than it was.
    #[error("the network namespace {0} is gone")]
    NamespaceGone(String),
    /// This kernel lacks something.
    #[error("this kernel has no {0}")]
    Unsupported(String),
}

impl KernelError {
    /// The kernel's error number, where it is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } | Self::Explained { errno, .. } => Some(*errno),
            Self::System { cause, .. } => cause.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }

    /// A bridge has as many ports as the kernel gives it.
    pub fn is_full_bridge(&self) -> bool {
        self.errno() == Some(Errno::EXFULL)
    }
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Self {
        let code = match &error {
            KernelError::NamespaceGone(_) => ErrorCode::NotFound,
            KernelError::NotANamespace { .. } => ErrorCode::InvalidArgument,
            KernelError::Unsupported(_) => ErrorCode::Unsupported,
            other => match other.errno() {
                Some(Errno::EEXIST | Errno::EADDRINUSE) => ErrorCode::AlreadyExists,
                Some(Errno::ENODEV | Errno::ENOENT | Errno::ESRCH) => ErrorCode::NotFound,
                Some(Errno::EBUSY) => ErrorCode::InUse,
                Some(Errno::EXFULL | Errno::ENOSPC | Errno::EMFILE | Errno::ENFILE) => ErrorCode::Exhausted,
                Some(Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) => ErrorCode::Unsupported,
                Some(Errno::EPERM | Errno::EACCES) => ErrorCode::Denied,
                Some(
                    Errno::EINVAL | Errno::ERANGE | Errno::EADDRNOTAVAIL | Errno::ENETUNREACH | Errno::EHOSTUNREACH,
                ) => ErrorCode::InvalidArgument,
                _ => ErrorCode::Internal,
            },
        };
        Error::new(code, error.to_string()).caused_by(error)
    }
}

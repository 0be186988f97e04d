//! Network namespaces: owned descriptors, known by boot id and cookie.
//!
//! A namespace's inode is reused as soon as it is gone; its cookie (SO_NETNS_COOKIE, Linux 5.14) never is within one boot, so that
//! is the identity. A [`Namespace`] keeps its namespace alive; whoever must not do that keeps a [`NamespaceId`] and a
//! [`NamespaceSource`] and opens it for each call.

use std::{fmt, os::fd::OwnedFd, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

/// What a namespace is known by within one boot: its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamespaceId(pub u64);

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "netns:{:x}", self.0)
    }
}

/// By what a namespace is known to be there without being kept alive: its number in the host's own namespace (RTM_NEWNSID), which the kernel
/// forgets with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(pub u32);

/// How to reach a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceSource {
    /// The one that this process is in.
    Own,
    /// A file: `/run/netns/NAME`, `/proc/PID/ns/net`.
    Path(PathBuf),
    /// That of a process.
    Pid(u32),
}

/// An open namespace. Cheap to clone; the last clone closes it.
#[derive(Clone)]
pub struct Namespace {
    id: NamespaceId,
    /// None in the simulated kernel.
    fd: Option<Arc<OwnedFd>>,
}

impl Namespace {
    /// A namespace of the real kernel.
    pub fn real(id: NamespaceId, fd: OwnedFd) -> Self {
        Self {
            id,
            fd: Some(Arc::new(fd)),
        }
    }

    /// One of the simulated kernel.
    pub fn simulated(id: NamespaceId) -> Self {
        Self { id, fd: None }
    }

    /// Its identity.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Its descriptor, None in the simulated kernel.
    pub fn fd(&self) -> Option<&Arc<OwnedFd>> {
        self.fd.as_ref()
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Namespace {}

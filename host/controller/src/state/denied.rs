//! Why a request is denied.

use std::fmt;

use jackfield_kernel::NamespaceId;
use jackfield_model::{Error, ErrorCode, LinkName};

use crate::ipam::IpamError;

/// The kinds of objects, for sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A network.
    Network,
    /// An endpoint.
    Endpoint,
    /// A sandbox.
    Sandbox,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network",
            Self::Endpoint => "endpoint",
            Self::Sandbox => "sandbox",
        })
    }
}

/// Why a request is denied. Objects are named as a person would: by name, or by the first digits of the id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nothing of that name or id.
    #[error("there is no {kind} \"{}\" in this realm", .reference.escape_default())]
    Unknown {
        /// What was looked for.
        kind: Kind,
        /// By which word.
        reference: String,
    },
    /// Several begin so, or have that name.
    #[error("\"{}\" could be any of {} {kind}s: {}", .reference.escape_default(), .matches.len(), .matches.join(", "))]
    Ambiguous {
        /// What was looked for.
        kind: Kind,
        /// By which word.
        reference: String,
        /// Full ids, at most sixteen.
        matches: Vec<String>,
    },
    /// Names are unique in a realm.
    #[error("the name {name} is taken by {kind} {id}: choose another name")]
    NameTaken {
        /// Of what.
        kind: Kind,
        /// Which.
        name: String,
        /// Whose.
        id: String,
    },
    /// The same id, but not the same specification.
    #[error("{kind} {id} exists already with another specification: choose another id, or leave it out")]
    IdTaken {
        /// Of what.
        kind: Kind,
        /// Which.
        id: String,
    },
    /// Something is under way; it is this one's turn afterwards.
    #[error("{kind} {name} is busy ({doing}): try again")]
    Busy {
        /// Of what.
        kind: Kind,
        /// Which.
        name: String,
        /// With what.
        doing: &'static str,
    },
    /// A network with endpoints stays.
    #[error("network {name} has {endpoints} {}: disconnect them first", if *.endpoints == 1 { "endpoint" } else { "endpoints" })]
    NetworkInUse {
        /// Which.
        name: String,
        /// How many.
        endpoints: usize,
    },
    /// Its plan could not be applied yet.
    #[error("network {name} is not ready: {why}")]
    NetworkWaiting {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// An endpoint is in one sandbox at most.
    #[error("endpoint {endpoint} is in sandbox {sandbox} already: let it leave first")]
    JoinedElsewhere {
        /// Which.
        endpoint: String,
        /// Where.
        sandbox: String,
    },
    /// Joined, but not as now asked.
    #[error("endpoint {endpoint} is in sandbox {sandbox} already, with other join options: let it leave first")]
    JoinedOtherwise {
        /// Which.
        endpoint: String,
        /// Where.
        sandbox: String,
    },
    /// Ports are published for an endpoint in a sandbox.
    #[error("endpoint {endpoint} is in no sandbox: let it join one first")]
    NotJoined {
        /// Which.
        endpoint: String,
    },
    /// Connect makes one endpoint for each pair.
    #[error("sandbox {sandbox} is connected to network {network} already, by endpoint {endpoint}")]
    Connected {
        /// Which.
        sandbox: String,
        /// To which.
        network: String,
        /// By which.
        endpoint: String,
    },
    /// An endpoint in a sandbox stays.
    #[error("endpoint {endpoint} is in sandbox {sandbox}: let it leave first")]
    EndpointInUse {
        /// Which.
        endpoint: String,
        /// Where.
        sandbox: String,
    },
    /// The name asked for is an interface's already.
    #[error("sandbox {sandbox} has an interface {interface} already: choose another name")]
    InterfaceTaken {
        /// Where.
        sandbox: String,
        /// Which.
        interface: LinkName,
    },
    /// A driver's name prefix that cannot be numbered.
    #[error("\"{}\" cannot begin an interface's name: expected 1 to 10 bytes that a link's name may have", .prefix.escape_default())]
    BadPrefix {
        /// As the driver said.
        prefix: String,
    },
    /// What serves as host is never a sandbox.
    #[error("{0} is a realm: a namespace that serves as host cannot be a sandbox")]
    RealmAsSandbox(NamespaceId),
    /// What is a sandbox never serves as host.
    #[error("{0} is a sandbox: it cannot serve as host too")]
    SandboxAsRealm(NamespaceId),
    /// One namespace, one sandbox.
    #[error("that namespace is sandbox {sandbox} already")]
    NamespaceTaken {
        /// Whose.
        sandbox: String,
    },
    /// A network of which a realm has one at most.
    #[error("this realm has a network of driver {driver} already ({name}): there can be one only")]
    OnlyOne {
        /// Which driver.
        driver: String,
        /// The one there is.
        name: String,
    },
    /// A mixture of address families and managers that cannot be.
    #[error("{0}")]
    Addressing(&'static str),
    /// A service with a name that nobody could look up.
    #[error(
        "service \"{service}\" is no DNS label: expected 1 to 63 letters, digits or hyphens, with no hyphen at either end"
    )]
    NoLabel {
        /// As asked for.
        service: String,
    },
    /// A reservation is kept under a name.
    #[error("an address is reserved under a name: give the endpoint one, or connect a sandbox")]
    NobodyToReserveFor,
    /// A network without pools reserves nothing.
    #[error("network {name} gives out no addresses: there is nothing to reserve")]
    NothingToReserve {
        /// Which.
        name: String,
    },
    /// Pools or addresses.
    #[error(transparent)]
    Address(#[from] IpamError),
}

impl Denied {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::NotFound,
            Self::NameTaken { .. }
            | Self::IdTaken { .. }
            | Self::InterfaceTaken { .. }
            | Self::NamespaceTaken { .. } => ErrorCode::AlreadyExists,
            Self::Connected { .. } | Self::OnlyOne { .. } => ErrorCode::AlreadyExists,
            Self::NetworkInUse { .. } | Self::EndpointInUse { .. } => ErrorCode::InUse,
            Self::JoinedElsewhere { .. } | Self::JoinedOtherwise { .. } => ErrorCode::InUse,
            Self::Busy { .. } | Self::NetworkWaiting { .. } | Self::NotJoined { .. } => ErrorCode::InvalidState,
            Self::RealmAsSandbox(_) | Self::SandboxAsRealm(_) => ErrorCode::Denied,
            Self::Ambiguous { .. } | Self::BadPrefix { .. } | Self::Address(_) => ErrorCode::InvalidArgument,
            Self::Addressing(_) | Self::NoLabel { .. } | Self::NobodyToReserveFor | Self::NothingToReserve { .. } => {
                ErrorCode::InvalidArgument
            }
        }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        if let Denied::Address(error) = denied {
            return error.into();
        }
        let retryable = matches!(denied, Denied::Busy { .. } | Denied::NetworkWaiting { .. });
        let error = Error::new(denied.code(), denied.to_string());
        if retryable { error.retryable() } else { error }
    }
}

//! The words that every part of Jackfield shares: ids, names, addresses, specifications and errors.
//!
//! This crate may not know the kernel, a driver's sandbox or a socket: it does no I/O at all, apart from asking the system for random
//! bytes when an id or a MAC address is made. It promises that a value of one of its types is valid: each newtype is checked once, when
//! it is made or deserialised, and never again.
#![forbid(unsafe_code)]

mod dns;
mod error;
mod id;
mod ip;
mod link_name;
mod mac;
mod name;
mod options;
mod port;
mod spec;

pub use dns::{DnsLabel, DnsName, DnsSettings, Member, NetworkDns, NetworkNames, Service, VirtualService};
pub use error::{Error, ErrorCode, Result};
pub use id::{EndpointId, IdPrefix, NetworkId, OperationId, SandboxId};
pub use ip::{Family, IpNetwork, parse_cidr, parse_subnet};
pub use link_name::LinkName;
pub use mac::MacAddr;
pub use name::Name;
pub use options::{KeyHelp, Options, nearest, unknown_key};
pub use port::{HostPort, Publish};
pub use spec::{
    Capabilities, EndpointReply, EndpointSpec, JoinReply, JoinSpec, NetworkSpec, NextHop, Pool, PortMapping, Scope,
    StaticRoute, Transport,
};

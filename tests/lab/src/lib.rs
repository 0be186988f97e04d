//! The lab: private namespaces, hosts and probes, for scenarios, the demo and the benchmarks.
//!
//! It uses the kernel crate to make namespaces and to read them, and the host only as its users do: a program and a socket. It promises
//! that nothing it does reaches the machine's own network, and that every process and namespace it made ends with it.
//!
//! ```text
//!   private::enter   this process: own user (unless root), network and mount namespaces
//!     Lab            one scenario: a realm, folders, what the realm held before
//!       Host         `jackfield serve` in that realm; may be killed and started again
//!         Client     its API
//!         Cni        a CNI runtime's calls
//!       Machine    process and mount namespaces in which a runtime and a host see the same paths
//!         Dockerd, Podman, Containerd   real ones
//!       Probe        ping and TCP between sandboxes, without any program
//! ```
#![forbid(unsafe_code)]

mod client;
pub mod cni;
pub mod component;
pub mod containerd;
pub mod dns;
pub mod dockerd;
mod error;
mod host;
mod lab;
pub mod machine;
pub mod plugin;
pub mod podman;
pub mod private;
pub mod probe;
mod sandbox;

pub use client::{Answer, Client};
pub use cni::{Cni, CniAnswer};
pub use containerd::Containerd;
pub use error::{LabError, Result};
pub use host::{Host, HostOptions, program, program_named, shim};
pub use lab::Lab;
pub use machine::Machine;
pub use podman::Podman;
pub use sandbox::{Joined, Sandbox};

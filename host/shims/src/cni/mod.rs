//! CNI: what a runtime says by environment and standard input, and what it wants to read.
//!
//! Everything here is pure, and all of it is read in the host: the program only passes on what it was given, but for VERSION and for what it
//! has to say while the host is down. The specification is CNI's, 1.1.0: <https://www.cni.dev/docs/spec/>.

pub mod arguments;
pub mod config;
pub mod failure;
pub mod ranges;
pub mod result;
pub mod runtime;
pub mod shim;
pub mod translate;
pub mod verb;
pub mod version;

pub use config::{Config, Description, DnsConfig, Network, PoolWanted};
pub use failure::Failure;
pub use verb::{Attachment, Verb};
pub use version::Version;

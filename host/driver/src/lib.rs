//! What a network driver is to the host, built-in or Wasm: calls that record a plan, each step checked against the driver's grants.
//!
//! It may not know Wasm, networks' states or sockets. It promises that a driver reaches the kernel by an [`Operation`] alone, that nothing is
//! recorded which the grants do not allow, and that there is one place where that is decided ([`grants`]).
#![forbid(unsafe_code)]

mod call;
pub mod grants;
mod operation;

pub use call::{Driver, Drivers, Features, Identity, LoadedDriver};
pub use operation::{Context, LinkId, Operation, Outcome, OwnLink, Phase, SandboxInterface, StateStore, StateWrite, Versioned};

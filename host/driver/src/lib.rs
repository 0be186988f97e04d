//! What a network driver is to the host, built-in or Wasm: calls that record a plan, each step checked against the driver's grants.
//!
//! It may not know Wasm, networks' states or sockets. It promises that a driver reaches the kernel by an [`Operation`] alone, that nothing is
//! recorded which the grants do not allow, and that there is one place where that is decided ([`grants::decide`]).
//!
//! ```text
//!   Context --new--> Operation --a driver's calls, each a step or a read--> Operation --finish--> Outcome (plan, state, links)
//!                        |                                                      |
//!                        +-- refused: an Error, nothing recorded                +-- dropped: as if it had never been
//! ```
#![forbid(unsafe_code)]

mod call;
mod context;
mod free_ports;
pub mod grants;
mod manifest;
mod operation;
mod ports;
mod state_view;

pub use call::{Driver, Drivers, Features, Identity, LoadedDriver};
pub use context::{Context, LinkId, Outcome, OwnLink, Phase, SandboxInterface, StateStore, StateWrite, Versioned};
pub use free_ports::FreePorts;
pub use manifest::{API_VERSION, Line, Manifest, SECTION, missing, snippet};
pub use operation::{Gateway, Guard, Operation, relink::relink};
pub use ports::{PortBook, PortOwner, PortReservation};

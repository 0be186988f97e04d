//! The API's JSON types, for the server and its clients. Kept apart from the controller's own, so that either may change by itself.
//!
//! Bodies of requests are checked as they are read ([`read`]): a field that nobody knows is refused, and every value arrives as the type
//! that the controller takes.

mod dns;
mod driver;
mod endpoint;
mod event;
mod info;
mod network;
mod problem;
pub mod read;
mod sandbox;
mod text;

pub use dns::{NetworkNames, SandboxNames};
pub use driver::{Calls, Component, Driver};
pub use endpoint::{Connect, CreateEndpoint, Disconnect, Endpoint, Join, Ports};
pub use event::Event;
pub use info::Info;
pub use network::{Auxiliary, CreateNetwork, Lease, Network, Pool, PoolRequest, Pruned};
pub use problem::Problem;
pub use problem::causes as problem_causes;
pub use sandbox::{CreateSandbox, Sandbox};
pub use text::parse_address;

use serde::{Deserialize, Serialize};

/// The answer to a request that leaves no object to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// False: it was so already, and nothing happened.
    pub changed: bool,
}

//! The kernel crate: the only one that makes network system calls, and the only one that has `unsafe` for them.
//!
//! It knows plans, not networks: what a network, an endpoint or a driver is, it may not know. It promises that a plan is applied whole or
//! not at all, that whatever was applied can be taken back after a crash at any moment, and that what is not ours is never touched.
//!
//! ```text
//!   Plan --compile--> Batches --apply--> Kernel (Linux | Simulated)
//!     |                         ^
//!     +--> Journal (before) ----+----> Journal (after)
//! ```

mod compile;
mod dump;
mod error;
pub mod faulty;
#[cfg(test)]
mod fixtures;
pub mod journal;
mod kernel;
mod linux;
mod namespace;
pub mod nft;
pub mod plan;
mod realm;
mod request;
mod sim;
mod takedown;

pub use dump::{
    AddressInfo, Dump, ForwardingInfo, LinkInfo, LinkStatistics, NeighbourInfo, RouteInfo, RouteLookup, RuleInfo,
};
pub use error::{KernelError, Result};
pub use kernel::{FirewallWatch, Kernel, LinkQuery, PortUse};
pub use linux::{Linux, descriptors, netns, sockets};
pub use namespace::{Mark, Namespace, NamespaceId, NamespaceSource};
pub use plan::{Ifindex, LinkAt, Make, Place, Plan, Removal};
pub use realm::{Applied, FirewallNews, Realm, Recovered, RecoveredState, Rider, SandboxAt};
pub use request::{Batch, FirewallChange, Leading, Request, StaleConnections};
pub use sim::Simulated;

/// Marks what is ours: the protocol of our addresses (IFA_PROTO), routes and rules (RTPROT, not in /etc/iproute2/rt_protos) and neighbours.
pub const PROTOCOL: u8 = 0x6a;

//! Write a Jackfield network driver in Rust.
//!
//! A driver decides, and the host acts: each call of [`Driver`] asks for links, addresses, routes and firewall rules by typed functions, and
//! when it returns `Ok` the host does all of it or nothing. There is no teardown to write: what a driver made goes when its network or
//! endpoint goes. A driver keeps nothing in memory between calls; what it has to remember it puts into [`state`].
//!
//! ```no_run
//! use jackfield_sdk::{Driver, EndpointReply, EndpointSpec, JoinReply, JoinSpec, Link, NetworkSpec, Result};
//!
//! struct Pair;
//!
//! impl Driver for Pair {
//!     fn create_network(_network: &NetworkSpec) -> Result<()> {
//!         Ok(())
//!     }
//!     fn create_endpoint(_network: &NetworkSpec, _endpoint: &EndpointSpec) -> Result<EndpointReply> {
//!         Ok(EndpointReply::default())
//!     }
//!     fn join(_join: &JoinSpec) -> Result<JoinReply> {
//!         let (host, sandbox) = Link::create_veth("pair")?;
//!         host.set_up(true)?;
//!         Ok(JoinReply::interface(sandbox, "eth"))
//!     }
//! }
//!
//! # // The manifest is read from the vendor's folder: there is none beside this documentation.
//! # #[cfg(any())]
//! jackfield_sdk::export!(Pair, manifest = "driver.toml");
//! # fn main() {}
//! ```
//!
//! `cargo build --target wasm32-wasip2 --release` makes the component, with nothing else installed. On any other target the same code runs
//! on a backend that a test installs: the crate `jackfield-testkit` brings the host's own rules and a simulated kernel.
//!
//! The crate may know nothing of the host but the WIT package. It promises that a vendor's code never meets a generated type.

mod cidr;
mod driver;
mod error;
mod export;
pub mod firewall;
mod link;
pub mod log;
mod mac;
mod options;
mod route;
mod specs;
pub mod state;

#[cfg(not(target_family = "wasm"))]
pub mod native;
#[cfg(not(target_family = "wasm"))]
use native as backend;

// The canonical ABI passes pointers; all of that is generated, and nothing else stands in here.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
#[doc(hidden)]
pub mod wasm;
#[cfg(target_family = "wasm")]
use wasm as backend;

pub use cidr::Cidr;
pub use driver::{Driver, PublishesPorts};
pub use error::{Error, ErrorCode, Result};
pub use link::{IpvlanMode, Link, LinkState, MacvlanMode, Rate, Statistics, SysctlTable};
pub use mac::Mac;
pub use options::{Options, Pairs, Takes};
pub use route::{Route, RouteLookup, add_rule, lookup_route, remove_rule, supports};
pub use specs::{
    Capabilities, EndpointReply, EndpointSpec, Family, ForwardingEntry, JoinReply, JoinSpec, NetworkSpec, NextHop,
    Pool, PortMapping, Scope, StaticRoute, Transport,
};

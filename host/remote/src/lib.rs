//! Drivers that are processes of their own: Docker's classic network plugins, which the host calls as dockerd would.
//!
//! It may not know networks' states, and it changes no kernel: a plugin makes its links itself, with the privileges that somebody gave it, and
//! what it names is lent to the sandbox by a step of the plan. It promises that each call ends within its deadline, and that a plugin which is
//! dead or hangs costs one of them, not one each: the next callers are told at once, until it is time to try again.
//!
//! ```text
//!   name --discover--> address --activate--> RemoteDriver --a call each--> plugin
//!                         |                       |
//!   none: no such driver -+     breaker: closed --no answer--> open --its time is over--> one tries --answer--> closed
//!                                                   ^------------------------------------------no answer--'
//! ```
//!
//! The protocol is that of the moby project (`docs/extend/plugin_api.md`, libnetwork's `docs/remote.md`): POST of JSON to `/Type.Method` over
//! HTTP/1.1. A plugin acts in the network namespace of the host, so that only networks of the host's own realm can have it.
#![forbid(unsafe_code)]

mod address;
mod breaker;
mod client;
mod discover;
mod driver;
mod drivers;
mod protocol;

pub use address::Address;
pub use discover::Folders;
pub use driver::RemoteDriver;
pub use drivers::RemoteDrivers;

//! Run a driver's calls on a simulated kernel in `cargo test`, without Wasm, root or host.
//!
//! The driver is the vendor's own, the grants and the plan are the host's own code, and the kernel is the one that the host is tested on: it
//! answers as Linux does. A test reads what there is as lines that look like iproute2's.
//!
//! ```ignore
//! let mut host = TestHost::<Ptp>::new(include_str!("../driver.toml"));
//! let network = host.create_network(Network::new().pool("10.1.0.0/24", "10.1.0.1"))?;
//! let sandbox = host.connect(&network, Endpoint::new().address("10.1.0.2/24"))?;
//! host.assert_has("route 10.1.0.2/32 dev pair");
//! sandbox.assert_has("address eth0 10.1.0.2/24");
//! host.disconnect(sandbox)?;
//! host.delete_network(network)?;
//! host.assert_clean();
//! ```
//!
//! A fault of the test's own (an address that is none, a manifest that cannot be read) panics, with a message that says which.
#![forbid(unsafe_code)]

mod backend;
mod convert;
mod host;
mod specs;
mod store;
mod view;

pub use host::{Joined, NetworkHandle, TestHost};
pub use specs::{Endpoint, Network};

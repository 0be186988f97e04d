//! Run a driver's calls on a simulated kernel in `cargo test`, without Wasm, root or host.
//!
//! The driver is the vendor's own, the grants and the plan are the host's own code, and the kernel is the one that the host is tested on: it
//! answers as Linux does. A test reads what there is as lines that look like iproute2's.
//!
//! ```
//! # use jackfield_sdk::{Cidr, Driver, JoinReply, JoinSpec, Link, NetworkSpec, Result, Route};
//! # struct Ptp;
//! # impl Driver for Ptp {
//! #     fn create_network(_: &NetworkSpec) -> Result<()> {
//! #         Ok(())
//! #     }
//! #     fn join(join: &JoinSpec) -> Result<JoinReply> {
//! #         let (host, sandbox) = Link::create_veth("pair")?;
//! #         host.set_up(true)?;
//! #         Route::to(Cidr::host(join.endpoint.addresses[0].address())).add(Some(&host))?;
//! #         Ok(JoinReply::interface(sandbox, "eth"))
//! #     }
//! # }
//! # const MANIFEST: &str = "name = \"ptp\"\nversion = \"0.1.0\"\napi = \"0.1\"\n[requests]\nlinks = [\"veth\"]";
//! use jackfield_testkit::{Endpoint, Network, TestHost};
//!
//! # fn main() -> Result<()> {
//! let mut host = TestHost::<Ptp>::new(MANIFEST);
//! let network = host.create_network(Network::new().pool("10.1.0.0/24", "10.1.0.1"))?;
//! let sandbox = host.connect(&network, Endpoint::new().address("10.1.0.2/24"))?;
//! host.assert_has("route 10.1.0.2/32 dev pair");
//! sandbox.assert_has("address eth0 10.1.0.2/24");
//! host.disconnect(sandbox)?;
//! host.delete_network(network)?;
//! host.assert_clean();
//! # Ok(())
//! # }
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

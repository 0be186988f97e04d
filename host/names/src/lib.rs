//! Names in sandboxes: what they stand for, and the server that answers in each sandbox on 127.0.0.11.
//!
//! It may not know the controller, a driver or nftables: it is told of endpoints and of namespaces, and the kernel crate opens every socket. It
//! promises that no bytes from a sandbox or from an upstream server make it panic or grow, that no sandbox can starve another, and that it
//! keeps no namespace alive that nobody else does.
//!
//! ```text
//!   sandbox: 127.0.0.11:53 --nft, in the sandbox--> 127.0.0.11:HIGH, a socket of the host's
//!
//!   server (one epoll a core, no task a sandbox)
//!     datagram -> answer::decide(bytes, directory) -+-> reply                      pure
//!                                                   +-> forward: cache, then the upstream servers, asked from inside the sandbox
//!                                                       (a loopback one from the realm); a few in flight for each sandbox
//! ```
//!
//! A name is `web`, `web.NETWORK`, or either of them before [`DOMAIN`]; a sandbox knows the names of its own networks only.
#![forbid(unsafe_code)]

mod answer;
mod cache;
mod directory;
pub mod files;
mod forward;
mod limits;
mod resolv_conf;
mod server;
mod upstream;
mod watch;

pub use directory::{DOMAIN, Directory};
pub use resolv_conf::ResolvConf;
pub use server::{Opened, Server, Settings};
pub use watch::Life;

/// Where every sandbox's resolver is: Docker's address, which images and tools know.
pub const ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 0, 0, 11);

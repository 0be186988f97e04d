//! The other end of the shims: what CNI runtimes and Podman ask, by programs that pass it on.
//!
//! It may not decide anything about networks: it finds out who asks and for which namespaces, turns a runtime's words into the controller's
//! requests, and the answer into the runtime's words. It promises that every call is answered in the runtime's own form, that nobody reaches
//! a namespace that is not his, and that what was to be taken down while the host was away is taken down.
//!
//! ```text
//!   shim --socket--> server (deadlines, room) -> receive -> caller (whose realm, whose sandbox) -> cni | netavark
//!                                                                                                     |
//!        tombstones --> spool ------------------------------------------------> attach, network -> controller
//!        time ----> housekeeping: sandboxes that are gone, realms that are idle or gone
//! ```

mod attach;
mod caller;
mod cni;
mod gateways;
mod housekeeping;
mod labels;
mod netavark;
mod network;
mod ports;
mod receive;
mod server;
mod spool;

pub(crate) use housekeeping::keep_house;
pub(crate) use server::{CONNECTIONS, serve};
pub(crate) use spool::Spool;

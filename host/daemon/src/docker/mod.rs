//! Docker's remote network driver and IPAM: every loaded driver is one of Docker's, by a socket of its name in Docker's plugin folder.
//!
//! It may not decide anything about networks either: its handlers parse Docker's calls, ask the controller and convert the answer. It
//! promises an answer of Docker's form to whatever it is sent, within [`method::PATIENCE`]; that a call which failed, or whose answer nobody
//! waited for, has changed nothing; that calls on the way down succeed however often they come; and that it never calls Docker, which would
//! wait for us while we wait for it.
//!
//! ```text
//!   dockerd --unix socket NAME--> plugins --> http --> method (which call, deadline) --> network | endpoint | ipam --> controller
//!                                    ^                                                     fields, options, ports: what Docker says
//!      a driver is loaded, unloaded -+
//! ```
//!
//! An endpoint's life, with what stands in the kernel:
//!
//! ```text
//!   CreateEndpoint   addresses and MAC are fixed            nothing
//!   Join             a foreign sandbox by Docker's key      the pair, both ends in the realm; dockerd moves and names the inner one
//!   Program...       the endpoint has the default route     its published ports
//!   Revoke...        another one has it, or nobody          no ports
//!   Leave            nothing: dockerd has yet to move the interface back
//!   DeleteEndpoint   it leaves, and is gone                 nothing
//! ```
//!
//! **Who is away, and what holds then.** What Docker has made of a network and an endpoint here is on record by Docker's own ids (networks on
//! disk, endpoints until the reboot), so that nothing is asked of Docker ever.
//!
//! - *The host dies or is upgraded while containers run*: links, firewall and addresses stand without it, traffic goes on, and the next
//!   host takes all of it up. Its sockets are replaced; dockerd does not activate a plugin twice, and need not. What Docker asks meanwhile it
//!   asks again, with an empty body at the second time (moby's client has sent the first one): that is refused in words. A DeleteEndpoint
//!   that was missed is made up for by looking whether the sandbox is still there (the controller's `foreign` module).
//! - *dockerd is killed and starts again, without live-restore*: it kills what runs and deletes the endpoints that it finds in its own store,
//!   with the calls that anybody would use. Should it have lost that store, it gives addresses away again that endpoints here
//!   have: it is the one who manages them, so the earlier endpoint is gone, and is deleted for the new one. DeleteNetwork takes what is left.
//! - *With live-restore*: it calls nobody, and nothing is to be done. IPAM it asks for everything again (RequiresRequestReplay), and gets
//!   what it has.
//! - *dockerd never comes back*: the sandboxes' namespaces are kept by its mounts; where those go, the links go, and the endpoints are deleted.
//! - *The machine starts again*: networks are applied from disk, endpoints are gone with their sandboxes, and Docker makes them anew.
//! - *A driver is unloaded*: not while there are networks of it.

mod down;
mod endpoint;
mod fields;
mod http;
mod ids;
mod ipam;
mod managed;
mod method;
mod names;
mod network;
mod options;
mod plugins;
mod ports;
mod record;
mod reply;
mod sweep;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jackfield_controller::Controller;
use jackfield_model::Scope;

use crate::drivers::DriverAdmin;

pub(crate) use managed::open_switches;
pub(crate) use names::is_own_name;
pub(crate) use plugins::Plugins;
pub(crate) use sweep::sweep;

/// One name among Docker's plugins.
#[derive(Clone)]
struct Plugin {
    name: String,
    /// Which driver it stands for; None: it has addresses alone.
    driver: Option<String>,
    /// How far its networks reach, where that is not the driver's to say.
    scope: Option<Scope>,
    /// Longest time for an answer.
    patience: Duration,
    controller: Controller,
    drivers: Arc<dyn DriverAdmin>,
}

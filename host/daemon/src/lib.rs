//! The daemon and its command line: sockets, configuration and wiring around the controller.
//!
//! It may not decide anything about networks: handlers parse, call the controller and convert its answer. It promises that what it
//! refuses it refuses in one sentence, that a slow or hostile caller costs a bounded amount of memory, and that stopping it leaves
//! traffic as it is.
//!
//! ```text
//!   jackfield run, network, ... (cli) --> client --unix socket--> serve --> api --> controller
//!                                           |                                |
//!                                           +------------- wire -------------+
//! ```
#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod client;
mod docker;
mod doctor;
mod drivers;
mod events;
mod paths;
mod plugins;
mod serve;
mod shim;
pub mod wire;

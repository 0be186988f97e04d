//! The controller: networks, endpoints and sandboxes, who may do what when, and what is remembered of it.
//!
//! It may not know netlink, Wasm or a socket. It promises that every request is answered by *done*, *already so* or *denied, because*, that no lock
//! is held over a driver's call, and that after a crash what it says and what the kernel has are the same.
#![forbid(unsafe_code)]

pub mod builtin;
mod controller;
pub mod ipam;
mod letter;
pub mod names;
pub mod request;
mod state;
mod store;

pub use controller::Controller;

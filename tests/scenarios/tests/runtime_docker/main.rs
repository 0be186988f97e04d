//! Docker uses the host's drivers: a real dockerd, real containers, real packets, and nothing left of them.
//!
//! The scene is an honest one: Docker's own firewall drops what is forwarded, bridges' packets pass iptables, and forwarding is off before
//! anybody begins. Without dockerd and root it says so and does nothing.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod addresses;
mod away;
mod life;
mod managed;
mod many;
mod scene;
mod sockets;

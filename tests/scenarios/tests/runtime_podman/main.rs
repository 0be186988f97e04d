//! Podman uses the host's drivers, by CNI and by netavark's plugins: a real Podman, real containers, real packets, and nothing left of them.
//!
//! The host runs on Podman's machine, so that a container's namespace has the same path for both. Without Podman and root, and for netavark
//! without one that knows plugins, it says so and does nothing.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod away;
mod life;
mod many;
mod networks;
mod rootless;
mod scene;

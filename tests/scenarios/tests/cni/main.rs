//! A CNI runtime's life with the plugin, and netavark's: attach, packets, check, collect, detach; with the host away, with networks by name and
//! by description, and with callers that are not root.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod callers;
mod check;
mod collect;
mod drivers;
mod host_down;
mod hostile;
mod life;
mod networks;
mod podman;
mod rootless;
mod scene;

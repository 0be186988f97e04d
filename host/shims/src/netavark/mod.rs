//! netavark's plugins: what Podman says by arguments and standard input, and what it wants to read.
//!
//! What Podman writes may have keys that are new: those are passed over, since nobody wrote them by hand. An error is an object with one key,
//! `error`, and an exit status that is not zero.

pub mod input;
pub mod shim;
pub mod status;

pub use input::{Exec, Network, Subnet};
pub use status::Status;

use serde_json::{Value, json};

/// Of the protocol, as netavark counts it (plugin.rs of netavark 1.6 and later).
const API_VERSION: &str = "1.0.0";

/// The answer to `info`.
pub fn info() -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION"), "api_version": API_VERSION })
}

/// A refusal, as it is printed.
pub fn error(message: &str) -> Value {
    json!({ "error": message })
}

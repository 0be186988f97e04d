//! The host itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `GET /v1/info`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Version of the host.
    pub version: String,
    /// Version of this API.
    pub api: String,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// Process id of the host.
    pub pid: u32,
    /// When it began to serve, in seconds since 1970.
    pub started: u64,
    /// Boot-long state.
    pub run_dir: PathBuf,
    /// Durable state.
    pub state_dir: PathBuf,
    /// Which of the machine's own links may be made to forward.
    #[serde(default)]
    pub forwarding: String,
    /// Names of the drivers.
    pub drivers: Vec<String>,
    /// How many networks there are.
    pub networks: usize,
    /// How many endpoints.
    pub endpoints: usize,
    /// How many sandboxes.
    pub sandboxes: usize,
}

//! Drivers.

use jackfield_model::Scope;
use serde::{Deserialize, Serialize};

/// A driver: built in, or a component that was loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// The name that networks are created with.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Part of the host.
    pub built_in: bool,
    /// Where its networks' state lives.
    pub scope: Scope,
    /// Optional interfaces that it has.
    pub features: Vec<String>,
    /// Version of the driver API that the component was built for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// SHA-256 of the component, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Size of the component, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The version that a rollback brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What it may do, as in the file of grants.
    pub grants: serde_json::Value,
    /// Names of the networks that use it.
    pub networks: Vec<String>,
}

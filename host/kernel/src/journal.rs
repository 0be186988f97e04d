//! The boot-long journal: what the host is about to do, has done and is taking back, so that kill -9 at any moment loses nothing.
//!
//! One file on tmpfs, valid for one boot. Each record is one write: length, CRC-32 and JSON. A torn or corrupt tail ends the file's
//! meaning there and is cut off; a write to tmpfs is not lost by the death of the process that made it, so nothing is fsynced.
//! Records carry *notes* besides: the controller's own boot-long facts (endpoints, leases, drivers' keys), opaque here, so that one write
//! commits the plan and what it means.
//!
//! ```text
//!            Begin ----------> Commit ----------> Release ----------> Done
//!   (plan is on record,   (all makes stand,   (being taken back)  (nothing is left)
//!    makes under way)      removals to run)
//!      | refused, or the host died before Commit
//!      +---------------------------------> makes taken back ------> Done
//! ```

use serde::{Deserialize, Serialize};

use jackfield_model::OperationId;

use crate::{NamespaceId, NamespaceSource, Plan};

/// A fact of the controller's, set or forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its key, as `endpoint/ID`.
    pub key: String,
    /// None forgets it.
    pub value: Option<serde_json::Value>,
}

/// The sandbox that a plan reaches into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRef {
    /// Which namespace it was.
    pub id: NamespaceId,
    /// How to find it again; None when only the caller could (a descriptor that was sent).
    pub source: Option<NamespaceSource>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A plan is about to be applied.
    Begin {
        /// Its operation.
        operation: OperationId,
        /// In which realm.
        realm: NamespaceId,
        /// And into which sandbox.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sandbox: Option<SandboxRef>,
        /// The steps.
        plan: Plan,
    },
    /// Every make stands.
    Commit {
        /// The operation.
        operation: OperationId,
        /// What the controller now knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Note>,
    },
    /// The makes are being taken back.
    Release {
        /// The operation.
        operation: OperationId,
        /// What the controller now knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Note>,
    },
    /// Nothing of it is left; the operation is forgotten.
    Done {
        /// The operation.
        operation: OperationId,
    },
    /// Only notes.
    Notes {
        /// What the controller now knows.
        notes: Vec<Note>,
    },
}

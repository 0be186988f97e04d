//! What a call comes to: an answer, and what takes back what was made for it.

use jackfield_model::{EndpointId, IpNetwork, NetworkId};
use serde_json::{Value, json};

/// What an answer is, and what it takes to have never been.
#[derive(Debug)]
pub struct Reply {
    pub value: Value,
    pub undo: Option<Undo>,
}

/// What was made, and is taken back when nobody heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// A network.
    Network(NetworkId),
    /// An endpoint.
    Endpoint(EndpointId),
    /// Its stay in a sandbox.
    Stay(EndpointId),
    /// Its published ports.
    Ports(EndpointId),
    /// A leased pool.
    Pool(IpNetwork),
    /// An address of one.
    Address(std::net::IpAddr),
}

impl Reply {
    /// An answer that says something.
    pub fn of(value: Value) -> Self {
        Self { value, undo: None }
    }

    /// The one that says that it is so.
    pub fn empty() -> Self {
        Self::of(json!({}))
    }

    /// Something was made for it.
    pub fn undone_by(self, undo: Option<Undo>) -> Self {
        Self { undo, ..self }
    }
}

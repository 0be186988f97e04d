//! What a record says. JSON, so that an upgraded host reads what the older one wrote.

use jackfield_model::OperationId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

use crate::{Ifindex, NamespaceId, NamespaceSource, Plan};

/// A fact of the controller's, set or forgotten. Of two with one key the later holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its key, as `endpoint/ID`.
    pub key: String,
    /// None forgets it.
    pub value: Option<Fact>,
}

/// What a note says: JSON of the controller's, opaque here, which is written once and copied from then on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fact(Box<RawValue>);

impl Fact {
    /// That value.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        to_raw_value(value).map(Self)
    }

    /// The value again.
    ///
    /// # Errors
    /// When it is another one's.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Fact {}

/// The sandbox that a plan reaches into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRef {
    /// Which namespace it was.
    pub id: NamespaceId,
    /// How to find it again; None when only the caller could (a descriptor that was sent).
    pub source: Option<NamespaceSource>,
}

impl Record {
    /// One record for all of them.
    pub fn together(mut records: Vec<Record>) -> Self {
        match (records.len(), records.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                records.extend(last);
                Self::Together { records }
            }
        }
    }
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
        /// The sandbox's loopback was down and is brought up with the plan: an undo takes it down again, a release leaves it up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        raises_loopback: bool,
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
    /// What a committed plan has in the firewall is about to be changed into what this one has.
    Amend {
        /// The operation.
        operation: OperationId,
        /// Its plan from the next [`Record::Amended`] on.
        plan: Plan,
    },
    /// That is done.
    Amended {
        /// The operation.
        operation: OperationId,
        /// What the controller now knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Note>,
    },
    /// That came to nothing: the plan is what it was.
    Unamended {
        /// The operation.
        operation: OperationId,
    },
    /// The removals of a committed plan have been done. Without this they are done again after a crash, with it never: a later
    /// operation may have made the same again.
    Removed {
        /// The operation.
        operation: OperationId,
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
    /// Several facts that hold together or not at all.
    Together {
        /// In this order.
        records: Vec<Record>,
    },
    /// Only notes.
    Notes {
        /// What the controller now knows.
        notes: Vec<Note>,
    },
    /// The highest link index that a realm has given away: written when a journal is rewritten without the operations that had it.
    Reserved {
        /// Which realm.
        realm: NamespaceId,
        /// The index.
        index: Ifindex,
    },
}

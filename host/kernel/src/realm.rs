//! A realm: a network namespace that serves as host, and the one place where plans are applied to it and taken back.

use std::sync::Arc;

use jackfield_model::OperationId;

use crate::{Ifindex, Kernel, KernelError, Namespace, NamespaceId, NamespaceSource, Plan, journal::Note};

/// A sandbox as an operation reaches it: open for the length of the call, and how recovery finds it again.
#[derive(Clone, Debug)]
pub struct SandboxAt {
    /// The open namespace.
    pub namespace: Namespace,
    /// For recovery; None when only the caller could open it.
    pub source: Option<NamespaceSource>,
}

/// A plan that was applied but is not yet committed: `commit` it with the notes that belong to it, or `abort` it. Dropping it aborts.
#[derive(Debug)]
pub struct Applied {
    _operation: OperationId,
}

/// A namespace that serves as host.
#[derive(Debug)]
pub struct Realm {
    kernel: Arc<dyn Kernel>,
    namespace: Namespace,
}

impl Realm {
    /// The kernel behind it.
    pub fn kernel(&self) -> &Arc<dyn Kernel> {
        &self.kernel
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its identity.
    pub fn id(&self) -> NamespaceId {
        self.namespace.id()
    }

    /// A link index that nobody has and that is not handed out again in this boot.
    pub fn reserve_index(&self) -> Ifindex {
        unimplemented!()
    }

    /// Journals the plan, then makes all of it or nothing. Several plans may be applied side by side; each realm's kernel work is done in turn.
    ///
    /// # Errors
    /// The first refusal; everything made before it is taken back by then.
    pub fn apply(&self, _operation: &OperationId, _plan: &Plan, _sandbox: Option<&SandboxAt>) -> Result<Applied, KernelError> {
        unimplemented!()
    }

    /// Takes back a committed operation, last make first, on the state the journal has; journals `notes` with the beginning of it.
    /// Links are out of the sandbox's and the realm's way when this returns; the reaper deletes them afterwards. Idempotent: an unknown operation is done already.
    ///
    /// # Errors
    /// Only when the journal cannot be written. What the kernel does not let go of yet is retried by the reaper.
    pub fn release(&self, _operation: &OperationId, _notes: Vec<Note>) -> Result<(), KernelError> {
        unimplemented!()
    }
}

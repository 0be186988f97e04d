//! What a realm has switched on for its ports and networks, on its links and the machine's.

use std::collections::{BTreeMap, BTreeSet};

use jackfield_kernel::Ifindex;
use jackfield_model::{Family, OperationId};

/// Links on which 127.0.0.1 leads somewhere.
pub(super) type Localnet = BTreeMap<Ifindex, Switched>;

/// A link that is switched on.
#[derive(Debug, Default)]
pub(super) struct Switched {
    /// None where it could not be, or goes with a link that was made so.
    pub operation: Option<OperationId>,
    /// Publications that need it.
    pub users: BTreeSet<OperationId>,
}

/// A link and a family.
pub(super) type Uplink = (Ifindex, Family);

/// The uplinks that forward because of us, each with its operation.
pub(super) type Uplinks = BTreeMap<Uplink, OperationId>;

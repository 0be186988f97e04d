//! A driver's entry in the registry, and what is told of it.

use std::sync::Arc;

use jackfield_driver::{Features, Identity, LoadedDriver, grants::Grants};
use jackfield_model::Capabilities;

use crate::{check::Digest, driver::WasmDriver, shelf::Record, statistics::Statistics};

/// What stands behind a name.
pub(crate) enum Entry {
    /// A driver of the host's own.
    BuiltIn(Arc<dyn LoadedDriver>),
    /// A component's.
    Loaded { driver: Arc<WasmDriver>, record: Record },
    /// Loaded once, and not brought back at the start.
    Absent { record: Record, why: String },
}

impl Entry {
    /// How it is kept; None for a built-in driver.
    pub(crate) fn record(&self) -> Option<&Record> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Loaded { record, .. } | Self::Absent { record, .. } => Some(record),
        }
    }
}

/// All there is to say of a driver.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Which.
    pub identity: Identity,
    /// What it is, in its vendor's words.
    pub description: Option<String>,
    /// None for a built-in driver.
    pub component: Option<ComponentInfo>,
    /// What it may do.
    pub grants: Arc<Grants>,
    /// What it said of itself.
    pub capabilities: Capabilities,
    /// What else it can do.
    pub features: Features,
    /// Since this version was loaded; None for a built-in driver.
    pub statistics: Option<Statistics>,
    /// Why it is absent, when it was loaded once and could not be brought back at the start.
    pub absent: Option<String>,
}

/// The component behind a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentInfo {
    /// The API version that it was built for.
    pub api: String,
    /// Which bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
    /// The version that a rollback brings back.
    pub previous: Option<String>,
}

/// What there is to say of it.
pub(crate) fn inspection(entry: &Entry) -> Inspection {
    match entry {
        Entry::BuiltIn(driver) => of_driver(driver.as_ref()),
        Entry::Loaded { driver, record } => Inspection {
            description: driver.manifest().description.clone(),
            component: Some(component(record, &driver.manifest().api)),
            statistics: Some(driver.statistics()),
            ..of_driver(driver.as_ref())
        },
        Entry::Absent { record, why } => Inspection {
            identity: Identity {
                name: record.name.clone(),
                version: record.current.version.clone(),
            },
            description: None,
            component: Some(component(record, "")),
            grants: Arc::default(),
            capabilities: Capabilities::default(),
            features: Features::default(),
            statistics: None,
            absent: Some(why.clone()),
        },
    }
}

fn of_driver(driver: &dyn LoadedDriver) -> Inspection {
    Inspection {
        identity: driver.identity().clone(),
        description: None,
        component: None,
        grants: driver.grants().clone(),
        capabilities: driver.capabilities(),
        features: driver.features(),
        statistics: None,
        absent: None,
    }
}

fn component(record: &Record, api: &str) -> ComponentInfo {
    ComponentInfo {
        api: api.to_owned(),
        digest: record.current.digest.clone(),
        size: record.current.size,
        previous: record.previous.as_ref().map(|kept| kept.version.clone()),
    }
}

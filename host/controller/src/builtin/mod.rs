//! The drivers that are always there. They have no back door: like everyone else they fill an [`jackfield_driver::Operation`] and never
//! touch the kernel; only their grants are larger.

mod bridge;
mod host;
mod null;
mod options;

use std::{collections::BTreeMap, fmt, sync::Arc};

use jackfield_driver::{Driver, Drivers, Features, Identity, LoadedDriver, grants::Grants};
use jackfield_model::{Capabilities, Result};

pub use bridge::Bridge;
pub use host::Host;
pub use null::Null;
pub use options::OptionHelp;

/// The driver of a network that names none.
pub const DEFAULT: &str = "bridge";

/// A driver of the host itself. Each operation gets a new value of it.
#[derive(Debug)]
pub struct BuiltIn<D> {
    identity: Identity,
    grants: Arc<Grants>,
    features: Features,
    driver: std::marker::PhantomData<fn() -> D>,
}

impl<D: Driver + Default + fmt::Debug + 'static> BuiltIn<D> {
    fn load(name: &str, manages_addresses: bool) -> Arc<dyn LoadedDriver> {
        Arc::new(Self {
            identity: Identity {
                name: name.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            grants: Arc::new(Grants::everything()),
            features: Features {
                ipam: manages_addresses,
                ..Features::default()
            },
            driver: std::marker::PhantomData,
        })
    }
}

impl<D: Driver + Default + fmt::Debug + 'static> LoadedDriver for BuiltIn<D> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn features(&self) -> Features {
        self.features
    }

    fn instance(&self) -> Result<Box<dyn Driver + '_>> {
        Ok(Box::new(D::default()))
    }
}

/// All of them. `null` and `host` say that they manage addresses, and have none: their networks get no pools.
#[derive(Debug)]
pub struct BuiltIns(BTreeMap<&'static str, Arc<dyn LoadedDriver>>);

impl BuiltIns {
    /// Ready for use.
    pub fn new() -> Self {
        Self(BTreeMap::from([
            ("bridge", BuiltIn::<Bridge>::load("bridge", false)),
            ("host", BuiltIn::<Host>::load("host", true)),
            ("null", BuiltIn::<Null>::load("null", true)),
        ]))
    }
}

impl Default for BuiltIns {
    fn default() -> Self {
        Self::new()
    }
}

impl Drivers for BuiltIns {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }
}

/// Whether a realm can have one network of that driver only: the host is there once.
pub fn only_one(driver: &str) -> bool {
    driver == "host"
}

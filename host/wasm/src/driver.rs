//! A loaded component as the rest of the host sees it: one version of a driver.

use std::{fmt, sync::Arc};

use jackfield_driver::{
    Driver, Features, Identity, LoadedDriver, Manifest, Operation,
    grants::{Grants, Limits},
};
use jackfield_model::{Capabilities, Options, Result};
use wasmtime::{Store, component::Component};

use crate::{
    component::Linked,
    engine::Engine,
    guest::Guest,
    instance::Instance,
    statistics::{Counters, Statistics},
};

/// One version of a driver, ready.
pub struct WasmDriver {
    engine: Arc<Engine>,
    linked: Linked,
    identity: Identity,
    /// The identity as the log writes it.
    name: String,
    manifest: Manifest,
    grants: Arc<Grants>,
    capabilities: Capabilities,
    counters: Counters,
}

impl WasmDriver {
    /// Links the component; it has not said a word yet.
    pub(crate) fn new(engine: &Arc<Engine>, component: &Component, manifest: Manifest, grants: Grants) -> Result<Self> {
        let identity = Identity {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
        };
        Ok(Self {
            linked: Linked::new(engine, component).map_err(|e| e.driver(identity.to_string()))?,
            engine: engine.clone(),
            name: identity.to_string(),
            identity,
            manifest,
            grants: Arc::new(grants),
            capabilities: Capabilities::default(),
            counters: Counters::default(),
        })
    }

    /// Makes an instance and calls `config` on it: a driver that cannot do that is not taken.
    pub(crate) fn configure(&mut self, operation: &mut Operation, options: &Options) -> Result<()> {
        let capabilities = self.instance()?.config(operation, options)?;
        self.capabilities = capabilities;
        Ok(())
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How it fares.
    pub fn statistics(&self) -> Statistics {
        self.counters.read()
    }

    pub(crate) fn id(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn linked(&self) -> &Linked {
        &self.linked
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.grants.limits
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn store(&self) -> Store<Guest> {
        Guest::store(&self.engine, &self.name, self.limits())
    }
}

impl LoadedDriver for WasmDriver {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn features(&self) -> Features {
        self.linked.features
    }

    fn instance(&self) -> Result<Box<dyn Driver + '_>> {
        let place = self
            .engine
            .place(self.linked.weight)
            .map_err(|e| e.driver(self.name.clone()))?;
        Ok(Box::new(Instance::new(self, place)))
    }
}

impl fmt::Debug for WasmDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmDriver")
            .field("identity", &self.identity)
            .field("features", &self.linked.features)
            .finish_non_exhaustive()
    }
}

//! What a call of a component costs by itself: an instance made for it, the call, the instance gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jackfield_driver::{Drivers, LoadedDriver, Operation, grants::Grants};
use jackfield_lab::component;
use jackfield_model::{EndpointId, NetworkId, Options};
use jackfield_wasm::{Allowance, CompileSettings, Engine, Outside, Registry, Settings};
use tempfile::TempDir;

use crate::{
    failure::{During, Result},
    figure::{Measured, Taken},
    subject::Subject,
};

/// The word by which this program compiles a component, as a child of itself.
pub const COMPILE: &str = "compile-component";
/// Calls timed in one run, one by one.
const CALLS: usize = 10;

/// See the module.
pub struct Call {
    driver: Arc<dyn LoadedDriver>,
    network: NetworkId,
    endpoint: EndpointId,
    _registry: Registry,
    _folder: TempDir,
}

/// Grants everything: what is measured does nothing.
#[derive(Debug)]
struct Operator;

impl Outside for Operator {
    fn allowance(&self, _driver: &str) -> jackfield_model::Result<Allowance> {
        Ok(Allowance {
            grants: Grants::everything(),
            options: Options::default(),
        })
    }
}

impl Call {
    /// Loads the component.
    ///
    /// # Errors
    /// When it was not built, or is refused.
    pub fn new() -> Result<Self> {
        let bytes = component::read("ptp").during("read the component")?;
        let folder = tempfile::tempdir().during("make a folder")?;
        let settings = Settings {
            state: folder.path().join("state"),
            cache: folder.path().join("cache"),
            compile: CompileSettings::this_program([COMPILE]),
        };
        let engine = Engine::new().during("start the engine")?;
        let registry = Registry::open(&engine, settings, Arc::new(Operator)).during("open the registry")?;
        let loaded = registry.load(&bytes).during("load the component")?;
        let name = loaded.identity().name.clone();
        let driver = registry
            .find(&name)
            .ok_or("it is not there")
            .during("find the component")?;
        Ok(Self {
            driver,
            network: NetworkId::random(),
            endpoint: EndpointId::random(),
            _registry: registry,
            _folder: folder,
        })
    }

    /// The smallest of a driver's calls: the instance and the way there and back are what is measured.
    fn call(&self) -> Result<Duration> {
        let mut operation = Operation::detached();
        let start = Instant::now();
        let mut instance = self.driver.instance().during("make an instance")?;
        let called = instance.delete_endpoint(&mut operation, &self.network, &self.endpoint);
        drop(instance);
        let took = start.elapsed();
        called.during("call the driver")?;
        Ok(took)
    }
}

impl Subject for Call {
    fn run_once(&mut self) -> Result<Taken> {
        (0..CALLS)
            .map(|_| Ok((Measured::DriverCallFresh, self.call()?.into())))
            .collect()
    }
}

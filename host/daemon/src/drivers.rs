//! The drivers as the API manages them, and as the controller finds them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use jackfield_controller::builtin::BuiltIns;
use jackfield_driver::{Drivers, LoadedDriver};
use jackfield_model::Result;
use jackfield_wasm::{Change, Inspection, Registry};

/// Loads, replaces and unloads drivers. Blocking: a component may have to be compiled. What each refuses is told by [`Registry`].
pub(crate) trait DriverAdmin: Drivers {
    /// Compiles, tries and keeps a component.
    fn load(&self, component: &[u8]) -> Result<Change>;
    /// Puts a component in the place of the driver of that name; calls in flight end on the version that they began on.
    fn upgrade(&self, name: &str, component: &[u8]) -> Result<Change>;
    /// Brings the version before the present one back.
    fn rollback(&self, name: &str) -> Result<Change>;
    /// Forgets a driver, unless there are networks that use it.
    fn unload(&self, name: &str, users: &dyn Fn() -> Vec<String>) -> Result<()>;
    /// All drivers, by name.
    fn list(&self) -> Vec<Inspection>;
    /// One driver.
    fn inspect(&self, name: &str) -> Result<Inspection>;
    /// Where the driver of that name listens, if it is a process of its own.
    fn plugin(&self, _name: &str) -> Option<String> {
        None
    }
}

impl DriverAdmin for Registry {
    fn load(&self, component: &[u8]) -> Result<Change> {
        self.load(component)
    }

    fn upgrade(&self, name: &str, component: &[u8]) -> Result<Change> {
        self.upgrade(name, component)
    }

    fn rollback(&self, name: &str) -> Result<Change> {
        self.rollback(name)
    }

    fn unload(&self, name: &str, users: &dyn Fn() -> Vec<String>) -> Result<()> {
        self.unload(name, users)
    }

    fn list(&self) -> Vec<Inspection> {
        self.list()
    }

    fn inspect(&self, name: &str) -> Result<Inspection> {
        self.inspect(name)
    }
}

/// What the controller finds drivers in while the host starts: first the built-in ones alone, then the registry.
///
/// The registry brings drivers back by calling their `config`, for which it needs the controller's stores; and the controller needs drivers to
/// be opened. Until the registry is there, a loaded driver is one that is absent: what waits for it is tried again.
#[derive(Default)]
pub(crate) struct Starting {
    built_in: BuiltIns,
    registry: OnceLock<Arc<dyn DriverAdmin>>,
}

impl Starting {
    /// From now on the registry, which has the built-in drivers too.
    pub fn started(&self, registry: Arc<dyn DriverAdmin>) {
        // Set once, by the one who opens the host; a second registry would be ignored.
        let _ = self.registry.set(registry);
    }

    fn now(&self) -> &dyn Drivers {
        match self.registry.get() {
            Some(registry) => registry.as_ref(),
            None => &self.built_in,
        }
    }
}

impl Drivers for Starting {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        self.now().find(name)
    }

    fn names(&self) -> Vec<String> {
        self.now().names()
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Starting").field(&self.now()).finish()
    }
}

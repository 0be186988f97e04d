//! A compiled component with its imports linked: what instances are made from.

use jackfield_driver::Features;
use jackfield_model::{Error, Result};
use jackfield_wasm_bindings::exports::jackfield::driver::{driver, external_connectivity};
use wasmtime::component::{Component, InstancePre};

use crate::{
    engine::{Engine, weight},
    guest::Guest,
    host,
};

/// Ready to be instantiated.
pub(crate) struct Linked {
    pub(crate) instance: InstancePre<Guest>,
    pub(crate) driver: driver::GuestIndices,
    pub(crate) ports: Option<external_connectivity::GuestIndices>,
    pub(crate) features: Features,
    /// Memories of the pool that an instance counts for.
    pub(crate) weight: u32,
}

impl Linked {
    /// Links a component to the host and looks its exports up.
    ///
    /// # Errors
    /// invalid-argument, when an import or export has another type than the package gives it, or when it takes more than an instance may.
    pub(crate) fn new(engine: &Engine, component: &Component) -> Result<Self> {
        let mut linker = host::linker(engine.wasmtime())?;
        host::answer_unknown(&mut linker, component).map_err(|e| unfit("one of its imports cannot be answered", e))?;
        let instance = linker
            .instantiate_pre(component)
            .map_err(|e| unfit("its imports do not fit", e))?;
        let exports = |interface: &str| {
            component
                .get_export_index(None, format!("jackfield:driver/{interface}@0.1.0"))
                .is_some()
        };
        let driver = driver::GuestIndices::new(&instance).map_err(|e| unfit("its export driver does not fit", e))?;
        let ports = exports("external-connectivity")
            .then(|| external_connectivity::GuestIndices::new(&instance))
            .transpose()
            .map_err(|e| unfit("its export external-connectivity does not fit", e))?;
        let features = Features {
            external_connectivity: ports.is_some(),
            discovery: exports("discovery"),
            ipam: exports("ipam"),
        };
        Ok(Self {
            instance,
            driver,
            ports,
            features,
            weight: weigh(component),
        })
    }
}

/// A component that does not say what it needs counts as a large one.
fn weigh(component: &Component) -> u32 {
    component
        .resources_required()
        .map_or(weight(32, 32), |needs| weight(needs.num_memories, needs.num_tables))
}

fn unfit(what: &str, cause: wasmtime::Error) -> Error {
    let message = format!(
        "the component does not fit the driver API: {what} ({})",
        crate::output::one_line(&cause.root_cause().to_string(), 300)
    );
    Error::invalid(message).caused_by(cause.into_boxed_dyn_error())
}

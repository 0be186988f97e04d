//! What the host keeps for one instance while it lives: the operation under way, the handles that the guest holds, and its budgets.

use jackfield_driver::{LinkId, Operation, grants::Limits};
use jackfield_model::ErrorCode;
use jackfield_wasm_bindings::{Failure, LinkHandle};
use wasmtime::{
    ResourceLimiter, Store, StoreLimits,
    component::{Resource, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::{
    convert,
    engine::{CORE_INSTANCES_MAX, Engine, MEMORY_MAX, TABLE_ELEMENTS_MAX},
    output::Output,
};

/// Handles that a guest may hold at a time, of links and of streams.
const HANDLES_MAX: usize = 1_024;
/// Bytes of strings and lists that the host takes over from a guest in one call.
const HOST_CALL_BYTES: usize = 1 << 20;

/// The data of a store.
pub(crate) struct Guest {
    /// The operation under way; detached between calls.
    pub(crate) operation: Operation,
    /// Which driver, for the log.
    pub(crate) driver: String,
    /// What it printed.
    pub(crate) output: Output,
    /// Calls that the operation's grants did not allow.
    pub(crate) denials: u64,
    pub(crate) memory: MemoryBudget,
    table: ResourceTable,
    calls: u64,
    calls_max: u64,
    wasi: WasiCtx,
}

impl Guest {
    /// A store for a fresh instance, within these limits.
    pub(crate) fn store(engine: &Engine, driver: &str, limits: &Limits) -> Store<Self> {
        let output = Output::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        // Nothing is added to it: no files, no environment, no arguments, no network. Clocks and random numbers remain.
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output.clone())
            .stderr(output.clone())
            .allow_tcp(false)
            .allow_udp(false);
        let guest = Self {
            operation: Operation::detached(),
            driver: driver.to_owned(),
            output,
            denials: 0,
            memory: MemoryBudget::new(limits.memory_bytes.min(MEMORY_MAX)),
            table,
            calls: 0,
            calls_max: u64::from(limits.host_calls_per_operation),
            wasi: wasi.build(),
        };
        let mut store = Store::new(engine.wasmtime(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(HOST_CALL_BYTES);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }

    /// A new call begins, on this operation.
    pub(crate) fn begin(&mut self, operation: Operation) {
        self.operation = operation;
        self.calls = 0;
        self.output.clear();
    }

    /// Asks the operation. What it refuses the guest is told.
    pub(crate) fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut Operation) -> jackfield_model::Result<T>,
    ) -> Result<T, Failure> {
        self.charge()?;
        question(&mut self.operation).map_err(|error| {
            if error.code == ErrorCode::Denied {
                self.denials += 1;
                tracing::warn!(target: "audit", driver = %self.driver, "denied: {}", error.message);
            }
            convert::error_to_guest(error)
        })
    }

    /// Counts a call into the host. The operation itself answers `exhausted` when its grant is used up; a guest that goes on all the same
    /// is flooding.
    pub(crate) fn charge(&mut self) -> wasmtime::Result<()> {
        self.calls += 1;
        if self.calls > self.calls_max.saturating_mul(2) {
            return Err(wasmtime::Error::msg(format!(
                "it called the host more than {} times in one operation",
                self.calls - 1
            )));
        }
        Ok(())
    }

    /// The link behind a handle.
    pub(crate) fn link(&self, handle: &Resource<LinkHandle>) -> wasmtime::Result<LinkId> {
        Ok(LinkId(self.table.get(handle)?.0))
    }

    /// A new handle for a link.
    pub(crate) fn hand_out(&mut self, link: LinkId) -> Result<Resource<LinkHandle>, Failure> {
        self.table.push(LinkHandle(link.0)).map_err(|_| {
            self.operation.forget(link);
            convert::told(
                ErrorCode::Exhausted,
                format!("the driver holds too many handles: at most {HANDLES_MAX}, drop those it is done with"),
            )
        })
    }

    /// Takes a handle back that the guest gave away.
    pub(crate) fn take_back(&mut self, handle: Resource<LinkHandle>) -> wasmtime::Result<LinkId> {
        Ok(LinkId(self.table.delete(handle)?.0))
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// All memories of an instance together, and the smaller budgets around them.
pub(crate) struct MemoryBudget {
    max: u64,
    used: u64,
    /// The guest asked for more than it may have.
    pub(crate) refused: bool,
    rest: StoreLimits,
}

impl MemoryBudget {
    fn new(max: u64) -> Self {
        let rest = wasmtime::StoreLimitsBuilder::new()
            .table_elements(TABLE_ELEMENTS_MAX)
            .instances(CORE_INSTANCES_MAX as usize)
            .tables(CORE_INSTANCES_MAX as usize)
            .memories(CORE_INSTANCES_MAX as usize)
            .build();
        Self {
            max,
            used: 0,
            refused: false,
            rest,
        }
    }

    /// In bytes.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }
}

impl ResourceLimiter for MemoryBudget {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.max {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.rest.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.rest.instances()
    }

    fn tables(&self) -> usize {
        self.rest.tables()
    }

    fn memories(&self) -> usize {
        self.rest.memories()
    }
}

//! The engine that all drivers share: its limits, its clock, and how many guests there may be at once.
//!
//! Two clocks end a guest. Epochs, ticked by a thread of their own, make a guest that spins give way, so that its deadline is looked at at
//! all; the deadline itself is a wall clock, because epochs do not pass for a guest that waits in a call of the host.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::Duration,
};

use jackfield_model::{Error, ErrorCode, Result};
use tokio::{
    runtime::Runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Memory that one instance can have at most, whatever it was granted. The address space of each slot of the pool, so that a memory
/// never moves.
pub const MEMORY_MAX: u64 = 64 << 20;
/// Elements of one table. Function tables of script engines have some thousands.
pub const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Core instances in one component: script guests link dozens of shared libraries.
pub const CORE_INSTANCES_MAX: u32 = 256;
/// Instances at work at the same time, counted in memories: most guests have one. As many as the host has threads to block.
const MEMORIES: u32 = 512;
/// Tables of the pool for each memory: a component of one memory has one for its calls and one for the adapters around it.
const TABLES_PER_MEMORY: u32 = 4;
/// How long a guest that spins can keep its thread from looking at the clock.
const TICK: Duration = Duration::from_millis(10);
/// Stack of a guest.
const WASM_STACK: usize = 512 << 10;
/// The stack that a guest's and the host's frames share: the host's part is generous, since imports read netlink.
const STACK: usize = 2 << 20;

/// Of a memory that an instance leaves, what is made as new in place instead of being given back and faulted in again by the next one. A Rust
/// guest has its stack in the first MiB and its data behind it. Only where the kernel tells which pages were written to (Linux 6.7):
/// elsewhere all of it would be written anew each time.
const RESIDENT: usize = 2 << 20;
/// The same of a table: one page, 512 functions.
const RESIDENT_TABLE: usize = 4 << 10;

/// The shared engine.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    places: Arc<Semaphore>,
    /// Drives the clocks of guests' calls; no guest runs on its thread. None only while it is dropped.
    clock: Option<Runtime>,
}

impl Engine {
    /// Reserves the address space for all guests and starts the two clocks.
    ///
    /// # Errors
    /// When the system lets no thread be started or the address space be reserved.
    pub fn new() -> Result<Arc<Self>> {
        let mut config = compile_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        let wasmtime = wasmtime::Engine::new(&config)
            .map_err(|e| start_error("the WebAssembly engine does not start").caused_by(e))?;
        let clock = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("guest-clock")
            .enable_all()
            .build()
            .map_err(|e| start_error("the guests' clock does not start").caused_by(e))?;
        tick(&wasmtime)?;
        Ok(Arc::new(Self {
            wasmtime,
            places: Arc::new(Semaphore::new(MEMORIES as usize)),
            clock: Some(clock),
        }))
    }

    /// Wasmtime's own engine.
    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// A place in the pool for an instance of that weight.
    ///
    /// # Errors
    /// exhausted and retryable, when all places are taken. Nobody waits here: a caller who did would hold his endpoint's turn meanwhile.
    pub(crate) fn place(&self, weight: u32) -> Result<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_many_owned(weight).map_err(|_| {
            let message =
                format!("too many driver calls are at work: at most {MEMORIES} instances run at a time, try again");
            Error::new(ErrorCode::Exhausted, message).retryable()
        })
    }

    /// Runs a call to its end, or to its deadline: then it is dropped where it stands, and None returned. Blocks this thread.
    pub(crate) fn run<T>(&self, deadline: Duration, call: impl Future<Output = T>) -> Option<T> {
        // The runtime is taken out by drop alone. It is entered for its clock, and not blocked on, which would be refused on a thread that
        // polls a connection.
        let _clock = self.clock.as_ref()?.enter();
        // On such a thread the call would spend what tokio lets the connection's task do before it gives way, and that is not renewed while
        // this thread sleeps: after 128 reads and writes nothing would be ready any more, the deadline neither.
        block_on(unconstrained(tokio::time::timeout(deadline, call))).ok()
    }

    /// What compiled code depends on besides the component: code compiled under another value is of no use here.
    pub(crate) fn compatibility(&self) -> u64 {
        compatibility(&self.wasmtime)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting for its thread is not allowed where the last owner may be an asynchronous task.
        if let Some(clock) = self.clock.take() {
            clock.shutdown_background();
        }
    }
}

/// Polls to the end on this thread, which sleeps in between.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let (mut future, waker) = (pin!(future), Arc::new(Sleeper(thread::current())).into());
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            // A wake-up since the poll lets this return at once.
            Poll::Pending => thread::park(),
        }
    }
}

struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn start_error(message: &str) -> Error {
    Error::internal(message)
}

/// A hash of all that decides whether compiled code fits an engine.
pub(crate) fn compatibility(engine: &wasmtime::Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// What compiled code depends on: the same in the host and in the process that compiles, which has no pool.
pub(crate) fn compile_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_reservation(MEMORY_MAX)
        .memory_guard_size(64 << 10)
        .memory_may_move(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MEMORIES)
        .total_core_instances(MEMORIES * CORE_INSTANCES_MAX)
        .total_memories(MEMORIES)
        .total_tables(MEMORIES * TABLES_PER_MEMORY)
        .total_stacks(MEMORIES)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(CORE_INSTANCES_MAX)
        .max_tables_per_component(CORE_INSTANCES_MAX)
        .max_memory_size(MEMORY_MAX as usize)
        .table_elements(TABLE_ELEMENTS_MAX);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(RESIDENT)
            .table_keep_resident(RESIDENT_TABLE);
    }
    pool
}

/// How many of the pool's memories an instance counts for, by what its component declares.
pub(crate) fn weight(memories: u32, tables: u32) -> u32 {
    memories.max(tables.div_ceil(TABLES_PER_MEMORY)).clamp(1, MEMORIES)
}

fn tick(engine: &wasmtime::Engine) -> Result<()> {
    let engine = engine.weak();
    let beat = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("guest-epochs".to_owned())
        .spawn(beat)
        .map(drop)
        .map_err(|e| start_error("the thread that ticks for guests does not start").caused_by(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_process_that_compiles_fits_the_engine_that_runs() {
        let compiling = wasmtime::Engine::new(&compile_config()).unwrap();
        assert_eq!(compatibility(&compiling), Engine::new().unwrap().compatibility());
    }

    #[test]
    fn a_call_of_many_steps_on_a_thread_that_polls_a_connection_goes_on_and_ends_at_its_deadline() {
        let engine = Engine::new().unwrap();
        let connection = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let steps = async || {
            for _ in 0..1_000 {
                tokio::task::consume_budget().await;
            }
        };
        let (ended, late) = connection.block_on(async {
            let endless = async {
                steps().await;
                std::future::pending::<()>().await;
            };
            (
                engine.run(Duration::from_secs(60), steps()),
                engine.run(Duration::from_millis(50), endless),
            )
        });
        assert_eq!((ended, late), (Some(()), None));
    }

    #[test]
    fn a_guest_weighs_what_it_takes_of_the_pool() {
        for (memories, tables, expected) in [(0, 0, 1), (1, 2, 1), (3, 3, 3), (1, 33, 9), (1 << 20, 0, MEMORIES)] {
            assert_eq!(
                weight(memories, tables),
                expected,
                "{memories} memories, {tables} tables"
            );
        }
    }

    #[test]
    fn when_all_places_are_taken_the_refusal_says_so_and_a_place_given_back_is_free_again() {
        let engine = Engine::new().unwrap();
        let all = engine.place(MEMORIES).unwrap();
        let refusal = engine.place(1).unwrap_err();
        assert_eq!((refusal.code, refusal.retryable), (ErrorCode::Exhausted, true));
        drop(all);
        assert!(engine.place(1).is_ok());
    }
}

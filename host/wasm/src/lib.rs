//! Drivers as sandboxed WebAssembly components: the only crate that knows wasmtime.
//!
//! It may not know networks, sockets or the kernel: a guest reaches the host through [`jackfield_driver::Operation`], which checks each step
//! against the driver's grants. It promises that no component, however it was made, takes more time, memory or handles than it was granted,
//! or takes another driver or the host down with it; that what it says ends up bounded, on one line, beside the driver's name and version;
//! and that a driver is replaced without a call failing.
//!
//! ```text
//!   bytes --check--> manifest, digest --compile (a process of its own, or the cache)--> component --link--> WasmDriver
//!                                                                                                              |
//!   registry: name -> Arc<WasmDriver> (swapped whole)                            instance: one for each operation
//! ```

mod cache;
mod check;
mod compile;
mod component;
mod convert;
mod deserialise;
mod driver;
mod engine;
mod entry;
mod folder;
mod guest;
mod host;
mod instance;
mod output;
mod registry;
mod shelf;
mod statistics;
mod trap;

pub use check::{COMPONENT_MAX, Checked, Digest, check};
pub use compile::{CompileSettings, compile_child_main};
pub use driver::WasmDriver;
pub use engine::{Engine, MEMORY_MAX};
pub use entry::{ComponentInfo, Inspection};
pub use registry::{Allowance, Change, Outside, Registry, Settings};
pub use statistics::Statistics;

//! Compiled code becomes a component again. The one unsafe function of this crate.

use jackfield_model::{Error, Result};
use wasmtime::component::Component;

use crate::{cache::Code, engine::Engine};

/// The component of this code.
///
/// # Errors
/// When the code is of another engine than this: the caller compiles anew.
#[allow(unsafe_code)]
pub(crate) fn component(engine: &Engine, code: &Code) -> Result<Component> {
    // SAFETY: `deserialize` runs its bytes as code, so they have to come from a compiler of this wasmtime, unchanged. A `Code` is made in two
    // places: from the output of the compile process, which is this very program, and from a cache entry whose owner, mode and SHA-256 were
    // checked on the open file, in a folder that only this user can write to. Whether it fits this engine, `deserialize` checks itself.
    let component = unsafe { Component::deserialize(engine.wasmtime(), code.bytes()) };
    component
        .map_err(|e| Error::internal("the compiled code does not fit this engine").caused_by(e.into_boxed_dyn_error()))
}

//! Compiled code becomes a component again. The one unsafe function of this crate.

use jackfield_model::{Error, Result};
use wasmtime::{Precompiled, component::Component};

use crate::{cache::Code, engine::Engine, output::one_line};

/// The component of this code.
///
/// # Errors
/// internal when the code is of another engine than this, and invalid-argument when the component takes more than an instance can have.
#[allow(unsafe_code)]
pub(crate) fn component(engine: &Engine, code: &Code) -> Result<Component> {
    if wasmtime::Engine::detect_precompiled(code.bytes()) != Some(Precompiled::Component) {
        return Err(Error::internal(
            "the compiled code is none: the compiler is not of this host's build",
        ));
    }
    // SAFETY: `deserialize` runs its bytes as code, so they have to come from a compiler of this wasmtime, unchanged. A `Code` is made in two
    // places: from the output of the compile process, which is this very program, and from a cache entry whose owner, mode and SHA-256 were
    // checked on the open file, in a folder that only this user can write to. Whether it fits this engine, `deserialize` checks itself.
    let component = unsafe { Component::deserialize(engine.wasmtime(), code.bytes()) };
    component.map_err(|cause| {
        let words = one_line(&cause.root_cause().to_string(), 300);
        Error::invalid(format!("the component cannot be loaded: {words}")).caused_by(cause.into_boxed_dyn_error())
    })
}

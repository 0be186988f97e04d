//! What a guest can ask of the host: thin conversions onto [`jackfield_driver::Operation`], which decides. One file an interface.
//!
//! An import has no way to call back into the guest: with the engine's concurrency support off, that would silently succeed.

mod firewall;
mod link;
mod log;
mod netlink;
mod state;
mod unknown;

use jackfield_model::{Error, Result};
use jackfield_wasm_bindings::{
    Failure,
    jackfield::driver::{self, types},
};
use wasmtime::component::{HasSelf, Linker};

use crate::{convert, guest::Guest};

pub(crate) use unknown::answer_unknown;

/// A linker with all that this host gives.
///
/// # Errors
/// Only by a fault of ours: two definitions of one name.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    add(&mut linker).map_err(|e| Error::internal("the host's functions cannot be linked").caused_by(e))?;
    Ok(linker)
}

fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    driver::types::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    driver::netlink::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    driver::firewall::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    driver::state::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    driver::log::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

impl types::Host for Guest {
    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<types::Error> {
        match failure {
            Failure::Told(error) => Ok(error),
            Failure::Ended(error) => Err(error),
        }
    }
}

/// A value of the guest's that was checked, or the refusal that it is told.
fn checked<T>(value: Result<T>) -> Result<T, Failure> {
    value.map_err(convert::error_to_guest)
}

/// A function that has no way to tell an error ends the guest with it.
fn answered<T>(answer: Result<T, Failure>) -> wasmtime::Result<T> {
    answer.map_err(|failure| match failure {
        Failure::Told(error) => wasmtime::Error::msg(error.message),
        Failure::Ended(error) => error,
    })
}

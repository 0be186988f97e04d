//! The WIT package `jackfield:driver` in Rust, generated.
//!
//! A crate of its own because the generated code takes longer to compile than all that uses it, and changes less often. It may not know
//! what stands behind an import; it promises that imports may fail with a word for the guest or with the end of the guest ([`Failure`]),
//! and that each export can be looked up by itself, since most drivers have only some of them.
// What the generator makes of the package's interfaces carries the package's own documentation; its glue has none.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    inline: "
        package jackfield:host;

        /// All that a driver may import and all that it may export. No driver has every export, so nobody instantiates this world as a
        /// whole: exports are looked up one by one.
        world everything {
            include jackfield:driver/host@0.1.0;
            export jackfield:driver/driver@0.1.0;
            export jackfield:driver/external-connectivity@0.1.0;
            export jackfield:driver/discovery@0.1.0;
            export jackfield:driver/ipam@0.1.0;
        }
    ",
    path: "../../../wit",
    world: "jackfield:host/everything",
    imports: { default: trappable },
    exports: { default: async },
    trappable_error_type: { "jackfield:driver/types.error" => Failure },
    with: { "jackfield:driver/netlink.link": LinkHandle },
});

/// What stands behind a guest's `link`: the number of a handle of the operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkHandle(pub u32);

/// Why an import did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// An answer to the guest, which goes on.
    Told(jackfield::driver::types::Error),
    /// The guest has no claim to an answer: it ends here.
    Ended(wasmtime::Error),
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Ended(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for Failure {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Ended(error.into())
    }
}

//! The functions as a component makes them: calls into the generated bindings, between conversions.

mod calls;
mod convert;
mod exports;

pub(crate) use calls::*;
pub use exports::Exported;

#[allow(missing_docs, clippy::all)] // Generated.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "network-driver",
        pub_export_macro: true,
        export_macro_name: "export_driver",
    });
}

/// The optional exports are a world of their own, so that a driver without them does not have them.
#[allow(missing_docs, clippy::all)] // Generated.
pub mod ports_bindings {
    wit_bindgen::generate!({
        inline: "
            package jackfield:sdk;
            world ports {
                export jackfield:driver/external-connectivity@0.1.0;
            }
        ",
        path: "../../wit",
        world: "jackfield:sdk/ports",
        with: { "jackfield:driver/types@0.1.0": super::bindings::jackfield::driver::types },
        pub_export_macro: true,
        export_macro_name: "export_ports",
    });
}

/// A link's handle.
pub type Handle = bindings::jackfield::driver::netlink::Link;

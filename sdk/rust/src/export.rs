//! Making a component of a driver.

/// Exports a [`crate::Driver`] from the component, with its manifest, whose path is relative to the vendor's Cargo.toml.
///
/// `export!(Ptp, manifest = "driver.toml");`, or for one that is [`crate::PublishesPorts`] too
/// `export!(Ptp, manifest = "driver.toml", publishes_ports);`. On other targets than wasm it does nothing but check the types.
#[macro_export]
macro_rules! export {
    ($driver:ty, manifest = $manifest:literal) => {
        $crate::export!(@driver $driver, $manifest);
    };
    ($driver:ty, manifest = $manifest:literal, publishes_ports) => {
        $crate::export!(@driver $driver, $manifest);

        #[cfg(target_family = "wasm")]
        const _: () = {
            type JackfieldPorts = $crate::wasm::Exported<$driver>;
            $crate::wasm::ports_bindings::export_ports!(JackfieldPorts with_types_in $crate::wasm::ports_bindings);
        };
        const _: fn() = || {
            fn publishes_ports<D: $crate::PublishesPorts>() {}
            publishes_ports::<$driver>();
        };
    };
    (@driver $driver:ty, $manifest:literal) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type JackfieldDriver = $crate::wasm::Exported<$driver>;
            $crate::wasm::bindings::export_driver!(JackfieldDriver with_types_in $crate::wasm::bindings);

            const BYTES: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $manifest));
            #[used]
            #[unsafe(link_section = "jackfield:manifest")]
            static MANIFEST: [u8; BYTES.len()] = *include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $manifest));
        };
        const _: fn() = || {
            fn is_driver<D: $crate::Driver>() {}
            is_driver::<$driver>();
        };
    };
}

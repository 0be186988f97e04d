//! Run a driver's calls on a simulated kernel in `cargo test`, without Wasm, root or host.

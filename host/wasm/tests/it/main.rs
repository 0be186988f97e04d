//! Components, most of them hostile, against the registry as the host has it: one binary, since linking an engine takes long.
// What is not as a test expects it is to fail it, in its helpers, too.
#![allow(clippy::unwrap_used)]

mod guests;
mod hostile;
mod refused;
mod replaced;
mod vendor;

//! Components, most of them hostile, against the registry as the host has it: one binary, since linking an engine takes long.

mod guests;
mod hostile;
mod refused;
mod replaced;
mod vendor;

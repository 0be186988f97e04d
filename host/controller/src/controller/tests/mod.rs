//! The controller on the simulated kernel: what it promises whatever drivers, kernel and callers do.

mod addresses;
mod concurrency;
mod crash;
mod drivers;
mod fixture;
mod lifecycle;
mod names;
mod ports;
mod random;
mod realms;
mod recovery;
mod runtime;
mod services;

//! Lines for the host's log, marked with the driver's name.

use crate::backend;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the driver's author, in detail.
    Trace,
    /// For the driver's author.
    Debug,
    /// For the operator.
    Info,
    /// Something that the operator should look at.
    Warn,
    /// Something failed.
    Error,
}

/// Writes a line.
pub fn log(level: Level, message: &str) {
    backend::log(level, message);
}

/// Writes a line for the operator.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// Writes a line that the operator should look at.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

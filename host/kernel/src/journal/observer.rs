//! Who looks on as records are written: tests that crash at every boundary, and fault points in a host that is killed for real.

use std::{fmt, io};

use super::Record;

/// Sees each record, on the writer's thread. An error before the write keeps the record from being written; one after it is the
/// writer's answer although the record stands: both are what a writer sees that dies there.
pub trait Observer: fmt::Debug + Send + Sync {
    /// The record is about to be written.
    ///
    /// # Errors
    /// What the writer is to be answered.
    fn before(&self, record: &Record) -> io::Result<()>;

    /// The record is written.
    ///
    /// # Errors
    /// What the writer is to be answered.
    fn after(&self, record: &Record) -> io::Result<()>;
}

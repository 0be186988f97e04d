//! What a driver remembers between operations. Writes are committed with the operation's plan, or not at all.
//!
//! A key has 1 to 256 bytes, a value at most 64 KiB. Where two operations meet on a key, the later is dropped and called again.

use crate::{Result, backend};

/// A value; None when there is no such key.
pub fn get(key: &str) -> Result<Option<Vec<u8>>> {
    backend::state_get(key)
}

/// Writes a value.
pub fn set(key: &str, value: &[u8]) -> Result<()> {
    backend::state_set(key, value)
}

/// Deletes a key.
pub fn delete(key: &str) -> Result<()> {
    backend::state_delete(key)
}

/// Keys that begin with `prefix`, in order, at most `limit`, after `after`.
pub fn list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
    backend::state_list(prefix, after, limit)
}

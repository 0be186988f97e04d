//! The interface `state`. The bounds of keys and values are the operation's.

use jackfield_wasm_bindings::{Failure, jackfield::driver::state::Host};
use wasmtime::Result;

use crate::guest::Guest;

/// Keys listed in one call, whatever was asked for: the rest comes with the next, after the last key of this.
const KEYS_MAX: u32 = 1_000;

impl Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Failure> {
        self.ask(|op| op.state_get(&key))
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), Failure> {
        self.ask(|op| op.state_set(&key, &value))
    }

    fn delete(&mut self, key: String) -> Result<(), Failure> {
        self.ask(|op| op.state_delete(&key))
    }

    fn list_keys(&mut self, prefix: String, after: Option<String>, limit: u32) -> Result<Vec<String>, Failure> {
        self.ask(|op| op.state_list(&prefix, after.as_deref(), limit.min(KEYS_MAX)))
    }
}

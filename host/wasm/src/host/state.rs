//! The interface `state`. The bounds of keys, values and lists are the operation's.

use jackfield_wasm_bindings::{Failure, jackfield::driver::state::Host};
use wasmtime::Result;

use crate::guest::Guest;

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
        self.ask(|op| op.state_list(&prefix, after.as_deref(), limit))
    }
}

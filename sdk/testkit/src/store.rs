//! A driver's keys, in memory, with versions as the host keeps them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jackfield_driver::{StateStore, StateWrite, Versioned};
use jackfield_model::Result;

/// The committed keys.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore(Mutex<BTreeMap<String, Versioned>>);

impl MemoryStore {
    /// Writes what an operation left.
    pub fn commit(&self, writes: Vec<StateWrite>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            let slot = keys.entry(key).or_default();
            slot.version += 1;
            slot.value = value;
        }
    }
}

impl StateStore for MemoryStore {
    fn get(&self, _driver: &str, key: &str) -> Result<Versioned> {
        Ok(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
            .unwrap_or_default())
    }

    fn list(&self, _driver: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = keys
            .iter()
            .filter(|(_, value)| value.value.is_some())
            .map(|(key, _)| key);
        let fits = |key: &&String| key.starts_with(prefix) && after.is_none_or(|a| key.as_str() > a);
        Ok(there.filter(fits).take(limit as usize).cloned().collect())
    }

    fn size(&self, _driver: &str) -> Result<u64> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = |(key, value): (&String, &Versioned)| value.value.as_ref().map_or(0, |v| key.len() + v.len());
        Ok(keys.iter().map(bytes).sum::<usize>() as u64)
    }
}

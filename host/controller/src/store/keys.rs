//! Drivers' keys and values, with optimistic concurrency.
//!
//! An operation reads committed values, each with its version, and writes into a buffer of its own. At its end it *reserves*: every version that
//! it read must still be current, and no other operation may be between its reservation and its end with a write to one of its keys. Then its
//! effects are carried out without a lock, and the reservation is *published* or dropped. Whoever fails to reserve runs again.
//!
//! A key has up to two layers: the durable value, and over it the one that an endpoint call wrote, which lasts until the reboot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jackfield_driver::{StateStore, StateWrite, Versioned};
use jackfield_kernel::journal::Note;
use jackfield_model::Result;

use super::notes;

/// How long a write lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// On disk: config and network calls.
    Durable,
    /// Until the reboot: endpoint calls.
    BootLong,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    durable: Option<Vec<u8>>,
    /// Some(None): deleted until the reboot.
    boot_long: Option<Option<Vec<u8>>>,
    version: u64,
}

impl Entry {
    fn value(&self) -> Option<&Vec<u8>> {
        self.boot_long.as_ref().map_or(self.durable.as_ref(), Option::as_ref)
    }
}

#[derive(Debug, Default)]
struct Table {
    drivers: BTreeMap<String, BTreeMap<String, Entry>>,
    /// Keys that somebody is about to change.
    reserved: BTreeSet<(String, String)>,
    /// The last version that was given to anything: a key that is deleted and written again has a version it never had.
    version: u64,
}

/// All drivers' keys, in memory; grants bound their size.
#[derive(Debug, Default)]
pub struct Keys {
    table: Mutex<Table>,
    released: Condvar,
}

impl Keys {
    /// With what the durable store and the journal had.
    pub fn new(durable: Vec<(String, String, Vec<u8>)>, boot_long: Vec<notes::KeyNote>) -> Self {
        let mut table = Table {
            version: 1,
            ..Table::default()
        };
        for (driver, key, value) in durable {
            table.entry(&driver, &key).durable = Some(value);
        }
        for note in boot_long {
            table.entry(&note.driver, &note.key).boot_long = Some(note.value);
        }
        Self {
            table: Mutex::new(table),
            released: Condvar::new(),
        }
    }

    /// Takes the operation's keys, if nobody changed what it saw. None: run it again.
    pub fn reserve(
        self: &Arc<Self>,
        driver: &str,
        reads: &BTreeMap<String, u64>,
        writes: Vec<StateWrite>,
        layer: Layer,
    ) -> Option<Reservation> {
        let mut table = self.lock();
        let current = reads
            .iter()
            .all(|(key, version)| table.version_of(driver, key) == *version);
        let touched = || reads.keys().chain(writes.iter().map(|(key, _)| key));
        let free = touched().all(|key| !table.is_reserved(driver, key));
        if !(current && free) {
            return None;
        }
        for (key, _) in &writes {
            table.reserved.insert((driver.to_owned(), key.clone()));
        }
        Some(Reservation {
            keys: self.clone(),
            driver: driver.to_owned(),
            writes,
            layer,
        })
    }

    /// Waits until a reservation of somebody's ends, or a moment has passed: what made [`Keys::reserve`] answer None may be over then.
    pub fn wait_for_others(&self, driver: &str) {
        const LONGEST: Duration = Duration::from_millis(200);
        let (start, mut table) = (Instant::now(), self.lock());
        while table.reserved.iter().any(|(d, _)| d == driver) && start.elapsed() < LONGEST {
            let (next, _) = self
                .released
                .wait_timeout(table, LONGEST)
                .unwrap_or_else(PoisonError::into_inner);
            table = next;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // A change is one assignment after the other, none of which panics half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn get(&self, driver: &str, key: &str) -> Option<&Entry> {
        self.drivers.get(driver)?.get(key)
    }

    fn version_of(&self, driver: &str, key: &str) -> u64 {
        self.get(driver, key).map_or(0, |e| e.version)
    }

    fn is_reserved(&self, driver: &str, key: &str) -> bool {
        !self.reserved.is_empty() && self.reserved.contains(&(driver.to_owned(), key.to_owned()))
    }

    fn entry(&mut self, driver: &str, key: &str) -> &mut Entry {
        let version = self.version;
        let entry = self
            .drivers
            .entry(driver.to_owned())
            .or_default()
            .entry(key.to_owned())
            .or_default();
        entry.version = version;
        entry
    }

    fn write(&mut self, driver: &str, (key, value): StateWrite, layer: Layer) {
        self.version += 1;
        let entry = self.entry(driver, &key);
        match layer {
            Layer::Durable => (entry.durable, entry.boot_long) = (value, None),
            Layer::BootLong => entry.boot_long = Some(value),
        }
        let gone = entry.durable.is_none() && entry.value().is_none();
        if gone && let Some(keys) = self.drivers.get_mut(driver) {
            keys.remove(&key);
        }
    }
}

/// An operation's keys, taken until it ends. Dropped, nothing has happened.
#[derive(Debug)]
pub struct Reservation {
    keys: Arc<Keys>,
    driver: String,
    writes: Vec<StateWrite>,
    layer: Layer,
}

impl Reservation {
    /// For the durable store: driver and writes, where that is where they belong.
    pub fn durable(&self) -> Option<(&str, &[StateWrite])> {
        (self.layer == Layer::Durable && !self.writes.is_empty())
            .then_some((self.driver.as_str(), self.writes.as_slice()))
    }

    /// For the journal. A durable write takes a boot-long one of the same key away.
    pub fn notes(&self) -> Vec<Note> {
        let table = self.keys.lock();
        let overlaid = |key: &str| table.get(&self.driver, key).is_some_and(|e| e.boot_long.is_some());
        let notes = self.writes.iter().filter_map(|(key, value)| match self.layer {
            Layer::BootLong => Some(notes::key(&self.driver, key, value.as_deref())),
            Layer::Durable => overlaid(key).then(|| notes::no_key(&self.driver, key)),
        });
        notes.collect()
    }

    /// Whose keys.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The durable values that its keys had before, to put them back.
    pub fn before(&self) -> Vec<StateWrite> {
        let table = self.keys.lock();
        let was = |key: &str| table.get(&self.driver, key).and_then(|e| e.durable.clone());
        self.writes.iter().map(|(key, _)| (key.clone(), was(key))).collect()
    }

    /// The operation has taken effect: from here on its writes are what others read.
    pub fn publish(mut self) {
        let writes = self.writes.clone();
        let keys = self.keys.clone();
        let mut table = keys.lock();
        for write in writes {
            table.reserved.remove(&(self.driver.clone(), write.0.clone()));
            table.write(&self.driver, write, self.layer);
        }
        drop(table);
        self.writes.clear();
        keys.released.notify_all();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.writes.is_empty() {
            return;
        }
        let mut table = self.keys.lock();
        for (key, _) in &self.writes {
            table.reserved.remove(&(self.driver.clone(), key.clone()));
        }
        drop(table);
        self.keys.released.notify_all();
    }
}

impl StateStore for Keys {
    fn get(&self, driver: &str, key: &str) -> Result<Versioned> {
        let table = self.lock();
        let entry = table.get(driver, key);
        Ok(Versioned {
            value: entry.and_then(Entry::value).cloned(),
            version: entry.map_or(0, |e| e.version),
        })
    }

    fn list(&self, driver: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        let table = self.lock();
        let Some(keys) = table.drivers.get(driver) else {
            return Ok(Vec::new());
        };
        let from = after.filter(|a| *a > prefix).unwrap_or(prefix);
        let found = keys
            .range(from.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix));
        let found = found.filter(|(key, entry)| entry.value().is_some() && after.is_none_or(|a| key.as_str() > a));
        Ok(found.map(|(key, _)| key.clone()).take(limit as usize).collect())
    }

    fn size(&self, driver: &str) -> Result<u64> {
        let table = self.lock();
        let keys = table.drivers.get(driver).into_iter().flatten();
        Ok(keys
            .filter_map(|(key, entry)| Some((key.len() + entry.value()?.len()) as u64))
            .sum())
    }
}

/// The committed keys with the writes of a call before it in the same operation: join sees what create-endpoint wrote.
#[derive(Debug)]
pub struct Overlay {
    /// What is committed.
    pub below: Arc<Keys>,
    /// What the call before wrote, by key.
    pub writes: BTreeMap<String, Option<Vec<u8>>>,
}

impl StateStore for Overlay {
    fn get(&self, driver: &str, key: &str) -> Result<Versioned> {
        let below = self.below.get(driver, key)?;
        Ok(match self.writes.get(key) {
            Some(value) => Versioned {
                value: value.clone(),
                version: below.version,
            },
            None => below,
        })
    }

    fn list(&self, driver: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        let mut keys: BTreeSet<String> = self.below.list(driver, prefix, after, u32::MAX)?.into_iter().collect();
        for (key, value) in &self.writes {
            let listed = key.starts_with(prefix) && after.is_none_or(|a| key.as_str() > a);
            match value {
                Some(_) if listed => drop(keys.insert(key.clone())),
                _ => drop(keys.remove(key)),
            }
        }
        Ok(keys.into_iter().take(limit as usize).collect())
    }

    fn size(&self, driver: &str) -> Result<u64> {
        let mut size = self.below.size(driver)?;
        for (key, value) in &self.writes {
            let was = self.below.get(driver, key)?.value.map_or(0, |v| key.len() + v.len());
            let is = value.as_ref().map_or(0, |v| key.len() + v.len());
            size = size.saturating_sub(was as u64) + is as u64;
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &str, value: &[u8]) -> Vec<StateWrite> {
        vec![(key.to_owned(), Some(value.to_vec()))]
    }

    fn seen(keys: &Keys, key: &str) -> BTreeMap<String, u64> {
        BTreeMap::from([(key.to_owned(), keys.get("d", key).unwrap().version)])
    }

    #[test]
    fn of_two_operations_that_saw_the_same_value_the_later_runs_again() {
        let keys = Arc::new(Keys::default());
        let saw = seen(&keys, "k");
        let first = keys.reserve("d", &saw, write("k", b"1"), Layer::BootLong).unwrap();
        assert!(
            keys.reserve("d", &saw, write("k", b"2"), Layer::BootLong).is_none(),
            "while the first is under way"
        );
        assert!(
            keys.reserve("e", &saw, write("k", b"2"), Layer::BootLong).is_some(),
            "another driver's key is another key"
        );
        first.publish();
        assert!(
            keys.reserve("d", &saw, write("k", b"2"), Layer::BootLong).is_none(),
            "after the first has changed it"
        );
        keys.reserve("d", &seen(&keys, "k"), write("k", b"2"), Layer::BootLong)
            .unwrap()
            .publish();
        assert_eq!(keys.get("d", "k").unwrap().value.unwrap(), b"2");
    }

    #[test]
    fn a_dropped_reservation_leaves_nothing() {
        let keys = Arc::new(Keys::default());
        drop(
            keys.reserve("d", &BTreeMap::new(), write("k", b"1"), Layer::Durable)
                .unwrap(),
        );
        assert_eq!(keys.get("d", "k").unwrap(), Versioned::default());
        assert!(
            keys.reserve("d", &seen(&keys, "k"), write("k", b"2"), Layer::Durable)
                .is_some()
        );
    }

    #[test]
    fn a_boot_long_value_lies_over_the_durable_one_until_that_is_written_again() {
        let keys = Arc::new(Keys::new(vec![("d".into(), "k".into(), b"disk".to_vec())], Vec::new()));
        let commit = |value: Option<&[u8]>, layer| {
            let writes = vec![("k".to_owned(), value.map(<[u8]>::to_vec))];
            let reservation = keys.reserve("d", &BTreeMap::new(), writes, layer).unwrap();
            let notes = reservation.notes();
            reservation.publish();
            (keys.get("d", "k").unwrap().value, notes.len())
        };
        assert_eq!(commit(Some(b"boot"), Layer::BootLong), (Some(b"boot".to_vec()), 1));
        assert_eq!(commit(None, Layer::BootLong), (None, 1));
        assert_eq!(keys.list("d", "", None, 10).unwrap(), Vec::<String>::new());
        assert_eq!(
            commit(Some(b"new"), Layer::Durable),
            (Some(b"new".to_vec()), 1),
            "the note is taken away"
        );
        assert_eq!(commit(None, Layer::Durable), (None, 0));
    }

    #[test]
    fn lists_go_on_where_they_ended() {
        let rows = ["a", "p1", "p2", "p3", "q"].map(|k| ("d".to_owned(), k.to_owned(), vec![0; 4]));
        let keys = Arc::new(Keys::new(rows.to_vec(), Vec::new()));
        assert_eq!(keys.list("d", "p", None, 2).unwrap(), ["p1", "p2"]);
        assert_eq!(keys.list("d", "p", Some("p2"), 2).unwrap(), ["p3"]);
        assert_eq!(keys.size("d").unwrap(), 5 * 4 + 8);
        let writes = BTreeMap::from([("p2".to_owned(), None), ("p25".to_owned(), Some(vec![1]))]);
        let over = Overlay { below: keys, writes };
        assert_eq!(over.list("d", "p", Some("p1"), 9).unwrap(), ["p25", "p3"]);
        assert_eq!(over.size("d").unwrap(), 28 - 6 + 4);
    }
}

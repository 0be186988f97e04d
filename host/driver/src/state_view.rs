//! A driver's keys as one operation sees them: what is committed, under what it wrote itself.
//!
//! Every key that is read or written is remembered with its committed version, so that of two operations that met on a key the later is
//! run again. Listing remembers nothing: a key that appears meanwhile is no conflict.

use std::collections::BTreeMap;

use jackfield_model::{Error, ErrorCode, Result};

use crate::{StateStore, StateWrite};

/// Longest key, in bytes.
const MAX_KEY: usize = 256;
/// Longest value, in bytes.
const MAX_VALUE: usize = 64 << 10;
/// Most keys that one call lists.
const MAX_LIST: u32 = 1_000;

/// What was committed of a key that the operation touched.
#[derive(Clone, Debug)]
struct Seen {
    version: u64,
    value: Option<Vec<u8>>,
}

/// One operation's view.
#[derive(Debug, Default)]
pub(crate) struct StateView {
    seen: BTreeMap<String, Seen>,
    writes: BTreeMap<String, Option<Vec<u8>>>,
}

/// The committed keys of one driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed<'a> {
    pub store: &'a dyn StateStore,
    pub driver: &'a str,
    /// Keys and values together, in bytes.
    pub limit: u64,
}

impl StateView {
    /// One value; own writes first.
    pub fn get(&mut self, committed: Committed<'_>, key: &str) -> Result<Option<Vec<u8>>> {
        check_key(key)?;
        if let Some(written) = self.writes.get(key) {
            return Ok(written.clone());
        }
        Ok(self.see(committed, key)?.value.clone())
    }

    /// Writes, or with None deletes.
    pub fn write(&mut self, committed: Committed<'_>, key: &str, value: Option<&[u8]>) -> Result<()> {
        check_key(key)?;
        if let Some(long) = value.map(<[u8]>::len).filter(|len| *len > MAX_VALUE) {
            return Err(Error::invalid(format!(
                "the value has {long} bytes, expected at most {MAX_VALUE}"
            )));
        }
        self.see(committed, key)?;
        let before = self.writes.insert(key.to_owned(), value.map(<[u8]>::to_vec));
        let size = self.size(committed)?;
        if value.is_some() && size > committed.limit {
            self.restore(key, before);
            return Err(Error::new(
                ErrorCode::Exhausted,
                format!(
                    "the driver's keys and values would take {size} bytes, and the limit is {}: state-bytes in its limits raises it",
                    committed.limit
                ),
            ));
        }
        Ok(())
    }

    /// Keys with that prefix, in order, after `after`; at most 1,000 at once.
    pub fn list(&self, committed: Committed<'_>, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        if prefix.len() > MAX_KEY || after.is_some_and(|a| a.len() > MAX_KEY) {
            return Err(Error::invalid(format!("keys have at most {MAX_KEY} bytes")));
        }
        let limit = limit.min(MAX_LIST);
        // As many more as may be taken out again below.
        let deleted = self.writes.values().filter(|w| w.is_none()).count();
        let wanted = limit.saturating_add(u32::try_from(deleted).unwrap_or(u32::MAX));
        let stored = committed.store.list(committed.driver, prefix, after, wanted)?;
        let mut keys: std::collections::BTreeSet<String> = stored.into_iter().collect();
        for (key, value) in &self.writes {
            if value.is_none() {
                keys.remove(key);
            } else if key.starts_with(prefix) && after.is_none_or(|a| key.as_str() > a) {
                keys.insert(key.clone());
            }
        }
        Ok(keys.into_iter().take(limit as usize).collect())
    }

    /// Versions seen, and keys written.
    pub fn finish(self) -> (BTreeMap<String, u64>, Vec<StateWrite>) {
        (
            self.seen.into_iter().map(|(key, seen)| (key, seen.version)).collect(),
            self.writes.into_iter().collect(),
        )
    }

    fn see(&mut self, committed: Committed<'_>, key: &str) -> Result<&Seen> {
        if !self.seen.contains_key(key) {
            let now = committed.store.get(committed.driver, key)?;
            self.seen.insert(
                key.to_owned(),
                Seen {
                    version: now.version,
                    value: now.value,
                },
            );
        }
        self.seen
            .get(key)
            .ok_or_else(|| Error::internal("a key that was just read is not there"))
    }

    /// Bytes after a commit.
    fn size(&self, committed: Committed<'_>) -> Result<u64> {
        let bytes = |key: &str, value: &Option<Vec<u8>>| value.as_ref().map_or(0, |v| (key.len() + v.len()) as u64);
        let added: u64 = self.writes.iter().map(|(key, value)| bytes(key, value)).sum();
        let replaced: u64 = self
            .writes
            .keys()
            .filter_map(|key| Some(bytes(key, &self.seen.get(key)?.value)))
            .sum();
        Ok((committed.store.size(committed.driver)? + added).saturating_sub(replaced))
    }

    fn restore(&mut self, key: &str, before: Option<Option<Vec<u8>>>) {
        match before {
            Some(value) => self.writes.insert(key.to_owned(), value),
            None => self.writes.remove(key),
        };
    }
}

fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Error::invalid(format!(
            "a key of {} bytes is impossible: expected 1 to {MAX_KEY}",
            key.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Versioned;

    #[derive(Debug, Default)]
    struct Fixed(BTreeMap<String, Vec<u8>>);

    impl StateStore for Fixed {
        fn get(&self, _driver: &str, key: &str) -> Result<Versioned> {
            let value = self.0.get(key).cloned();
            Ok(Versioned {
                version: if value.is_some() { 7 } else { 0 },
                value,
            })
        }
        fn list(&self, _driver: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
            let keys = self
                .0
                .keys()
                .filter(|k| k.starts_with(prefix) && after.is_none_or(|a| k.as_str() > a));
            Ok(keys.take(limit as usize).cloned().collect())
        }
        fn size(&self, _driver: &str) -> Result<u64> {
            Ok(self.0.iter().map(|(k, v)| (k.len() + v.len()) as u64).sum())
        }
    }

    fn store(keys: &[&str]) -> Fixed {
        Fixed(keys.iter().map(|k| ((*k).to_owned(), b"old".to_vec())).collect())
    }

    fn committed(store: &Fixed, limit: u64) -> Committed<'_> {
        Committed {
            store,
            driver: "ptp",
            limit,
        }
    }

    #[test]
    fn an_operation_reads_its_own_writes_and_remembers_what_it_saw() {
        let store = store(&["a", "b"]);
        let (c, mut view) = (committed(&store, 1_000), StateView::default());
        assert_eq!(view.get(c, "a").unwrap().as_deref(), Some(&b"old"[..]));
        view.write(c, "a", Some(b"new")).unwrap();
        view.write(c, "n", Some(b"1")).unwrap();
        view.write(c, "b", None).unwrap();
        assert_eq!(view.get(c, "a").unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(view.get(c, "b").unwrap(), None);
        let (reads, writes) = view.finish();
        assert_eq!(
            reads.into_iter().collect::<Vec<_>>(),
            [("a".into(), 7), ("b".into(), 7), ("n".into(), 0)]
        );
        assert_eq!(writes.len(), 3);
    }

    #[test]
    fn listing_merges_what_was_written_and_leaves_out_what_was_deleted() {
        let store = store(&["p/1", "p/2", "p/4", "q/1"]);
        let (c, mut view) = (committed(&store, 1_000), StateView::default());
        view.write(c, "p/3", Some(b"")).unwrap();
        view.write(c, "p/1", None).unwrap();
        assert_eq!(view.list(c, "p/", None, 2).unwrap(), ["p/2", "p/3"]);
        assert_eq!(view.list(c, "p/", Some("p/3"), 10).unwrap(), ["p/4"]);
        assert_eq!(view.list(c, "", None, u32::MAX).unwrap().len(), 4);
    }

    #[test]
    fn keys_values_and_their_sum_have_limits() {
        let store = store(&["a"]);
        let (c, mut view) = (committed(&store, 10), StateView::default());
        for bad in ["", &"k".repeat(257)] {
            assert_eq!(view.get(c, bad).unwrap_err().code, ErrorCode::InvalidArgument);
        }
        assert_eq!(
            view.write(c, "v", Some(&vec![0; MAX_VALUE + 1])).unwrap_err().code,
            ErrorCode::InvalidArgument
        );
        view.write(c, "b", Some(b"12345")).unwrap();
        assert_eq!(view.write(c, "c", Some(b"")).unwrap_err().code, ErrorCode::Exhausted);
        assert_eq!(view.get(c, "c").unwrap(), None, "what was refused is not written");
        view.write(c, "a", None).unwrap();
        view.write(c, "c", Some(b"123")).unwrap();
    }
}

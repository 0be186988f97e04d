//! What outlives a restart: each driver's component by its digest, and a small file that says which drivers there are.
//!
//! A component is on the disk before the file names it, and is removed after the file has stopped naming it; a crash in between leaves a
//! component too many, which the next change removes.

use std::path::Path;

use jackfield_model::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    check::{COMPONENT_MAX, Digest},
    folder::Folder,
};

/// The file of records.
const RECORDS: &str = "drivers.json";
/// Largest file of records, in bytes: some hundreds each.
const RECORDS_MAX: u64 = 4 << 20;
/// The format of that file.
const FORMAT: u32 = 1;

/// One version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) version: String,
    /// In bytes.
    pub(crate) size: u64,
    #[serde(with = "digest")]
    pub(crate) digest: Digest,
}

/// A driver that was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) current: Kept,
    /// What a rollback brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Kept>,
}

impl Record {
    pub(crate) fn digests(&self) -> impl Iterator<Item = &Digest> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|kept| &kept.digest)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    drivers: &'a [Record],
}

#[derive(Deserialize)]
struct Records {
    format: u32,
    drivers: Vec<Record>,
}

/// The folder of components and records.
#[derive(Debug)]
pub(crate) struct Shelf(Folder);

impl Shelf {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Folder::open(path).map(Self)
    }

    /// The drivers that were loaded.
    ///
    /// # Errors
    /// When the file cannot be read: then nothing may be written either, or what it says would be lost.
    pub(crate) fn records(&self) -> Result<Vec<Record>> {
        let Some(bytes) = self.0.read(RECORDS, RECORDS_MAX)? else {
            return Ok(Vec::new());
        };
        let records: Records = serde_json::from_slice(&bytes)
            .map_err(|e| Error::internal(format!("the list of drivers {RECORDS} is damaged: {e}")).caused_by(e))?;
        if records.format != FORMAT {
            let message = format!(
                "the list of drivers {RECORDS} has format {}, expected {FORMAT}: it was written by a later version",
                records.format
            );
            return Err(Error::internal(message));
        }
        Ok(records.drivers)
    }

    /// Puts a component on the shelf.
    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        self.0.write(&file(digest), &[bytes])
    }

    /// A component from the shelf.
    ///
    /// # Errors
    /// When it is not there any more, or not what was put there.
    pub(crate) fn take(&self, digest: &Digest) -> Result<Vec<u8>> {
        let bytes = self.0.read(&file(digest), COMPONENT_MAX as u64)?;
        bytes.filter(|bytes| Digest::of(bytes) == *digest).ok_or_else(|| {
            Error::internal(format!(
                "the kept component {} is gone or damaged: load the driver again",
                file(digest)
            ))
        })
    }

    /// Writes down which drivers there are, and removes the components of those that are not.
    pub(crate) fn record(&self, drivers: &[Record]) -> Result<()> {
        let keep: Vec<String> = drivers.iter().flat_map(Record::digests).map(file).collect();
        let records = serde_json::to_vec_pretty(&Written {
            format: FORMAT,
            drivers,
        })
        .map_err(|e| Error::internal("the list of drivers cannot be written").caused_by(e))?;
        self.0.write(RECORDS, &[&records])?;
        for name in self.0.names()? {
            if name != RECORDS && !keep.contains(&name) {
                self.0.remove(&name)?;
            }
        }
        Ok(())
    }
}

fn file(digest: &Digest) -> String {
    format!("{}.wasm", digest.as_str())
}

mod digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::check::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(digest.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        Digest::parse(&text).ok_or_else(|| D::Error::custom("expected a SHA-256 in 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(name: &str, bytes: &[u8], previous: Option<&[u8]>) -> Record {
        let kept = |bytes: &[u8]| Kept {
            version: "1.0.0".into(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
        };
        Record {
            name: name.into(),
            current: kept(bytes),
            previous: previous.map(kept),
        }
    }

    #[test]
    fn what_is_recorded_is_found_again_and_what_is_not_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(base.path()).unwrap();
        assert_eq!(shelf.records().unwrap(), []);
        for bytes in [b"one", b"two", b"old"] {
            shelf.keep(&Digest::of(bytes), bytes).unwrap();
        }
        let records = vec![record("a", b"two", Some(b"one"))];
        shelf.record(&records).unwrap();
        let shelf = Shelf::open(base.path()).unwrap();
        assert_eq!(shelf.records().unwrap(), records);
        assert_eq!(shelf.take(&Digest::of(b"one")).unwrap(), b"one");
        assert!(shelf.take(&Digest::of(b"old")).is_err());
    }

    #[test]
    fn a_damaged_component_is_not_loaded_and_a_damaged_list_is_not_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(base.path()).unwrap();
        let digest = Digest::of(b"one");
        shelf.keep(&digest, b"one").unwrap();
        fs::write(base.path().join(file(&digest)), b"0ne").unwrap();
        assert!(
            shelf
                .take(&digest)
                .unwrap_err()
                .message
                .contains("load the driver again")
        );
        shelf.record(&[]).unwrap();
        for damaged in ["{", "{\"format\":2,\"drivers\":[]}"] {
            fs::write(base.path().join(RECORDS), damaged).unwrap();
            assert!(shelf.records().is_err());
        }
    }
}

//! Compiled code by digest of its component. Nothing depends on it: an entry that is missing, damaged or of another engine is compiled anew.

use std::path::Path;

use jackfield_model::Result;
use sha2::{Digest as _, Sha256};

use crate::{check::Digest, folder::Folder};

/// Begins every entry; grows with the format.
const MAGIC: &[u8; 8] = b"jfcode1\n";
/// A SHA-256 of the code: loading damaged code would be undefined behaviour.
const SUM: usize = 32;
/// Largest code taken from a compiler or from the cache, in bytes. It is 3 to 4 times its component's size.
pub(crate) const CODE_MAX: u64 = 256 << 20;

/// Compiled code that this host may run: it came from the compiler, or from a file that only this host can have written.
#[derive(Debug)]
pub(crate) struct Code(Vec<u8>);

impl Code {
    /// For the compiler's and the cache's use only; see `deserialise`, which relies on it.
    pub(crate) fn trusted(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: Folder,
    compatibility: u64,
}

impl Cache {
    /// In this folder, for engines of this compatibility.
    pub(crate) fn open(path: &Path, compatibility: u64) -> Result<Self> {
        Ok(Self {
            folder: Folder::open(path)?,
            compatibility,
        })
    }

    /// The code of a component, when there is any to be relied on.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Code> {
        let name = self.name(digest);
        let entry = self
            .folder
            .read(&name, CODE_MAX + (MAGIC.len() + SUM) as u64)
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "compiled code cannot be read and is compiled anew");
                None
            })?;
        let code = intact(entry);
        if code.is_none() {
            tracing::warn!(entry = %name, "compiled code is damaged and is compiled anew");
        }
        code.map(Code::trusted)
    }

    /// Keeps the code of a component.
    pub(crate) fn put(&self, digest: &Digest, code: &Code) -> Result<()> {
        let sum = Sha256::digest(code.bytes());
        self.folder.write(&self.name(digest), &[MAGIC, &sum, code.bytes()])
    }

    /// Forgets all but these components' code for this engine.
    pub(crate) fn keep_only(&self, digests: &[&Digest]) -> Result<()> {
        let keep: Vec<String> = digests.iter().map(|digest| self.name(digest)).collect();
        for name in self.folder.names()? {
            if !keep.contains(&name) {
                self.folder.remove(&name)?;
            }
        }
        Ok(())
    }

    fn name(&self, digest: &Digest) -> String {
        format!("{}-{:016x}", digest.as_str(), self.compatibility)
    }
}

/// The code of an entry whose sum is right.
fn intact(mut entry: Vec<u8>) -> Option<Vec<u8>> {
    let (magic, rest) = entry.split_at_checked(MAGIC.len())?;
    let (sum, code) = rest.split_at_checked(SUM)?;
    if magic != MAGIC || Sha256::digest(code).as_slice() != sum {
        return None;
    }
    entry.drain(..MAGIC.len() + SUM);
    Some(entry)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_damaged_entry_and_one_of_another_engine_count_as_none() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("cache");
        let (cache, digest) = (Cache::open(&path, 7).unwrap(), Digest::of(b"a component"));
        cache.put(&digest, &Code::trusted(b"its code".to_vec())).unwrap();
        assert_eq!(cache.get(&digest).unwrap().bytes(), b"its code");
        assert!(Cache::open(&path, 8).unwrap().get(&digest).is_none());

        let file = path.join(cache.name(&digest));
        let whole = fs::read(&file).unwrap();
        for damage in [whole.len() - 1, MAGIC.len(), 0] {
            let mut bytes = whole.clone();
            bytes[damage] ^= 1;
            fs::write(&file, bytes).unwrap();
            assert!(cache.get(&digest).is_none(), "byte {damage}");
        }
        for length in [0, MAGIC.len(), MAGIC.len() + SUM, whole.len() - 1] {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(cache.get(&digest).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn what_is_not_used_any_more_is_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let cache = Cache::open(&base.path().join("cache"), 7).unwrap();
        let (kept, gone) = (Digest::of(b"kept"), Digest::of(b"gone"));
        for digest in [&kept, &gone] {
            cache.put(digest, &Code::trusted(vec![1])).unwrap();
        }
        cache.keep_only(&[&kept]).unwrap();
        assert!(cache.get(&kept).is_some() && cache.get(&gone).is_none());
    }
}

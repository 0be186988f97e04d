//! Tombstones: what was to be taken down while the host was down.
//!
//! One file each, in a folder beside the host's socket that root alone may write to. The host reads them when it starts, before it serves, and
//! before each ADD, so that a tombstone never meets an attachment that came after it.
//!
//! ```text
//!   shim: NAME.new --rename--> NAME.json     host: read --done, or nobody knows of it--> removed
//!                                                       --its realm is not open yet--> stays until it is, or a day is over
//! ```

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Longest tombstone that is read, in bytes.
const LONGEST: u64 = 16 << 10;
/// Ending of a tombstone's name.
const ENDING: &str = "json";

/// A namespace's device and inode: they tell it apart only as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inode {
    /// st_dev
    pub device: u64,
    /// st_ino
    pub inode: u64,
}

impl Inode {
    /// Of a file that is open, or of what a path leads to.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }
}

/// What is to be taken down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The configuration's name, or Podman's name of the network.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface.
    pub interface: String,
    /// The caller's own network namespace.
    pub realm: Inode,
}

/// Leaves a tombstone in that folder.
///
/// # Errors
/// When it cannot be written: there is no such folder, or it is not the caller's to write to.
pub fn leave(folder: &Path, tombstone: &Tombstone) -> io::Result<()> {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let name = format!("{clock}-{}", std::process::id());
    let new = folder.join(format!("{name}.new"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&serde_json::to_vec(tombstone)?)?;
    fs::rename(&new, folder.join(name).with_extension(ENDING))
}

/// The tombstones of a folder, oldest first; None for one that cannot be read.
///
/// # Errors
/// When the folder cannot be read.
pub fn read(folder: &Path) -> io::Result<Vec<(PathBuf, Option<Tombstone>)>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .collect();
    paths.sort();
    Ok(paths.into_iter().map(|path| (path.clone(), one(&path))).collect())
}

fn one(path: &Path) -> Option<Tombstone> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_file() || found.len() > LONGEST {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_and_rubbish_is_known_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let tombstone = Tombstone {
            network: "cst".into(),
            container: "c1".into(),
            interface: "eth0".into(),
            realm: Inode::of(Path::new("/proc/self/ns/net")).unwrap(),
        };
        leave(folder.path(), &tombstone).unwrap();
        fs::write(folder.path().join("z.json"), "rubbish").unwrap();
        fs::write(folder.path().join("half.new"), "").unwrap();
        let read: Vec<_> = read(folder.path()).unwrap().into_iter().map(|(_, t)| t).collect();
        assert_eq!(read, [Some(tombstone.clone()), None]);
        assert!(leave(&folder.path().join("none"), &tombstone).is_err());
    }
}

//! A folder that only this host writes: what is read from it again is what was written to it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jackfield_model::{Error, ErrorCode, Result};
use nix::unistd::geteuid;

/// Begins the name of a file that is being written; one that is found was left by a crash.
const UNFINISHED: &str = ".new-";

/// The folder, checked.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it where there is none, and checks whose it is.
    ///
    /// # Errors
    /// denied, when another user owns it or may write to it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let unusable = |cause: io::Error| io_error("open the folder", path, cause);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        let metadata = fs::symlink_metadata(path).map_err(unusable)?;
        if !metadata.is_dir() {
            return Err(Error::new(
                ErrorCode::Denied,
                format!("{} is no folder: code is kept in a real one only", path.display()),
            ));
        }
        if !is_private(&metadata) {
            let message = format!(
                "others may write to {}: code is kept only where nobody but uid {} can write, make it so with chown and chmod 700",
                path.display(),
                geteuid()
            );
            return Err(Error::new(ErrorCode::Denied, message));
        }
        let folder = Self(path.to_owned());
        folder.sweep().map_err(unusable)?;
        Ok(folder)
    }

    /// A file's bytes; None when there is none, when it is larger than `max` or when somebody else could have written it.
    pub(crate) fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        match read_private(&path, max) {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error("read", &path, e)),
        }
    }

    /// Writes a file whole or not at all; on the disk when this returns.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let unfinished = self.0.join(format!("{UNFINISHED}{name}"));
        let path = self.0.join(name);
        self.replace(&unfinished, &path, parts).map_err(|cause| {
            // What is left of it is swept at the next start, should this fail too.
            let _ = fs::remove_file(&unfinished);
            io_error("write", &path, cause)
        })
    }

    fn replace(&self, unfinished: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(unfinished)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        fs::rename(unfinished, path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes a file; no error when it is gone.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(io_error("remove", &path, e)),
            _ => Ok(()),
        }
    }

    /// The names of the files in it.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let unreadable = |e| io_error("list", &self.0, e);
        let entries = fs::read_dir(&self.0).map_err(unreadable)?;
        let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name().into_string().ok())).collect();
        Ok(names.map_err(unreadable)?.into_iter().flatten().collect())
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(UNFINISHED))
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn is_private(metadata: &fs::Metadata) -> bool {
    metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

fn read_private(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    // Looked at after it was opened: what is checked is what is read.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_private(&metadata) || metadata.len() > max {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn io_error(what: &str, path: &Path, cause: io::Error) -> Error {
    Error::internal(format!("cannot {what} {}: {cause}", path.display())).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("code");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(Folder::open(&path).unwrap_err().code, ErrorCode::Denied);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Folder::open(&path).is_ok());
        let link = base.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(Folder::open(&link).unwrap_err().code, ErrorCode::Denied);
    }

    #[test]
    fn a_file_that_others_may_write_to_counts_as_none() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(&base.path().join("code")).unwrap();
        folder.write("a", &[b"one", b"two"]).unwrap();
        assert_eq!(folder.read("a", 100).unwrap().unwrap(), b"onetwo");
        assert_eq!(folder.read("a", 5).unwrap(), None, "larger than expected");
        fs::set_permissions(base.path().join("code/a"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(folder.read("a", 100).unwrap(), None);
        folder.remove("a").unwrap();
        folder.remove("a").unwrap();
        assert_eq!(folder.read("a", 100).unwrap(), None);
    }

    #[test]
    fn what_a_crash_left_half_written_is_swept_away() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("code");
        Folder::open(&path).unwrap();
        fs::write(path.join(".new-x"), b"half").unwrap();
        assert_eq!(Folder::open(&path).unwrap().names().unwrap(), Vec::<String>::new());
    }
}

//! What was to be taken down while the host was away, see [`jackfield_shims::spool`].

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use jackfield_controller::Controller;
use jackfield_kernel::Namespace;
use jackfield_model::Result;
use jackfield_shims::spool::{Inode, Tombstone, read};

use super::{attach::detach, caller::Caller, labels::Key};

/// A tombstone whose realm nobody has opened by then is given up: with the host's next boot it would be gone anyway.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of tombstones.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// One reads at a time, so that an ADD that comes meanwhile finds all of it done.
    reading: Mutex<()>,
}

impl Spool {
    /// In that folder, which is made for the host's own user alone: what is in it is done.
    ///
    /// # Errors
    /// When it cannot be made, or others may write to it.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let found = fs::symlink_metadata(&folder)?;
        let own = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw();
        if !own || found.mode() & 0o022 != 0 {
            let expected = "others may write to it: expected a folder of the host's own user, with permissions 0700";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, expected));
        }
        Ok(Self {
            folder,
            reading: Mutex::default(),
        })
    }

    /// Does what the tombstones say. What cannot be done yet stays.
    pub fn drain(&self, controller: &Controller) {
        let _turn = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let tombstones = match read(&self.folder) {
            Ok(tombstones) => tombstones,
            Err(error) => return tracing::warn!(folder = %self.folder.display(), %error, "tombstones cannot be read"),
        };
        for (path, tombstone) in tombstones {
            let done = tombstone.is_none_or(|tombstone| take_down(controller, &path, &tombstone));
            if done && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a tombstone stays");
            }
        }
    }
}

/// Whether there is nothing more to do for it.
fn take_down(controller: &Controller, path: &Path, tombstone: &Tombstone) -> bool {
    let Some(caller) = realm_of(controller, tombstone) else {
        return is_old(path);
    };
    let key = Key {
        container: &tombstone.container,
        network: &tombstone.network,
        interface: &tombstone.interface,
    };
    let done: Result<bool> = detach(controller, &caller, &key);
    done.inspect_err(|error| tracing::warn!(container = tombstone.container, %error, "it cannot be taken down yet"))
        .is_ok()
}

/// The realm that the tombstone's caller was in, if it is open.
fn realm_of(controller: &Controller, tombstone: &Tombstone) -> Option<Caller> {
    let mut realms = controller.realms().into_iter();
    let (realm, namespace) = realms.find(|(_, namespace)| inode(namespace) == Some(tombstone.realm))?;
    Some(Caller {
        realm,
        namespace: namespace.id(),
        sandbox: None,
    })
}

fn inode(namespace: &Namespace) -> Option<Inode> {
    let found = nix::sys::stat::fstat(namespace.fd()?).ok()?;
    Some(Inode {
        device: found.st_dev,
        inode: found.st_ino,
    })
}

fn is_old(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|found| found.modified());
    written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > LONGEST))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("spool");
        Spool::open(folder.clone()).unwrap();
        Spool::open(folder.clone()).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(Spool::open(folder).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        let link = place.path().join("link");
        symlink(place.path(), &link).unwrap();
        assert_eq!(Spool::open(link).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}

//! The socket's file: never taken from a host that lives, always taken from one that died.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener as StdListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use jackfield_model::{Error, ErrorCode, Result};
use tokio::net::UnixListener;

/// Longest path that an address of a unix socket holds, with room for its closing zero (sun_path of sys/un.h) and for [`NEW`].
const LONGEST: usize = 107 - NEW.len();
/// Ending of the file until it takes its place.
const NEW: &str = ".new";

/// A socket that is listened on, and its file.
#[derive(Debug)]
pub(crate) struct Listener {
    pub accepts: UnixListener,
    pub guard: Guard,
}

/// Removes the file, if it is still ours. The file of an inherited socket is its opener's.
#[derive(Debug)]
pub(crate) struct Guard(Option<(PathBuf, (u64, u64))>);

/// Refuses to go on when somebody answers at that path already.
///
/// # Errors
/// in-use for a living host, already-exists for a file that is no socket.
pub(crate) fn refuse_living(path: &Path) -> Result<()> {
    let shown = path.display();
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::new(
            ErrorCode::InUse,
            format!("a host serves on {shown} already: stop it, or choose another --socket"),
        )),
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) => Err(Error::new(
            ErrorCode::AlreadyExists,
            format!("{shown} is no socket: move it away, or choose another --socket"),
        )),
        Err(_) => Ok(()),
    }
}

/// Listens there. The file takes its place in one step, with its permissions: a stale one is never missing, a new one never half made.
///
/// Everyone may connect; who may do what is decided by the caller's identity, so that a refusal can say why.
pub(crate) fn listen(path: &Path) -> Result<Listener> {
    let failed = |cause: io::Error| {
        Error::new(
            ErrorCode::Unavailable,
            format!("the host cannot listen on {}", path.display()),
        )
        .caused_by(cause)
    };
    if path.as_os_str().as_bytes().len() > LONGEST {
        let message = format!(
            "the socket's path {} is too long: expected at most {LONGEST} bytes",
            path.display()
        );
        return Err(Error::invalid(message));
    }
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(failed)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(NEW);
    let accepts = bind(Path::new(&new)).map_err(failed)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o666)).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    let inode = inode(path).map_err(failed)?;
    Ok(Listener {
        accepts,
        guard: Guard(Some((path.to_owned(), inode))),
    })
}

/// Goes on with a socket that somebody opened before.
pub(super) fn inherit(open: StdListener) -> Result<Listener> {
    let failed = |cause: io::Error| {
        Error::new(
            ErrorCode::Unavailable,
            "the host cannot listen on the socket that it inherited",
        )
        .caused_by(cause)
    };
    open.set_nonblocking(true).map_err(failed)?;
    Ok(Listener {
        accepts: UnixListener::from_std(open).map_err(failed)?,
        guard: Guard(None),
    })
}

/// One left behind by a start that was cut off is in the way of nobody.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => UnixListener::bind(path),
    }
}

impl Guard {
    /// Removes the file, unless another host has put its own there.
    pub fn remove(self) {
        let Some((path, inode_then)) = self.0 else { return };
        if inode(&path).is_ok_and(|there| there == inode_then)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!("the socket {} stays behind: {error}", path.display());
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_living_host_is_refused_and_a_dead_ones_socket_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/jackfield.sock");
        refuse_living(&path).unwrap();
        let first = listen(&path).unwrap();
        assert_eq!(refuse_living(&path).unwrap_err().code, ErrorCode::InUse);
        drop(first.accepts);
        refuse_living(&path).unwrap();
        let second = listen(&path).unwrap();
        // The first one's guard knows that the file is not its own any more.
        first.guard.remove();
        assert_eq!(refuse_living(&path).unwrap_err().code, ErrorCode::InUse);
        second.guard.remove();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        fs::write(&path, "data").unwrap();
        assert_eq!(refuse_living(&path).unwrap_err().code, ErrorCode::AlreadyExists);
        let long = folder.path().join("x".repeat(200));
        assert_eq!(listen(&long).unwrap_err().code, ErrorCode::InvalidArgument);
    }
}

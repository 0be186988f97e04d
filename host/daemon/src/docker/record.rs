//! Which sockets an earlier host left in Docker's plugin folder: one that nobody listens on makes unrelated commands of Docker's wait for
//! 15 seconds, and other vendors' sockets are none of ours.

use std::{
    fs, io,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::{Path, PathBuf},
};

use jackfield_model::{Error, ErrorCode, Result};

/// The list, a file of the boot-long folder.
#[derive(Debug)]
pub struct Record(PathBuf);

impl Record {
    /// The one in that folder.
    pub fn within(run_dir: &Path) -> Self {
        Self(run_dir.join("docker-plugins.json"))
    }

    /// Removes what is on the list and dead. A file that cannot be read lists nothing.
    pub fn clear(&self) {
        let listed = fs::read(&self.0)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        let listed: Vec<PathBuf> = listed.unwrap_or_default();
        for path in listed.iter().filter(|path| is_dead(path)) {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!("the dead socket {} stays behind: {error}", path.display());
            }
        }
    }

    /// Writes the list, in one step. Before a socket is made: one that is listed and not there is no harm.
    ///
    /// # Errors
    /// unavailable, when it cannot be written.
    pub fn write(&self, paths: &[PathBuf]) -> Result<()> {
        let new = self.0.with_extension("new");
        let write = || -> io::Result<()> {
            fs::write(&new, serde_json::to_vec(paths)?)?;
            fs::rename(&new, &self.0)
        };
        write().map_err(|cause| {
            let message = format!("the list of Docker's sockets {} cannot be written", self.0.display());
            Error::new(ErrorCode::Unavailable, message).caused_by(cause)
        })
    }
}

fn is_dead(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_listed_and_dead_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let record = Record::within(folder.path());
        drop(UnixListener::bind(at("dead.sock")).unwrap());
        drop(UnixListener::bind(at("others.sock")).unwrap());
        let _living = UnixListener::bind(at("living.sock")).unwrap();
        fs::write(at("file.sock"), "").unwrap();
        let listed = ["dead.sock", "living.sock", "file.sock", "gone.sock"].map(at);
        record.write(&listed).unwrap();
        record.clear();
        let there = ["dead.sock", "others.sock", "living.sock", "file.sock"].map(|name| at(name).exists());
        assert_eq!(there, [false, true, true, true]);
    }
}

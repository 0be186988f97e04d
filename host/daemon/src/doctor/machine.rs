//! The machine as files: those of this machine, or those under another root.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

/// Most bytes of a file that is read.
const LONGEST_FILE: u64 = 1 << 20;

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    programs: Vec<PathBuf>,
}

impl Machine {
    /// This one. Runtimes are looked for in the folders of PATH, and where the system's own are.
    pub fn this() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"].map(PathBuf::from);
        Self {
            root: "/".into(),
            programs: std::env::split_paths(&path).chain(system).collect(),
        }
    }

    /// One below a folder, for tests.
    #[cfg(test)]
    pub fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            programs: vec!["/usr/bin".into()],
        }
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Where a program is.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let mut found = self.programs.iter().map(|folder| folder.join(name));
        found.find(|path| self.is_program(path))
    }

    /// Whether there is something there that can be run.
    pub fn is_program(&self, path: &Path) -> bool {
        fs::metadata(self.real(path)).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    }

    /// Whether there is anything.
    pub fn exists(&self, path: &str) -> bool {
        self.real(Path::new(path)).exists()
    }

    /// A file's text; None where it cannot be read.
    pub fn text(&self, path: &Path) -> Option<String> {
        let path = self.real(path);
        let small = fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= LONGEST_FILE);
        if small { fs::read_to_string(path).ok() } else { None }
    }

    /// The names in a folder, in order; none where there is no such folder.
    pub fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(self.real(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Whether somebody listens there; None where there is no socket.
    pub fn answers(&self, socket: &Path) -> Option<bool> {
        let path = self.real(socket);
        let is_socket = fs::metadata(&path).is_ok_and(|found| found.file_type().is_socket());
        is_socket.then(|| UnixStream::connect(path).is_ok())
    }
}

//! Whose end is the end of a sandbox that is not the host's own: our sockets in it would keep a dead namespace alive, with the host's end of its links.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use jackfield_kernel::{Kernel, KernelError, Namespace, NamespaceSource, sockets};
use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};

/// What a sandbox's life hangs on.
#[derive(Debug)]
pub enum Life {
    /// The host's own word: it made the namespace, and says when it goes.
    Host,
    /// A process.
    Process(OwnedFd),
    /// A file.
    File(PathBuf),
}

impl Life {
    /// That of a namespace which is opened in this way; None where there is nothing to watch.
    ///
    /// # Errors
    /// That the process or the file does not have this namespace any more.
    pub fn of(
        kernel: &dyn Kernel,
        source: &NamespaceSource,
        namespace: &Namespace,
    ) -> Result<Option<Self>, KernelError> {
        let life = match source {
            NamespaceSource::Own => return Ok(None),
            NamespaceSource::Pid(pid) => Self::Process(sockets::process(*pid)?),
            NamespaceSource::Path(path) => match process_of(path) {
                Some(pid) => Self::Process(sockets::process(pid)?),
                None => Self::File(path.clone()),
            },
        };
        // Only now is it certain that what is held is what was opened.
        if kernel.open_namespace(source)?.id() != namespace.id() {
            return Err(KernelError::NamespaceGone(namespace.id().to_string()));
        }
        Ok(Some(life))
    }
}

/// The process of `/proc/PID/...`: such files are in no folder that tells of their end.
fn process_of(path: &Path) -> Option<u32> {
    path.strip_prefix("/proc")
        .ok()?
        .components()
        .next()?
        .as_os_str()
        .to_str()?
        .parse()
        .ok()
}

/// The folders of the files that lives hang on.
#[derive(Debug)]
pub struct Files {
    inotify: Inotify,
    folders: HashMap<PathBuf, (WatchDescriptor, usize)>,
}

impl Files {
    /// None watched.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Self {
            inotify,
            folders: HashMap::new(),
        })
    }

    /// Watches a file.
    pub fn add(&mut self, file: &Path) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        if let Some((_, count)) = self.folders.get_mut(&folder) {
            *count += 1;
            return Ok(());
        }
        let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE_SELF;
        let watch = self.inotify.add_watch(&folder, gone)?;
        self.folders.insert(folder, (watch, 1));
        Ok(())
    }

    /// One watcher of that file less.
    pub fn remove(&mut self, file: &Path) {
        let folder = file.parent().unwrap_or(Path::new("/"));
        let Some((watch, count)) = self.folders.get_mut(folder) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            // A folder that is gone took its watch along.
            let _ = self.inotify.rm_watch(*watch);
            self.folders.remove(folder);
        }
    }

    /// The files that were taken away since. None: so much happened that any may have been.
    pub fn taken(&self) -> Option<Vec<PathBuf>> {
        let mut files = Vec::new();
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        let folder = self.folders.iter().find(|(_, (watch, _))| *watch == event.wd);
                        match (folder, event.name) {
                            (Some((folder, _)), Some(name)) => files.push(join(folder, name)),
                            _ => return self.drain(),
                        }
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return Some(files),
            }
        }
    }

    fn drain(&self) -> Option<Vec<PathBuf>> {
        while self.inotify.read_events().is_ok() {}
        None
    }
}

fn join(folder: &Path, name: OsString) -> PathBuf {
    folder.join(name)
}

impl AsFd for Files {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_proc_belong_to_a_process() {
        assert_eq!(process_of(Path::new("/proc/12/ns/net")), Some(12));
        assert_eq!(process_of(Path::new("/proc/12/task/14/ns/net")), Some(12));
        assert_eq!(process_of(Path::new("/proc/self/ns/net")), None);
        assert_eq!(process_of(Path::new("/run/netns/12")), None);
    }

    #[test]
    fn a_file_that_goes_is_told_and_its_folder_let_go_with_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&a, "").unwrap();
        std::fs::write(&b, "").unwrap();
        let mut files = Files::new().unwrap();
        files.add(&a).unwrap();
        files.add(&b).unwrap();
        std::fs::remove_file(&a).unwrap();
        assert_eq!(files.taken(), Some(vec![a.clone()]));
        assert_eq!(files.taken(), Some(vec![]));
        files.remove(&a);
        files.remove(&b);
        assert!(files.folders.is_empty());
    }
}

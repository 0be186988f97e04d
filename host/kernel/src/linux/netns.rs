//! Network namespaces of the real kernel: made, opened, entered, pinned.
//!
//! A thread is in another namespace only for the length of a closure, and whatever the closure does, the thread is back afterwards. A thread
//! that could not come back would go on serving in a stranger's namespace, so that is tried before it leaves, and if it fails all the same
//! the process ends.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{fs::OpenOptionsExt, net::UnixDatagram},
    },
    path::{Path, PathBuf},
    thread,
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::{
        stat::fstat,
        statfs::{NSFS_MAGIC, fstatfs},
    },
};

use super::{socket::Socket, system};
use crate::{KernelError, Namespace, NamespaceId, NamespaceSource, Result};

/// The namespace of the calling thread, which need not be the process's.
const THREAD: &str = "/proc/thread-self/ns/net";
/// The namespace of the process.
const PROCESS: &str = "/proc/self/ns/net";

/// Runs a closure with the calling thread inside the namespace. The thread is back when this returns, or unwinds.
///
/// # Errors
/// `System` when the namespace cannot be entered, or could not be left again: then the closure has not run.
pub fn within<T>(namespace: &Namespace, run: impl FnOnce() -> T) -> Result<T> {
    let Some(fd) = namespace.fd() else {
        return Err(malformed(
            "enter namespace",
            namespace.id().to_string(),
            "it is one of the simulated kernel",
        ));
    };
    within_fd(fd, run).map_err(|cause| KernelError::System {
        operation: "enter namespace",
        object: namespace.id().to_string(),
        cause,
    })
}

fn within_fd<T>(fd: &impl AsFd, run: impl FnOnce() -> T) -> io::Result<T> {
    let home = File::open(THREAD)?;
    // Its own realm the host can serve without the privilege to enter others.
    if inode(&home)? == inode(fd)? {
        return Ok(run());
    }
    // Entering the namespace one is in changes nothing, but needs the privilege that coming back will need: a process whose user
    // namespace does not own its network namespace could leave it and not return.
    setns(&home, CloneFlags::CLONE_NEWNET)?;
    setns(fd, CloneFlags::CLONE_NEWNET)?;
    let _return = Return { home };
    Ok(run())
}

/// Brings the thread back, also when the closure panics.
struct Return {
    home: File,
}

impl Drop for Return {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.home, CloneFlags::CLONE_NEWNET) {
            tracing::error!(%error, "a thread cannot return from a network namespace; ending, since it would serve in the wrong one");
            std::process::abort();
        }
    }
}

/// A new namespace, prepared by that closure from within, and a NETLINK_ROUTE socket in it: both are to be had for nothing while one is there.
pub(super) fn create(prepare: fn() -> io::Result<()>) -> Result<(Namespace, Socket)> {
    let failed = |cause| KernelError::System {
        operation: "create",
        object: "network namespace".to_owned(),
        cause,
    };
    // On a thread of its own, which ends inside: there is nothing to come back from.
    let made = thread::Builder::new()
        .name("netns".to_owned())
        .spawn(move || create_here(prepare))
        .map_err(failed)?
        .join();
    made.unwrap_or_else(|_| Err(io::Error::other("the thread that makes it panicked")))
        .map_err(failed)
}

fn create_here(prepare: fn() -> io::Result<()>) -> io::Result<(Namespace, Socket)> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    prepare()?;
    let fd = OwnedFd::from(File::open(THREAD)?);
    let socket = Socket::open(libc::NETLINK_ROUTE as isize)?;
    let id = NamespaceId(system::netns_cookie(&socket)?);
    Ok((Namespace::real(id, fd), socket))
}

/// Opens a namespace that is there.
pub(super) fn open(source: &NamespaceSource) -> Result<Namespace> {
    match source {
        NamespaceSource::Own => open_file(Path::new(PROCESS)),
        NamespaceSource::Path(path) => open_file(path),
        NamespaceSource::Pid(pid) => open_process(*pid),
    }
}

fn open_file(path: &Path) -> Result<Namespace> {
    let object = path.display().to_string();
    // By O_PATH first: opening a device or a fifo, which a caller's path may name, has effects or waits.
    let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path);
    let found = found.map_err(|cause| gone_or("open namespace", object.clone(), cause))?;
    let magic = fstatfs(&found)
        .map_err(|e| system("open namespace", object.clone(), e.into()))?
        .filesystem_type();
    if magic != NSFS_MAGIC {
        return Err(not_a_namespace(
            object,
            "expected a namespace's file as /run/netns/NAME or /proc/PID/ns/net",
        ));
    }
    let fd = File::open(itself(&found)).map_err(|cause| gone_or("open namespace", object.clone(), cause))?;
    identify(fd.into(), object)
}

fn open_process(pid: u32) -> Result<Namespace> {
    let object = format!("process {pid}");
    let gone = |errno: Errno| gone_or("open namespace of", object.clone(), errno.into());
    let pidfd = system::pidfd_open(pid).map_err(gone)?;
    match system::network_namespace_of(&pidfd) {
        Ok(fd) => identify(fd, object),
        // Before Linux 6.11 there is only the file, which the held pidfd keeps from being another process's.
        Err(Errno::ENOTTY | Errno::EINVAL) => open_file(&PathBuf::from(format!("/proc/{pid}/ns/net"))),
        Err(errno) => Err(gone(errno)),
    }
}

/// Takes over a descriptor that somebody sent.
pub(super) fn adopt(fd: OwnedFd) -> Result<Namespace> {
    identify(fd, "the descriptor".to_owned())
}

/// Checks that a descriptor is a network namespace and reads its cookie there.
fn identify(fd: OwnedFd, object: String) -> Result<Namespace> {
    match system::namespace_type(&fd) {
        Ok(libc::CLONE_NEWNET) => {}
        Ok(_) => {
            return Err(not_a_namespace(object, "it is a namespace of another kind"));
        }
        Err(_) => {
            return Err(not_a_namespace(object, "it is no namespace at all"));
        }
    }
    let cookie = within_fd(&fd, cookie_here).and_then(|cookie| cookie);
    let cookie = cookie.map_err(|cause| system("identify namespace", object, cause))?;
    Ok(Namespace::real(NamespaceId(cookie), fd))
}

/// The cookie of the namespace that the calling thread is in. Any socket tells it; one of this family costs least.
pub(super) fn cookie_here() -> io::Result<u64> {
    system::netns_cookie(&UnixDatagram::unbound()?)
}

/// Who made the user namespace that owns the namespace.
pub(super) fn owner_uid(namespace: &Namespace) -> Result<u32> {
    let failed = |errno: Errno| system("find the owner of", namespace.id().to_string(), errno.into());
    let Some(fd) = namespace.fd() else {
        return Err(malformed(
            "find the owner of",
            namespace.id().to_string(),
            "it is one of the simulated kernel",
        ));
    };
    let user = system::owning_user_namespace(fd).map_err(failed)?;
    system::owner_of_user_namespace(&user).map_err(failed)
}

/// Gives a namespace a file that keeps it alive: a bind mount of it, as `ip netns` makes. Pinning it there again is no error.
///
/// Unlike `ip netns` this leaves alone how mounts below the directory propagate. `ip netns exec` makes a mount namespace for each command
/// and so needs the mount to be shared; the host never does, and where the system shares /run (systemd does) the pin is shared as well.
pub(super) fn pin(namespace: &Namespace, path: &Path) -> Result<()> {
    let failed = |cause| system("pin namespace at", path.display().to_string(), cause);
    let Some(fd) = namespace.fd() else {
        return Err(malformed(
            "pin",
            namespace.id().to_string(),
            "it is one of the simulated kernel",
        ));
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o444).open(path) {
        // From this pin before, or from one that was cut off before its mount.
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        other => drop(other.map_err(failed)?),
    }
    match standing_at(path).map_err(failed)? {
        Standing::Nothing => {
            mount(Some(&itself(fd)), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(|e| failed(e.into()))
        }
        Standing::Namespace(there) if there == inode(fd).map_err(failed)? => Ok(()),
        Standing::Namespace(_) | Standing::Other => Err(failed(Errno::EEXIST.into())),
    }
}

/// Takes the file of a pinned namespace away. Not being there is no error.
pub(super) fn unpin(path: &Path) -> Result<()> {
    let failed = |cause| system("unpin namespace at", path.display().to_string(), cause);
    match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // EINVAL: nothing is mounted there, as after a pin that was cut off.
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
        Err(errno) => return Err(failed(errno.into())),
    }
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed(cause)),
        _ => Ok(()),
    }
}

/// What is at the path of a pin.
enum Standing {
    /// An empty file, to be mounted over.
    Nothing,
    /// A namespace with that device and inode.
    Namespace((u64, u64)),
    /// Something of somebody else's.
    Other,
}

fn standing_at(path: &Path) -> io::Result<Standing> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
        .open(path)?;
    if fstatfs(&file)?.filesystem_type() == NSFS_MAGIC {
        return inode(&file).map(Standing::Namespace);
    }
    let metadata = file.metadata()?;
    Ok(if metadata.is_file() && metadata.len() == 0 {
        Standing::Nothing
    } else {
        Standing::Other
    })
}

/// Device and inode. They tell two namespaces apart only while both are open, which here they are.
fn inode(file: &impl AsFd) -> io::Result<(u64, u64)> {
    let found = fstat(file)?;
    Ok((found.st_dev, found.st_ino))
}

/// The path by which an open descriptor can be opened or mounted again.
fn itself(file: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

fn system(operation: &'static str, object: String, cause: io::Error) -> KernelError {
    KernelError::System {
        operation,
        object,
        cause,
    }
}

/// An error of opening: the namespace is gone where there is nothing at all.
fn gone_or(operation: &'static str, object: String, cause: io::Error) -> KernelError {
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ESRCH | Errno::ENOTDIR) => KernelError::NamespaceGone(object),
        _ => system(operation, object, cause),
    }
}

fn not_a_namespace(object: String, problem: &'static str) -> KernelError {
    KernelError::NotANamespace { object, problem }
}

fn malformed(operation: &'static str, object: String, problem: &str) -> KernelError {
    KernelError::Malformed {
        operation,
        object,
        problem: problem.to_owned(),
    }
}

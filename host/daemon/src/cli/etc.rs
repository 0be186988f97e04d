//! A sandbox's own resolv.conf, hosts and hostname, in the place of those in /etc, for one command and whatever that starts.

use std::{io, path::Path};

use jackfield_names::files::{HOSTNAME, HOSTS, RESOLV_CONF};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::sethostname,
};

/// Puts the calling thread into mount and UTS namespaces of its own, in which /etc is as the sandbox has it. What the system mounts later is seen
/// there too. The thread does not come back: it is one that ends when the command is started.
///
/// # Errors
/// That the caller may not, or a file cannot be mounted. One that /etc does not have is left out: nobody looks for it.
pub(super) fn enter(files: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_SLAVE,
        None::<&str>,
    )?;
    for name in [RESOLV_CONF, HOSTS, HOSTNAME] {
        let target = Path::new("/etc").join(name);
        match mount(
            Some(&files.join(name)),
            &target,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        ) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let hostname = std::fs::read_to_string(files.join(HOSTNAME))?;
    Ok(sethostname(hostname.trim())?)
}

//! Private namespaces for a whole process: what makes every test safe to run, and runnable without root.

use std::{fs, io, path::Path};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{Uid, getgid, getuid},
};

use crate::{
    Result,
    error::{During, LabError},
};

/// Says that the process is in private namespaces already, to itself and to what it starts.
const MARK: &str = "JACKFIELD_PRIVATE";

/// Whether this process is in private namespaces.
pub fn entered() -> bool {
    std::env::var_os(MARK).is_some()
}

/// The variable, with its value, that children inside must carry.
pub fn mark() -> (&'static str, &'static str) {
    (MARK, "1")
}

/// Moves this process, which must have one thread only, into network and mount namespaces of its own, and into a user namespace as its
/// root unless it is root already. `/run` is empty there, and mounts do not reach outside.
///
/// # Errors
/// Says what the machine does not allow and what would allow it.
pub fn enter() -> Result<()> {
    let (uid, gid) = (getuid(), getgid());
    let user = if uid.is_root() {
        CloneFlags::empty()
    } else {
        CloneFlags::CLONE_NEWUSER
    };
    unshare(user | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(|errno| refused(uid, errno))?;
    if !uid.is_root() {
        map_to_root(uid.as_raw(), gid.as_raw()).during("map this user to root of a user namespace")?;
    }
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .during("keep mounts private")?;
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .during("mount an empty /run")?;
    Ok(())
}

fn refused(uid: Uid, errno: nix::Error) -> LabError {
    let step = "make private user, network and mount namespaces";
    if uid.is_root() {
        return LabError::new(
            step,
            format!("{errno}; a container needs the capability SYS_ADMIN for it"),
        );
    }
    let advice = "allow user namespaces (sysctl user.max_user_namespaces above 0, and on some systems \
                  kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0), or run as root";
    LabError::new(step, format!("{errno}; {advice}"))
}

/// Writes the maps of `user_namespaces(7)`; `setgroups` has to be denied before an ordinary user may map his group.
fn map_to_root(uid: u32, gid: u32) -> io::Result<()> {
    let own = Path::new("/proc/self");
    fs::write(own.join("setgroups"), "deny")?;
    fs::write(own.join("uid_map"), format!("0 {uid} 1"))?;
    fs::write(own.join("gid_map"), format!("0 {gid} 1"))
}

/// Whether this process is root of a user namespace only, and not of the machine.
pub fn mapped() -> bool {
    let whole = format!("{}", u32::MAX);
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_whitespace().nth(2) != Some(whole.as_str()))
}

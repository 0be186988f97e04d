//! The host as a managed plugin of Docker's: in a container of dockerd's making, with the host's network and little else.

use jackfield_model::{Error, ErrorCode, Result};
use nix::mount::{MsFlags, mount};

/// Where the kernel's switches are.
const SWITCHES: &str = "/proc/sys";

/// Makes the kernel's switches writable, which dockerd hides behind a read-only mount in every container: those of the links that the host
/// makes are the host's to set. The mount is of this container alone.
///
/// # Errors
/// denied, without the capability that the plugin's configuration asks for.
pub(crate) fn open_switches() -> Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let opened = mount(None::<&str>, SWITCHES, None::<&str>, flags, None::<&str>);
    opened.map_err(|cause| {
        let message = format!("{SWITCHES} cannot be made writable: a managed plugin needs the capability SYS_ADMIN");
        Error::new(ErrorCode::Denied, message).caused_by(cause)
    })
}

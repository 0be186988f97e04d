//! Which kinds of links this kernel has.

use std::fs::File;

use nix::errno::Errno;

use super::{Linux, encode, lock, netns};
use crate::Result;

/// The device that TUN and TAP links are made by.
pub(super) const TUN_DEVICE: &str = "/dev/net/tun";

/// See [`crate::Kernel::supports`]. TUN and TAP links are made by their device, and to a question like the others' the kernel answers as if it
/// did not know them; opening the device makes no link. Others are asked for in a namespace made for it and gone with the answer, since the question is a creation.
pub(super) fn supports(linux: &Linux, kind: &str) -> Result<bool> {
    if lock(&linux.kinds).contains(kind) {
        return Ok(true);
    }
    let known = match kind {
        "tap" | "tun" => File::options().read(true).write(true).open(TUN_DEVICE).is_ok(),
        kind => has(kind)?,
    };
    if known {
        lock(&linux.kinds).insert(kind.to_owned());
    }
    Ok(known)
}

/// EOPNOTSUPP is the kernel's answer to a kind that it does not know and has no module for; any other refusal is about the attributes
/// that are missing.
fn has(kind: &str) -> Result<bool> {
    let (namespace, mut socket) = netns::create(|| Ok(()))?;
    let asked = socket.ask(encode::only_kind(kind));
    match asked {
        Ok(Err(refusal)) => Ok(refusal.errno != Errno::EOPNOTSUPP),
        Ok(Ok(_)) => Ok(true),
        Err(cause) => Err(crate::KernelError::System {
            operation: "talk to the kernel in",
            object: namespace.id().to_string(),
            cause,
        }),
    }
}

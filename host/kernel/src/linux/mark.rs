//! Marks: how a namespace is known to be gone by one who must not keep it alive.
//!
//! A mark is the namespace's number in our own (RTM_NEWNSID). The kernel forgets it when the namespace goes, and holds nothing for it. It is
//! made of the cookie, so that it is found again after a restart.

use netlink_packet_route::{
    RouteNetlinkMessage,
    nsid::{NsidAttribute, NsidMessage},
};
use nix::errno::Errno;
use std::os::fd::AsRawFd;

use super::{Linux, describe, encode::serialised, netns};
use crate::{Namespace, NamespaceId, NamespaceSource, Result};

/// The kernel gives numbers from zero upwards; ours are far from those.
const OURS: u64 = 0x4000_0000;

/// Cookies are counted, so that two that are alike in 30 bits are a thousand million namespaces apart.
fn number(id: NamespaceId) -> i32 {
    // At most 31 bits, by the mask and the bit above it.
    (OURS | (id.0 & (OURS - 1))) as i32
}

/// See [`crate::Kernel::mark`].
pub(super) fn mark(linux: &Linux, namespace: &Namespace) -> Result<bool> {
    let Some(fd) = namespace.fd() else { return Ok(false) };
    let mut message = NsidMessage::default();
    // A descriptor is no negative number.
    message.attributes = vec![
        NsidAttribute::Id(number(namespace.id())),
        NsidAttribute::Fd(fd.as_raw_fd().cast_unsigned()),
    ];
    let own = netns::open(&NamespaceSource::Own)?;
    match linux.route(&own, |socket| {
        socket.ask(serialised(0, &RouteNetlinkMessage::NewNsId(message)))
    })? {
        Ok(_) => Ok(true),
        // It has one: from an earlier host, or the kernel's own, which means nothing.
        Err(refusal) if refusal.errno == Errno::EEXIST => lives(linux, namespace.id()),
        Err(refusal) => Err(describe::explain("mark", namespace.id().to_string(), refusal)),
    }
}

/// See [`crate::Kernel::lives`].
pub(super) fn lives(linux: &Linux, marked: NamespaceId) -> Result<bool> {
    let mut message = NsidMessage::default();
    message.attributes = vec![NsidAttribute::Id(number(marked))];
    let own = netns::open(&NamespaceSource::Own)?;
    match linux.route(&own, |socket| {
        socket.ask(serialised(0, &RouteNetlinkMessage::GetNsId(message)))
    })? {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Err(refusal) => Err(describe::explain("look for", marked.to_string(), refusal)),
    }
}

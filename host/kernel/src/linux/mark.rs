//! Marks: how a namespace is known to be gone by one who must not keep it alive.
//!
//! A mark is the namespace's number in our own (RTM_NEWNSID). The kernel forgets it when the namespace goes, and holds nothing for it. Ours are
//! made of the cookie, so that nobody else gets the same; where the kernel has given it a number already, as it does when a pair of links leads
//! there, there can be no other, and it is that one.

use std::os::fd::AsRawFd;

use netlink_packet_route::{
    RouteNetlinkMessage,
    nsid::{NsidAttribute, NsidMessage},
};
use nix::errno::Errno;

use super::{
    Linux,
    attributes::Attributes,
    describe,
    encode::serialised,
    netns,
    socket::{Message, Refusal},
};
use crate::{KernelError, Mark, Namespace, NamespaceSource, Result};

/// The kernel gives numbers from zero upwards; ours are far from those.
const OURS: u64 = 0x4000_0000;
/// NETNSA_NSID of include/uapi/linux/net_namespace.h.
const NUMBER: u16 = 1;
/// A struct rtgenmsg, with what aligns the attributes behind it.
const HEAD: usize = 4;

/// See [`crate::Kernel::mark`].
pub(super) fn mark(linux: &Linux, namespace: &Namespace) -> Result<Mark> {
    let explain = |refusal| describe::explain("mark", namespace.id().to_string(), refusal);
    let unknown = |problem: &str| KernelError::Malformed {
        operation: "mark",
        object: namespace.id().to_string(),
        problem: problem.to_owned(),
    };
    let fd = namespace
        .fd()
        .ok_or_else(|| unknown("it is one of the simulated kernel"))?;
    // A descriptor is no negative number.
    let itself = NsidAttribute::Fd(fd.as_raw_fd().cast_unsigned());
    // Cookies are counted, so that two that are alike in 30 bits are a thousand million namespaces apart.
    let number = (OURS | (namespace.id().0 & (OURS - 1))) as i32;
    let new = RouteNetlinkMessage::NewNsId(message(vec![NsidAttribute::Id(number), itself.clone()]));
    match ask(linux, serialised(0, &new))? {
        Ok(_) => return Ok(Mark(number.cast_unsigned())),
        Err(refusal) if refusal.errno == Errno::EEXIST => {}
        Err(refusal) => return Err(explain(refusal)),
    }
    let get = RouteNetlinkMessage::GetNsId(message(vec![itself]));
    let answer = ask(linux, serialised(0, &get))?.map_err(explain)?;
    let number = answer.and_then(|body| Attributes::after(&body, HEAD).get_u32(NUMBER));
    // Minus one: it has none after all.
    let number = number.filter(|number| *number <= i32::MAX.cast_unsigned());
    number
        .map(Mark)
        .ok_or_else(|| unknown("the kernel does not say its number"))
}

/// See [`crate::Kernel::lives`].
pub(super) fn lives(linux: &Linux, mark: Mark) -> Result<bool> {
    let get = RouteNetlinkMessage::GetNsId(message(vec![NsidAttribute::Id(mark.0.cast_signed())]));
    match ask(linux, serialised(0, &get))? {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.errno == Errno::ENOENT => Ok(false),
        Err(refusal) => Err(describe::explain(
            "look for",
            format!("namespace number {}", mark.0),
            refusal,
        )),
    }
}

fn message(attributes: Vec<NsidAttribute>) -> NsidMessage {
    let mut message = NsidMessage::default();
    message.attributes = attributes;
    message
}

/// In the namespace of this process, whose numbers they are.
fn ask(linux: &Linux, message: Message) -> Result<std::result::Result<Option<Vec<u8>>, Refusal>> {
    let own = netns::open(&NamespaceSource::Own)?;
    let answered = linux.route(&own, |socket| socket.ask(message))?;
    Ok(answered.map(|answer| answer.map(|answer| answer.body)))
}

//! Questions about one thing: a link, its counters, a route.

use std::net::IpAddr;

use nix::errno::Errno;

use super::{
    Linux, decode, describe, encode,
    socket::{Answer, Message},
};
use crate::{KernelError, LinkInfo, LinkQuery, LinkStatistics, Namespace, Result, RouteLookup, plan::Ifindex};

/// See [`crate::Kernel::link`].
pub(super) fn link(linux: &Linux, namespace: &Namespace, query: LinkQuery<'_>) -> Result<Option<LinkInfo>> {
    let (message, object) = match query {
        LinkQuery::Index(index) => (encode::by_index(index), format!("link {index}")),
        LinkQuery::Name(name) => (encode::by_name(name), format!("link {name}")),
    };
    about_link(linux, namespace, message, object, decode::link)
}

/// See [`crate::Kernel::statistics`].
pub(super) fn statistics(linux: &Linux, namespace: &Namespace, index: Ifindex) -> Result<Option<LinkStatistics>> {
    about_link(
        linux,
        namespace,
        encode::statistics(index),
        format!("link {index}"),
        decode::link_statistics,
    )
}

/// The name that a link has now, None when it is gone.
pub(super) fn link_name(linux: &Linux, namespace: &Namespace, index: Ifindex) -> Result<Option<String>> {
    let name = |message: &[u8]| decode::link_name(message).map(str::to_owned);
    about_link(linux, namespace, encode::by_index(index), format!("link {index}"), name)
}

/// Asks about a link; None when there is none.
fn about_link<T>(
    linux: &Linux,
    namespace: &Namespace,
    message: Message,
    object: String,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>> {
    match linux.route(namespace, |socket| socket.ask(message))? {
        Ok(Some(answer)) => understood(object, &answer, read).map(Some),
        Ok(None) => Ok(None),
        Err(refusal) if refusal.errno == Errno::ENODEV => Ok(None),
        Err(refusal) => Err(describe::explain("look at", object, refusal)),
    }
}

fn understood<T>(object: String, answer: &Answer, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T> {
    let problem = || "the kernel's answer cannot be read, or its name is none that may be given to a link".to_owned();
    read(&answer.body).ok_or_else(|| KernelError::Malformed {
        operation: "look at",
        object,
        problem: problem(),
    })
}

/// See [`crate::Kernel::lookup_route`].
pub(super) fn lookup_route(linux: &Linux, namespace: &Namespace, destination: IpAddr) -> Result<Option<RouteLookup>> {
    match linux.route(namespace, |socket| socket.ask(encode::lookup(destination)))? {
        Ok(answer) => Ok(answer.and_then(|a| decode::looked_up(&a.body))),
        // No route, or one of the types unreachable, blackhole and prohibit.
        Err(refusal)
            if matches!(
                refusal.errno,
                Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EINVAL | Errno::EACCES
            ) =>
        {
            Ok(None)
        }
        Err(refusal) => Err(describe::explain(
            "look up the route to",
            destination.to_string(),
            refusal,
        )),
    }
}

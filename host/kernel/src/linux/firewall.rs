//! The host's own nftables table, over the namespace's NETLINK_NETFILTER socket.

use std::{fs, io, os::unix::net::UnixStream};

use super::{Linux, netns, socket::Socket, watch::Watch};
use crate::{
    FirewallChange, KernelError, Namespace, Result,
    nft::{self, Blocked, Mended},
    plan::FirewallRule,
};

/// All of these changes in one transaction, or none.
///
/// # Errors
/// The outer one: the conversation broke, and whether the transaction was made is not known.
pub(super) fn apply(linux: &Linux, namespace: &Namespace, changes: &[FirewallChange]) -> Result<Result<()>> {
    linux.netfilter(namespace, |socket| Wire::talk(socket, |wire| nft::apply(wire, changes)))
}

/// A sandbox's table that leads its questions to that port, made or taken away.
///
/// # Errors
/// The outer one as that of [`apply`].
pub(super) fn resolver(linux: &Linux, namespace: &Namespace, port: Option<u16>) -> Result<Result<()>> {
    linux.netfilter(namespace, |socket| Wire::talk(socket, |wire| nft::resolver(wire, port)))
}

/// Every nftables object of the namespace, as text.
pub(super) fn dump(linux: &Linux, namespace: &Namespace) -> Result<Vec<String>> {
    linux.netfilter(namespace, |socket| Wire::talk(socket, |wire| nft::dump(wire)))?
}

/// Puts back what is missing of these rules.
pub(super) fn mend(linux: &Linux, namespace: &Namespace, rules: &[FirewallRule]) -> Result<Mended> {
    let mut mended = linux.netfilter(namespace, |socket| Wire::talk(socket, |wire| nft::mend(wire, rules)))??;
    if !rules.is_empty() {
        mended.blocked.extend(legacy(namespace)?);
    }
    Ok(mended)
}

/// A socket that hears of others' changes.
pub(super) fn watch(linux: &Linux, namespace: &Namespace, until: UnixStream) -> Result<Watch> {
    // Opens the host's own socket if it is not: the watch has to know it.
    linux.netfilter(namespace, |_| Ok(()))?;
    let port = linux.sockets(namespace).netfilter_port.clone();
    netns::within(namespace, || Watch::open(until, port))?.map_err(|cause| KernelError::System {
        operation: "watch",
        object: "nf_tables".to_owned(),
        cause,
    })
}

/// Tables of iptables-legacy are beyond nf_tables: what they drop the host cannot let pass. It tells nobody of changes either: they are
/// seen when something else is looked at.
fn legacy(namespace: &Namespace) -> Result<Vec<Blocked>> {
    let mut blocked = Vec::new();
    for (names, program) in [
        ("ip_tables_names", "iptables-legacy"),
        ("ip6_tables_names", "ip6tables-legacy"),
    ] {
        let path = format!("/proc/thread-self/net/{names}");
        let tables = netns::within(namespace, || fs::read_to_string(path))?.unwrap_or_default();
        if tables.lines().any(|table| table == "filter") {
            blocked.push(Blocked::by_legacy(program));
        }
    }
    Ok(blocked)
}

/// The socket as the nftables code uses it: that makes its messages and numbers them itself.
struct Wire<'a> {
    socket: &'a mut Socket,
    /// Why the conversation broke; the socket must not be used again then.
    broken: Option<io::Error>,
}

impl<'a> Wire<'a> {
    /// Lets the nftables code talk. The outer error is that of the socket, whatever the code made of it.
    fn talk<T>(socket: &'a mut Socket, talk: impl FnOnce(&mut Self) -> Result<T>) -> io::Result<Result<T>> {
        let mut wire = Self { socket, broken: None };
        let result = talk(&mut wire);
        wire.broken.map_or(Ok(result), Err)
    }
}

impl nft::Transport for Wire<'_> {
    fn roundtrip(&mut self, request: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.socket.roundtrip(request).map_err(|cause| {
            let copy = cause
                .raw_os_error()
                .map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error);
            self.broken = Some(cause);
            KernelError::System {
                operation: "talk to",
                object: "nf_tables".to_owned(),
                cause: copy,
            }
        })
    }
}

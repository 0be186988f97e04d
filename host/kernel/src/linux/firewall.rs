//! The host's own nftables table, over the namespace's NETLINK_NETFILTER socket.

use std::io;

use super::{Linux, socket::Socket};
use crate::{FirewallChange, KernelError, Namespace, Result, nft};

/// All of these changes in one transaction, or none.
///
/// # Errors
/// The outer one: the conversation broke, and whether the transaction was made is not known.
pub(super) fn apply(linux: &Linux, namespace: &Namespace, changes: &[FirewallChange]) -> Result<Result<()>> {
    linux.netfilter(namespace, |socket| Wire::talk(socket, |wire| nft::apply(wire, changes)))
}

/// Every nftables object of the namespace, as text.
pub(super) fn dump(linux: &Linux, namespace: &Namespace) -> Result<Vec<String>> {
    linux.netfilter(namespace, |socket| Wire::talk(socket, |wire| nft::dump(wire)))?
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

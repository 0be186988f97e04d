//! nf_tables over netlink: the host's own table, and a dump of everybody's.
//!
//! Nothing here opens a socket. What must be sent is made and what was answered is read in plain code; the few functions that need
//! the kernel take a [`Transport`].

use crate::{FirewallChange, Result, plan::FirewallRule};

/// A NETLINK_NETFILTER socket in one namespace. Keep it open: closing one after a delete waits 9 ms for the kernel to free what went.
pub trait Transport {
    /// Sends the messages in one send, then reads datagrams until there is none more, without waiting, and returns them as they came.
    ///
    /// That is enough, because netlink answers before the send returns, and queues each further part of a dump while the part before
    /// is read.
    ///
    /// # Errors
    /// That the socket failed. A refusal by the kernel is a message, not an error.
    fn roundtrip(&mut self, request: &[u8]) -> Result<Vec<Vec<u8>>>;
}

/// Makes all these changes in one transaction, or none.
///
/// # Errors
/// The kernel's first refusal: EEXIST for an element that is there already, ENOENT for one that is missing. Nothing was changed then.
pub fn apply(_transport: &mut dyn Transport, _changes: &[FirewallChange]) -> Result<()> {
    unimplemented!()
}

/// Every object of the namespace, foreign ones too: one a line, the table's name first, sorted, without handles and counters.
///
/// # Errors
/// That the kernel refused, or answered what cannot be read.
pub fn dump(_transport: &mut dyn Transport) -> Result<Vec<String>> {
    unimplemented!()
}

/// What [`dump`] says where there is nothing but the host's table with exactly these rules: for the simulated kernel.
///
/// # Errors
/// That a rule cannot be expressed.
pub fn lines(_rules: &[FirewallRule]) -> Result<Vec<String>> {
    unimplemented!()
}

//! nf_tables over netlink: the host's own table, and a dump of everybody's.
//!
//! Nothing here opens a socket. What must be sent is made and what was answered is read in plain code; the few functions that need
//! the kernel take a [`Transport`].

//!
//! ```text
//!   FirewallRule --elements--> keys and data --+
//!   layout: chains, sets, rules ---------------+--transaction--> bytes --Transport--> kernel
//!                                                                 lines <--dump--------+
//! ```

mod anchor;
mod asked;
mod beside;
mod blocked;
mod dump;
mod elements;
mod expression;
mod layout;
mod mend;
mod object;
mod operand;
mod resolver;
mod rules;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;
mod wire;

use nix::errno::Errno;

use transaction::{Transaction, question, signature};

pub use blocked::Blocked;
pub use mend::{Mended, mend};
pub use watch::concerns;

use crate::{FirewallChange, KernelError, Result, plan::FirewallRule};

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
/// The kernel's first refusal: EEXIST for an element that is there already, ENOENT for one that is missing; EINVAL for a rule that
/// cannot be expressed. Nothing was changed then.
pub fn apply(transport: &mut dyn Transport, changes: &[FirewallChange]) -> Result<()> {
    let present = changes.contains(&FirewallChange::EnsureTable) && is_present(transport)?;
    let transaction = Transaction::encode(changes, present)?;
    if transaction.is_empty() {
        return Ok(());
    }
    transaction.outcome(&transport.roundtrip(&transaction.bytes)?)?;
    match changes
        .iter()
        .rfind(|change| matches!(change, FirewallChange::EnsureTable | FirewallChange::DropTable))
    {
        Some(FirewallChange::EnsureTable) if !present => {
            anchor::drop_in(transport);
            // What is in the way is told by whoever watches, who looks as soon as the table is there.
            let _ = beside::stand(transport);
        }
        Some(FirewallChange::DropTable) => {
            beside::leave(transport);
            anchor::weigh(transport);
        }
        _ => {}
    }
    Ok(())
}

/// Makes a sandbox's table that leads its questions to that port, or takes the table away.
///
/// # Errors
/// The kernel's refusal: EEXIST where there is such a table, ENOENT where there is none to take away.
pub fn resolver(transport: &mut dyn Transport, port: Option<u16>) -> Result<()> {
    let transaction = resolver::transaction(port)?;
    transaction.outcome(&transport.roundtrip(&transaction.bytes)?)
}

/// Whether the host's table is there and of this layout: whether it holds the layout's signature. Asking costs two microseconds, making
/// the table some hundred.
fn is_present(transport: &mut dyn Transport) -> Result<bool> {
    let family = libc::NFPROTO_INET as u8;
    let request = question(libc::NFT_MSG_GETSETELEM, 0, family, |w| {
        object::write_elements(w, layout::TABLE, layout::LAYOUT_SET, &[signature()]);
    });
    match dump::each(&transport.roundtrip(&request)?, |_| Ok(())) {
        Ok(()) => Ok(true),
        Err(KernelError::Refused {
            errno: Errno::ENOENT, ..
        }) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Every object of the namespace, foreign ones too: one a line, the table's name first, sorted, without handles and counters.
///
/// # Errors
/// That the kernel refused, or answered what cannot be read.
pub fn dump(transport: &mut dyn Transport) -> Result<Vec<String>> {
    dump::dump(transport)
}

/// What [`dump()`] says where there is nothing but the host's table with exactly these rules: for the simulated kernel. It is read from the
/// messages that would make them.
///
/// # Errors
/// That a rule cannot be expressed.
pub fn lines(rules: &[FirewallRule]) -> Result<Vec<String>> {
    let adds = rules.iter().cloned().map(FirewallChange::Add);
    let changes: Vec<_> = std::iter::once(FirewallChange::EnsureTable).chain(adds).collect();
    let mut lines = dump::Lines::default();
    lines.take_all(&Transaction::encode(&changes, false)?.bytes)?;
    Ok(lines.sorted())
}

/// The same for a sandbox's table that leads its questions to that port.
///
/// # Errors
/// As [`lines()`].
pub fn resolver_lines(port: u16) -> Result<Vec<String>> {
    let mut lines = dump::Lines::default();
    lines.take_all(&resolver::transaction(Some(port))?.bytes)?;
    Ok(lines.sorted())
}

/// Whether the kernel refuses a new rule with EEXIST because of one that is there: both want the same key of a set, or keys that overlap.
///
/// It does not see everything. Where keys are concatenations with intervals it looks only whether the new one's ends are taken, so a range
/// of ports around one that is there, or a subnet around another's, is let in; and ranges and single ports are in different sets. Who
/// hands out ports and subnets must compare them himself.
pub(crate) fn collide(there: &FirewallRule, new: &FirewallRule) -> bool {
    elements::collide(there, new)
}

//! One transaction: changes of the host's table as messages between a BATCH_BEGIN and a BATCH_END. The kernel makes all or none of them.

use std::sync::OnceLock;

use nix::errno::Errno;

use super::{
    elements::{Placed, elements, words},
    layout,
    object::{self, Element, write_elements},
    rules,
    wire::{Head, Writer, messages},
};
use crate::{FirewallChange, KernelError, Result};

/// NFNL_MSG_BATCH_BEGIN and _END of linux/netfilter/nfnetlink.h.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
pub(super) const CREATE: u16 = libc::NLM_F_CREATE as u16;
pub(super) const EXCLUSIVE: u16 = libc::NLM_F_EXCL as u16;
/// Elements are a list in one attribute of at most 64 KiB; the longest is some 200 bytes.
const ELEMENTS_A_MESSAGE: usize = 256;

/// The type of an nf_tables message.
pub(super) fn kind(message: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | message as u16
}

/// Messages for one send, and how to read the answers to them.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) bytes: Vec<u8>,
    /// Operation and object of each message, by its sequence number.
    subjects: Vec<Subject>,
}

type Subject = (&'static str, String);

impl Transaction {
    /// The changes as messages. `present`: the table is there, and of this layout; then [`FirewallChange::EnsureTable`] has nothing to do.
    ///
    /// # Errors
    /// That a rule cannot be expressed.
    pub(super) fn encode(changes: &[FirewallChange], mut present: bool) -> Result<Self> {
        Self::of(|builder| {
            for change in changes {
                builder.change(change, present)?;
                present = match change {
                    FirewallChange::EnsureTable => true,
                    FirewallChange::DropTable => false,
                    FirewallChange::Add(_) | FirewallChange::Remove(_) => present,
                };
            }
            Ok(())
        })
    }

    /// What `fill` writes, framed.
    pub(super) fn of(fill: impl FnOnce(&mut Builder) -> Result<()>) -> Result<Self> {
        let mut builder = Builder::default();
        builder.frame(BATCH_BEGIN, "begin");
        fill(&mut builder)?;
        builder.frame(BATCH_END, "end");
        Ok(Self {
            bytes: builder.writer.into_bytes(),
            subjects: builder.subjects,
        })
    }

    /// Whether it says anything between its beginning and its end.
    pub(super) fn is_empty(&self) -> bool {
        self.subjects.len() == 2
    }

    /// What the kernel answered: the first refusal, or that the last message was acknowledged.
    pub(super) fn outcome(&self, answers: &[Vec<u8>]) -> Result<()> {
        let mut acknowledged = false;
        for datagram in answers {
            for message in messages(datagram)?
                .iter()
                .filter(|m| i32::from(m.kind) == libc::NLMSG_ERROR)
            {
                match message.answer()? {
                    (0, _) => acknowledged = true,
                    (errno, said) => return Err(self.refusal(message.sequence, Errno::from_raw(errno), said)),
                }
            }
        }
        if acknowledged {
            Ok(())
        } else {
            Err(super::wire::malformed("the kernel did not answer a transaction"))
        }
    }

    /// Whose refusal it is: an error at commit has the sequence number of BATCH_BEGIN.
    fn refusal(&self, sequence: u32, errno: Errno, said: Option<String>) -> KernelError {
        let whole = || ("commit", "nftables transaction".to_owned());
        let (operation, object) = self.subjects.get(sequence as usize).cloned().unwrap_or_else(whole);
        match said {
            Some(said) => KernelError::Explained {
                operation,
                object,
                said,
                errno,
            },
            None => KernelError::Refused {
                operation,
                object,
                errno,
            },
        }
    }
}

/// Writes the messages of a transaction, numbered in order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    writer: Writer,
    subjects: Vec<Subject>,
}

impl Builder {
    /// The beginning or the end. Before the end, the message that is last so far is told to acknowledge: one answer for all.
    fn frame(&mut self, kind: u16, operation: &'static str) {
        self.writer.acknowledge_last();
        let resource = libc::NFNL_SUBSYS_NFTABLES as u16;
        self.writer.message(
            Head {
                kind,
                flags: 0,
                sequence: self.next(),
                family: 0,
                resource,
            },
            |_| {},
        );
        self.subjects.push((operation, "nftables transaction".into()));
    }

    fn next(&self) -> u32 {
        self.subjects.len() as u32
    }

    fn change(&mut self, change: &FirewallChange, present: bool) -> Result<()> {
        match change {
            FirewallChange::EnsureTable if present => {}
            FirewallChange::EnsureTable => self.make_table(),
            FirewallChange::Add(rule) => self.add(&words(rule), elements(rule)?),
            FirewallChange::Remove(rule) => self.remove(&words(rule), elements(rule)?),
            FirewallChange::DropTable => self.drop_table(),
        }
        Ok(())
    }

    pub(super) fn message(
        &mut self,
        subject: Subject,
        message: libc::c_int,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) {
        self.message_of(libc::NFPROTO_INET as u8, subject, message, flags, body);
    }

    /// The same for a table of another family.
    pub(super) fn message_of(
        &mut self,
        family: u8,
        subject: Subject,
        message: libc::c_int,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) {
        self.writer.message(
            Head {
                kind: kind(message),
                flags,
                sequence: self.next(),
                family,
                resource: 0,
            },
            body,
        );
        self.subjects.push(subject);
    }

    /// Nothing exclusive but for the rules, which are all replaced: so it makes the table, completes that of an older host, and mends one
    /// that somebody changed, without a moment in which packets see half of it.
    fn make_table(&mut self) {
        self.new_table();
        for chain in layout::chains() {
            let subject = |operation| (operation, format!("chain {}", chain.name));
            self.message(subject("create"), libc::NFT_MSG_NEWCHAIN, CREATE, |w| {
                chain.write(w, layout::TABLE)
            });
            self.message(subject("flush"), libc::NFT_MSG_DELRULE, 0, |w| {
                w.text(object::TABLE, layout::TABLE);
                w.text(object::RULE_CHAIN, &chain.name);
            });
        }
        layout::RETIRED.into_iter().for_each(|chain| self.retire(chain));
        for (id, set) in (1..).zip(layout::sets()) {
            let subject = ("create", format!("set {}", set.name));
            self.message(subject, libc::NFT_MSG_NEWSET, CREATE, |w| {
                set.write(w, layout::TABLE, id)
            });
        }
        for rule in rules::rules() {
            let subject = ("create", format!("rule of chain {}", rule.chain));
            self.message(
                subject,
                libc::NFT_MSG_NEWRULE,
                CREATE | libc::NLM_F_APPEND as u16,
                |w| rule.write(w, layout::TABLE),
            );
        }
        self.sign();
    }

    /// A chain of an older layout goes. Made first: deleting what is not there is an error.
    fn retire(&mut self, chain: &str) {
        let subject = |operation| (operation, format!("chain {chain}"));
        let name = |w: &mut Writer| {
            w.text(object::TABLE, layout::TABLE);
            w.text(object::CHAIN_NAME, chain);
        };
        self.message(subject("create"), libc::NFT_MSG_NEWCHAIN, CREATE, name);
        self.message(subject("delete"), libc::NFT_MSG_DELCHAIN, 0, name);
    }

    fn new_table(&mut self) {
        let subject = ("create", format!("table {}", layout::TABLE));
        self.message(subject, libc::NFT_MSG_NEWTABLE, CREATE, |w| {
            w.text(object::TABLE, layout::TABLE)
        });
    }

    /// The layout's checksum, in place of any other.
    fn sign(&mut self) {
        let subject = |operation| (operation, format!("set {}", layout::LAYOUT_SET));
        self.message(subject("flush"), libc::NFT_MSG_DELSETELEM, 0, |w| {
            w.text(object::TABLE, layout::TABLE);
            w.text(object::ELEMENTS_SET, layout::LAYOUT_SET);
        });
        self.message(subject("sign"), libc::NFT_MSG_NEWSETELEM, CREATE, |w| {
            write_elements(w, layout::TABLE, layout::LAYOUT_SET, &[signature()]);
        });
    }

    /// Deleting what was just made, or was there, is no error; the message that only deletes came with Linux 6.3.
    fn drop_table(&mut self) {
        self.new_table();
        let subject = ("delete", format!("table {}", layout::TABLE));
        self.message(subject, libc::NFT_MSG_DELTABLE, 0, |w| {
            w.text(object::TABLE, layout::TABLE)
        });
    }

    fn add(&mut self, words: &str, placed: Vec<Placed>) {
        self.elements(("add", words), libc::NFT_MSG_NEWSETELEM, CREATE | EXCLUSIVE, placed);
    }

    /// By key alone: that is all that the kernel looks at.
    fn remove(&mut self, words: &str, placed: Vec<Placed>) {
        let keys = placed
            .into_iter()
            .map(|(set, element)| (set, Element { data: None, ..element }))
            .collect();
        self.elements(("remove", words), libc::NFT_MSG_DELSETELEM, 0, keys);
    }

    fn elements(
        &mut self,
        (operation, words): (&'static str, &str),
        message: libc::c_int,
        flags: u16,
        placed: Vec<Placed>,
    ) {
        for (set, elements) in by_set(placed) {
            for some in elements.chunks(ELEMENTS_A_MESSAGE) {
                self.message((operation, words.to_owned()), message, flags, |w| {
                    write_elements(w, layout::TABLE, &set, some)
                });
            }
        }
    }
}

/// The elements of each set together, in their order.
fn by_set(placed: Vec<Placed>) -> Vec<(String, Vec<Element>)> {
    let mut sets: Vec<(String, Vec<Element>)> = Vec::new();
    for (set, element) in placed {
        match sets.iter_mut().find(|(name, _)| *name == set) {
            Some((_, elements)) => elements.push(element),
            None => sets.push((set, vec![element])),
        }
    }
    sets
}

/// The element that says which layout a table has: a checksum of its chains, sets and rules.
pub(super) fn signature() -> Element {
    static SUM: OnceLock<u32> = OnceLock::new();
    let sum = || crc32fast::hash(format!("{:?}{:?}{:?}", layout::chains(), layout::sets(), rules::rules()).as_bytes());
    Element::key(SUM.get_or_init(sum).to_ne_bytes())
}

/// A question whose answer is a message or an error, outside of any transaction.
pub(super) fn question(message: libc::c_int, flags: u16, family: u8, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(
        Head {
            kind: kind(message),
            flags,
            sequence: 0,
            family,
            resource: 0,
        },
        body,
    );
    writer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_there_is_not_made_again_unless_it_is_dropped_between() {
        use FirewallChange::{DropTable, EnsureTable};
        let messages =
            |changes: &[FirewallChange], present| Transaction::encode(changes, present).unwrap().subjects.len() - 2;
        let making = messages(&[EnsureTable], false);
        assert!(Transaction::encode(&[EnsureTable], true).unwrap().is_empty());
        assert_eq!(messages(&[EnsureTable, EnsureTable], false), making);
        assert_eq!(messages(&[DropTable, EnsureTable], true), making + 2);
    }

    #[test]
    fn a_refusal_names_what_was_refused() {
        let transaction = Transaction::encode(&[FirewallChange::DropTable], false).unwrap();
        let error = transaction.refusal(2, Errno::EPERM, None);
        assert_eq!(error.to_string(), "delete table jackfield: Operation not permitted");
        let unknown = transaction.refusal(99, Errno::ENOMEM, Some("no room".into()));
        assert_eq!(unknown.to_string(), "commit nftables transaction: no room");
    }
}

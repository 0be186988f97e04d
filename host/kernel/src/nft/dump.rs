//! Everything that nf_tables holds in a namespace, as lines.

use super::{
    Transport,
    object::{self, Chain, Rule, Set, read_elements},
    transaction::{kind, question},
    wire::{Attributes, Message, Writer, hex, malformed, messages},
};
use crate::{KernelError, Result};

/// Somebody else may change the ruleset while it is read; then it is read again, but not for ever.
const ATTEMPTS: usize = 32;
/// linux/netfilter/nf_tables.h
const GENERATION_ID: u16 = 1;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const FLOWTABLE_NAME: u16 = 2;
const FLOWTABLE_HOOK: u16 = 3;
const TABLE_FLAGS: u16 = 2;
/// Not in libc.
const NEW_FLOWTABLE: libc::c_int = 22;
const GET_FLOWTABLE: libc::c_int = 23;
const DUMP: u16 = libc::NLM_F_DUMP as u16;

/// The kind of request for each kind of object.
const REQUESTS: [libc::c_int; 6] = [
    libc::NFT_MSG_GETTABLE,
    libc::NFT_MSG_GETCHAIN,
    libc::NFT_MSG_GETSET,
    libc::NFT_MSG_GETRULE,
    libc::NFT_MSG_GETOBJ,
    GET_FLOWTABLE,
];

/// See [`super::dump()`].
pub(super) fn dump(transport: &mut dyn Transport) -> Result<Vec<String>> {
    for _ in 0..ATTEMPTS {
        let before = generation(transport)?;
        let lines = read_all(transport);
        if generation(transport)? == before {
            return lines;
        }
    }
    Err(malformed("the ruleset changed each time it was read"))
}

/// The kernel counts transactions: the same count before and after means that nothing changed between.
fn generation(transport: &mut dyn Transport) -> Result<u32> {
    let answers = transport.roundtrip(&question(libc::NFT_MSG_GETGEN, 0, 0, |_| {}))?;
    let mut found = None;
    each(&answers, |message| {
        found = message.netfilter()?.1.optional_u32(GENERATION_ID);
        Ok(())
    })?;
    found.ok_or_else(|| malformed("the kernel told no generation of its ruleset"))
}

fn read_all(transport: &mut dyn Transport) -> Result<Vec<String>> {
    // The anchor comes and goes with the process, and means nothing to the ruleset.
    let is_anchor = |family: u8, table: &str| i32::from(family) == libc::NFPROTO_INET && table == super::layout::ANCHOR;
    read(transport, |family, table| !is_anchor(family, table), |_| {}, 0)
}

/// The host's own table alone: others may have a million elements.
pub(super) fn dump_own(transport: &mut dyn Transport) -> Result<Vec<String>> {
    let own = |family: u8, table: &str| i32::from(family) == libc::NFPROTO_INET && table == super::layout::TABLE;
    // A part of the requests heeds the name; the answers to the others are looked through.
    let name = |w: &mut Writer| w.text(object::TABLE, super::layout::TABLE);
    match read(transport, own, name, libc::NFPROTO_INET as u8) {
        // Those that heed the name say so when there is no such table.
        Err(error) if error.errno() == Some(nix::errno::Errno::ENOENT) => Ok(Vec::new()),
        read => read,
    }
}

fn read(
    transport: &mut dyn Transport,
    wanted: impl Fn(u8, &str) -> bool,
    name: impl Fn(&mut Writer),
    family: u8,
) -> Result<Vec<String>> {
    let mut lines = Lines::default();
    for request in REQUESTS {
        let answers = transport.roundtrip(&question(request, DUMP, family, &name))?;
        each(&answers, |message| {
            let (family, attributes) = message.netfilter()?;
            if wanted(family, &attributes.text(object::TABLE)?) {
                lines.take(message)?;
            }
            Ok(())
        })?;
    }
    for (family, table, set) in std::mem::take(&mut lines.sets) {
        let answers = transport.roundtrip(&question(libc::NFT_MSG_GETSETELEM, DUMP, family, |w| {
            name_set(w, &table, &set)
        }))?;
        each(&answers, |message| lines.take(message))?;
    }
    Ok(lines.sorted())
}

fn name_set(w: &mut Writer, table: &str, set: &str) {
    w.text(object::TABLE, table);
    w.text(object::ELEMENTS_SET, set);
}

/// Hands over each object of the answers.
///
/// # Errors
/// What the kernel refused, and what `take` says.
pub(super) fn each(answers: &[Vec<u8>], mut take: impl FnMut(&Message<'_>) -> Result<()>) -> Result<()> {
    for datagram in answers {
        for message in messages(datagram)? {
            match i32::from(message.kind) {
                libc::NLMSG_ERROR => refuse(&message)?,
                libc::NLMSG_DONE | libc::NLMSG_NOOP => {}
                _ => take(&message)?,
            }
        }
    }
    Ok(())
}

fn refuse(message: &Message<'_>) -> Result<()> {
    match message.answer()? {
        (0, _) => Ok(()),
        (errno, _) => {
            let errno = nix::errno::Errno::from_raw(errno);
            Err(KernelError::Refused {
                operation: "read",
                object: "nftables".into(),
                errno,
            })
        }
    }
}

/// Lines gathered so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<String>,
    /// Family, table and name of each set seen: elements are asked for set by set.
    sets: Vec<(u8, String, String)>,
    /// The chain that the last rule was in, and its number there: a rule's place in its chain matters, and lines are sorted.
    rule: (String, usize),
}

impl Lines {
    pub(super) fn sorted(mut self) -> Vec<String> {
        self.lines.sort_unstable();
        self.lines
    }

    /// Every object that these messages would make.
    pub(super) fn take_all(&mut self, sent: &[u8]) -> Result<()> {
        let all = messages(sent)?;
        all.iter()
            .filter(|m| m.is_nftables())
            .try_for_each(|message| self.take(message))
    }

    /// One object, as the kernel shows it, or as the host sends it: those are the same messages.
    pub(super) fn take(&mut self, message: &Message<'_>) -> Result<()> {
        let (family, attributes) = message.netfilter()?;
        let table = attributes.text(object::TABLE)?;
        let place = format!("{table} {}", family_name(family));
        match message.kind {
            k if k == kind(libc::NFT_MSG_NEWTABLE) => self.lines.push(table_line(&place, &attributes)),
            k if k == kind(libc::NFT_MSG_NEWCHAIN) => self.lines.push(format!("{place} {}", Chain::read(&attributes)?)),
            // Never shown, only sent: see `retire` of the transaction.
            k if k == kind(libc::NFT_MSG_DELCHAIN) => {
                let gone = format!("{place} chain {}", attributes.text(object::CHAIN_NAME)?);
                self.lines.retain(|line| *line != gone);
            }
            k if k == kind(libc::NFT_MSG_NEWSET) => {
                let set = Set::read(&attributes)?;
                self.lines.push(format!("{place} {set}"));
                self.sets.push((family, table, set.name));
            }
            k if k == kind(libc::NFT_MSG_NEWSETELEM) => self.take_elements(&place, &attributes)?,
            k if k == kind(libc::NFT_MSG_NEWRULE) => self.take_rule(&place, &attributes)?,
            k if k == kind(libc::NFT_MSG_NEWOBJ) => self.lines.push(object_line(&place, &attributes)?),
            k if k == kind(NEW_FLOWTABLE) => self.lines.push(flowtable_line(&place, &attributes)?),
            _ => {}
        }
        Ok(())
    }

    fn take_elements(&mut self, place: &str, attributes: &Attributes<'_>) -> Result<()> {
        let set = attributes.text(object::ELEMENTS_SET)?;
        self.lines.extend(
            read_elements(attributes)?
                .iter()
                .map(|element| format!("{place} set {set} element {element}")),
        );
        Ok(())
    }

    fn take_rule(&mut self, place: &str, attributes: &Attributes<'_>) -> Result<()> {
        let rule = Rule::read(attributes)?;
        let chain = format!("{place} chain {}", rule.chain);
        let number = if self.rule.0 == chain { self.rule.1 + 1 } else { 0 };
        self.lines.push(format!("{chain} rule {number:04} {rule}"));
        self.rule = (chain, number);
        Ok(())
    }
}

fn table_line(place: &str, attributes: &Attributes<'_>) -> String {
    match attributes.optional_u32(TABLE_FLAGS).unwrap_or(0) {
        0 => format!("{place} table"),
        flags => format!("{place} table flags {flags:#x}"),
    }
}

/// Of counters, quotas and the like only that they are there: what they hold changes by itself.
fn object_line(place: &str, attributes: &Attributes<'_>) -> Result<String> {
    Ok(format!(
        "{place} object {} type {}",
        attributes.text(OBJECT_NAME)?,
        attributes.u32(OBJECT_TYPE)?
    ))
}

fn flowtable_line(place: &str, attributes: &Attributes<'_>) -> Result<String> {
    let hook = hex(attributes.get(FLOWTABLE_HOOK).unwrap_or_default());
    Ok(format!(
        "{place} flowtable {} hook {hook}",
        attributes.text(FLOWTABLE_NAME)?
    ))
}

/// As `nft` names them.
fn family_name(family: u8) -> String {
    match i32::from(family) {
        libc::NFPROTO_INET => "inet".into(),
        libc::NFPROTO_IPV4 => "ip".into(),
        libc::NFPROTO_IPV6 => "ip6".into(),
        libc::NFPROTO_ARP => "arp".into(),
        libc::NFPROTO_BRIDGE => "bridge".into(),
        libc::NFPROTO_NETDEV => "netdev".into(),
        other => format!("family-{other}"),
    }
}

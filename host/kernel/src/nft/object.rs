//! The objects of nf_tables: tables, chains, sets and maps, their elements, rules. Each is written and read by the same attributes, so
//! that what was sent and what the kernel shows can be compared. Numbers are those of linux/netfilter/nf_tables.h.

use std::fmt;

use super::{
    expression::{Expression, read_list, write_list},
    operand::Verdict,
    wire::{Attributes, Writer, hex},
};
use crate::Result;

/// Where a base chain is hooked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// filter, nat or route.
    pub(super) kind: String,
    /// NF_INET_* for the families of IP.
    pub(super) number: u32,
    pub(super) priority: i32,
    /// What becomes of a packet that no rule decided on.
    pub(super) accepts: bool,
    /// For the netdev family and for ingress: NFTA_HOOK_DEVS, which the kernel shows for a single device too.
    pub(super) devices: Vec<String>,
}

/// A chain; without a hook it is one to jump to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) hook: Option<Hook>,
}

/// A set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) name: String,
    /// NFT_SET_*.
    pub(super) flags: u32,
    /// The `nft` program's number of the type; the kernel only keeps it.
    pub(super) key_type: u32,
    /// Bytes of each part of the key; one for a plain key. The kernel shows the parts of concatenations only.
    pub(super) key: Vec<u32>,
    /// Of a map: the type's number, and the bytes of its data.
    pub(super) data: Option<(u32, u32)>,
    /// The key is in the machine's byte order: again something that only `nft` wants to know, to list it right.
    pub(super) native: bool,
}

/// What an element of a map holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Value(Vec<u8>),
    Verdict(Verdict),
}

/// An element of a set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Empty for the element that catches all.
    pub(super) key: Vec<u8>,
    /// In a set of concatenated intervals: the last key of the interval.
    pub(super) last: Option<Vec<u8>>,
    pub(super) data: Option<Data>,
    /// In a set of plain intervals: the first key behind the interval, which is an element of its own there.
    pub(super) ends: bool,
}

/// A rule, by the chain that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) chain: String,
    pub(super) expressions: Vec<Expression>,
}

/// The first attribute of a message about any object is its table's name.
pub(super) const TABLE: u16 = 1;
pub(super) const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICES: u16 = 4;
pub(super) const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LENGTH: u16 = 7;
const SET_DESCRIPTION: u16 = 9;
const SET_ID: u16 = 10;
const SET_USER_DATA: u16 = 13;
const DESCRIPTION_CONCATENATION: u16 = 2;
const FIELD_LENGTH: u16 = 1;
const LIST_ELEM: u16 = 1;
pub(super) const ELEMENTS_SET: u16 = 2;
pub(super) const ELEMENTS_LIST: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_KEY_END: u16 = 10;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
pub(super) const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

impl Chain {
    pub(super) fn write(&self, w: &mut Writer, table: &str) {
        w.text(TABLE, table);
        w.text(CHAIN_NAME, &self.name);
        let Some(hook) = &self.hook else { return };
        w.nest(CHAIN_HOOK, |w| {
            w.u32(HOOK_NUMBER, hook.number);
            w.u32(HOOK_PRIORITY, hook.priority.cast_unsigned());
        });
        w.u32(
            CHAIN_POLICY,
            if hook.accepts { libc::NF_ACCEPT } else { libc::NF_DROP } as u32,
        );
        w.text(CHAIN_TYPE, &hook.kind);
    }

    pub(super) fn read(attributes: &Attributes<'_>) -> Result<Self> {
        let hook = attributes.optional_nest(CHAIN_HOOK)?;
        let read = |number| Hook::read(attributes, &hook, number);
        Ok(Self {
            name: attributes.text(CHAIN_NAME)?,
            hook: hook.optional_u32(HOOK_NUMBER).map(read).transpose()?,
        })
    }
}

impl Hook {
    fn read(chain: &Attributes<'_>, hook: &Attributes<'_>, number: u32) -> Result<Self> {
        let devices = hook.optional_nest(HOOK_DEVICES)?;
        Ok(Self {
            kind: chain.text(CHAIN_TYPE)?,
            number,
            priority: hook.u32(HOOK_PRIORITY)?.cast_signed(),
            accepts: chain.optional_u32(CHAIN_POLICY) != Some(libc::NF_DROP as u32),
            devices: devices.iter().map(|(_, name)| read_name(name)).collect(),
        })
    }
}

fn read_name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

impl Set {
    /// `id` is any number that no other set of the transaction has.
    pub(super) fn write(&self, w: &mut Writer, table: &str, id: u32) {
        w.text(TABLE, table);
        w.text(SET_NAME, &self.name);
        w.u32(SET_FLAGS, self.flags);
        w.u32(SET_KEY_TYPE, self.key_type);
        w.u32(SET_KEY_LENGTH, self.key_length());
        if let Some((kind, length)) = self.data {
            w.u32(SET_DATA_TYPE, kind);
            w.u32(SET_DATA_LENGTH, length);
        }
        w.u32(SET_ID, id);
        if self.native {
            w.bytes(SET_USER_DATA, &native_order());
        }
        if self.key.len() > 1 {
            w.nest(SET_DESCRIPTION, |w| {
                w.nest(DESCRIPTION_CONCATENATION, |w| self.write_fields(w))
            });
        }
    }

    /// The parts of a concatenation are padded to whole words.
    fn key_length(&self) -> u32 {
        match self.key[..] {
            [whole] => whole,
            ref parts => parts.iter().map(|part| part.next_multiple_of(4)).sum(),
        }
    }

    fn write_fields(&self, w: &mut Writer) {
        for length in &self.key {
            w.nest(LIST_ELEM, |w| w.u32(FIELD_LENGTH, *length));
        }
    }

    pub(super) fn read(attributes: &Attributes<'_>) -> Result<Self> {
        let fields = attributes
            .optional_nest(SET_DESCRIPTION)?
            .optional_nest(DESCRIPTION_CONCATENATION)?;
        let parts: Result<Vec<u32>> = fields
            .iter()
            .map(|(_, f)| Attributes::read(f)?.u32(FIELD_LENGTH))
            .collect();
        let whole = attributes.u32(SET_KEY_LENGTH)?;
        Ok(Self {
            name: attributes.text(SET_NAME)?,
            flags: attributes.optional_u32(SET_FLAGS).unwrap_or(0),
            key_type: attributes.optional_u32(SET_KEY_TYPE).unwrap_or(0),
            key: parts.map(|p| if p.is_empty() { vec![whole] } else { p })?,
            data: attributes
                .optional_u32(SET_DATA_TYPE)
                .zip(attributes.optional_u32(SET_DATA_LENGTH)),
            native: attributes
                .get(SET_USER_DATA)
                .is_some_and(|data| data.starts_with(&native_order())),
        })
    }
}

/// The byte order of a set's key, as `nft` keeps it with the set: kind, length, number (udata.h of libnftnl, datatype.h of nft).
fn native_order() -> Vec<u8> {
    const KEY_BYTE_ORDER: u8 = 0;
    const HOST: u32 = 1;
    [&[KEY_BYTE_ORDER, 4][..], &HOST.to_ne_bytes()].concat()
}

impl Element {
    /// A plain key.
    pub(super) fn key(key: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            last: None,
            data: None,
            ends: false,
        }
    }

    pub(super) fn write(&self, w: &mut Writer) {
        if self.ends {
            w.u32(ELEMENT_FLAGS, libc::NFT_SET_ELEM_INTERVAL_END as u32);
        }
        w.nest(ELEMENT_KEY, |w| w.bytes(DATA_VALUE, &self.key));
        if let Some(last) = &self.last {
            w.nest(ELEMENT_KEY_END, |w| w.bytes(DATA_VALUE, last));
        }
        match &self.data {
            Some(Data::Value(value)) => w.nest(ELEMENT_DATA, |w| w.bytes(DATA_VALUE, value)),
            Some(Data::Verdict(verdict)) => w.nest(ELEMENT_DATA, |w| w.nest(DATA_VERDICT, |w| verdict.write(w))),
            None => {}
        }
    }

    fn read(attributes: &Attributes<'_>) -> Result<Self> {
        let value = |kind| -> Result<_> { Ok(attributes.optional_nest(kind)?.get(DATA_VALUE).map(<[u8]>::to_vec)) };
        let data = attributes.optional_nest(ELEMENT_DATA)?;
        let verdict = Verdict::read(&data.optional_nest(DATA_VERDICT)?).map(Data::Verdict);
        Ok(Self {
            key: value(ELEMENT_KEY)?.unwrap_or_default(),
            last: value(ELEMENT_KEY_END)?,
            data: value(ELEMENT_DATA)?.map(Data::Value).or(verdict),
            ends: attributes.optional_u32(ELEMENT_FLAGS).unwrap_or(0) & libc::NFT_SET_ELEM_INTERVAL_END as u32 != 0,
        })
    }
}

/// A list of elements of one set. The list is an attribute, so at most 64 KiB: callers split it.
pub(super) fn write_elements(w: &mut Writer, table: &str, set: &str, elements: &[Element]) {
    w.text(TABLE, table);
    w.text(ELEMENTS_SET, set);
    w.nest(ELEMENTS_LIST, |w| {
        for element in elements {
            w.nest(LIST_ELEM, |w| element.write(w));
        }
    });
}

/// The reverse of [`write_elements`].
pub(super) fn read_elements(attributes: &Attributes<'_>) -> Result<Vec<Element>> {
    attributes
        .optional_nest(ELEMENTS_LIST)?
        .iter()
        .map(|(_, e)| Element::read(&Attributes::read(e)?))
        .collect()
}

impl Rule {
    pub(super) fn write(&self, w: &mut Writer, table: &str) {
        w.text(TABLE, table);
        w.text(RULE_CHAIN, &self.chain);
        w.nest(RULE_EXPRESSIONS, |w| write_list(w, &self.expressions));
    }

    pub(super) fn read(attributes: &Attributes<'_>) -> Result<Self> {
        let expressions = read_list(&attributes.optional_nest(RULE_EXPRESSIONS)?)?;
        Ok(Self {
            chain: attributes.text(RULE_CHAIN)?,
            expressions,
        })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {}", self.name)?;
        let Some(hook) = &self.hook else { return Ok(()) };
        let policy = if hook.accepts { "accept" } else { "drop" };
        write!(
            f,
            " type {} hook {} priority {} policy {policy}",
            hook.kind, hook.number, hook.priority
        )?;
        hook.devices.iter().try_for_each(|device| write!(f, " device {device}"))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "set {} flags {:#x} key {:?} type {}",
            self.name, self.flags, self.key, self.key_type
        )?;
        self.data
            .map_or(Ok(()), |(kind, length)| write!(f, " data {length} type {kind}"))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key.is_empty() {
            "*".to_owned()
        } else {
            hex(&self.key)
        };
        write!(f, "{key}{}", if self.ends { " ends" } else { "" })?;
        if let Some(last) = &self.last {
            write!(f, "-{}", hex(last))?;
        }
        match &self.data {
            Some(Data::Value(value)) => write!(f, " : {}", hex(value)),
            Some(Data::Verdict(verdict)) => write!(f, " : {verdict}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.expressions.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join("; "))
    }
}

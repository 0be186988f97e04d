//! Expressions: what rules are made of. Each reads registers, writes registers, or ends the rule.
//!
//! The typed ones are those that the host's own table uses; any other that the kernel shows is kept as its name and its bytes.
//! Numbers are those of linux/netfilter/nf_tables.h.

use std::fmt;

use super::{
    operand::{Header, Meta, Register, Tracked, Verdict},
    wire::{Attributes, Writer, hex},
};
use crate::Result;

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Payload {
        header: Header,
        offset: u32,
        length: u32,
        into: Register,
    },
    Meta {
        key: Meta,
        into: Register,
    },
    Tracked {
        key: Tracked,
        into: Register,
    },
    /// RTN_* of the destination, as `fib daddr type`.
    DestinationType {
        into: Register,
    },
    Compare {
        from: Register,
        equal: bool,
        value: Vec<u8>,
    },
    /// into = (from & mask) ^ xor
    Mask {
        from: Register,
        into: Register,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    Immediate {
        into: Register,
        value: Vec<u8>,
    },
    /// Ends the rule when the set does not hold the key. `into`: where the data of a map goes.
    Lookup {
        set: String,
        from: Register,
        into: Option<Register>,
    },
    DestinationNat {
        family: u8,
        address: Register,
        port: Option<Register>,
    },
    SourceNat {
        family: u8,
        address: Register,
    },
    Masquerade,
    /// From zero, when it is written; what it has come to is not read.
    Counter,
    /// A random number from `offset` to `offset + modulo - 1`.
    Random {
        into: Register,
        modulo: u32,
        offset: u32,
    },
    /// The packet's mark becomes what the register holds.
    SetMark {
        from: Register,
    },
    /// Two bytes of the transport's header replaced, and its checksum with them.
    SetPort {
        from: Register,
        offset: u32,
        /// Where the checksum is in that header.
        checksum: u32,
    },
    Verdict(Verdict),
    /// The verdict that a map has for the key; goes on where it has none.
    VerdictOf {
        set: String,
        from: Register,
    },
    Foreign {
        name: String,
        data: Vec<u8>,
    },
}

mod attribute {
    pub(super) const EXPR_NAME: u16 = 1;
    pub(super) const EXPR_DATA: u16 = 2;
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const PAYLOAD_DREG: u16 = 1;
    pub(super) const PAYLOAD_BASE: u16 = 2;
    pub(super) const PAYLOAD_OFFSET: u16 = 3;
    pub(super) const PAYLOAD_LEN: u16 = 4;
    pub(super) const PAYLOAD_SREG: u16 = 5;
    pub(super) const PAYLOAD_CSUM_TYPE: u16 = 6;
    pub(super) const PAYLOAD_CSUM_OFFSET: u16 = 7;
    pub(super) const PAYLOAD_CSUM_FLAGS: u16 = 8;
    pub(super) const META_DREG: u16 = 1;
    pub(super) const META_KEY: u16 = 2;
    pub(super) const META_SREG: u16 = 3;
    pub(super) const CT_DREG: u16 = 1;
    pub(super) const CT_KEY: u16 = 2;
    pub(super) const CT_DIRECTION: u16 = 3;
    pub(super) const FIB_DREG: u16 = 1;
    pub(super) const FIB_RESULT: u16 = 2;
    pub(super) const FIB_FLAGS: u16 = 3;
    pub(super) const CMP_SREG: u16 = 1;
    pub(super) const CMP_OP: u16 = 2;
    pub(super) const CMP_DATA: u16 = 3;
    pub(super) const BITWISE_SREG: u16 = 1;
    pub(super) const BITWISE_DREG: u16 = 2;
    pub(super) const BITWISE_LEN: u16 = 3;
    pub(super) const BITWISE_MASK: u16 = 4;
    pub(super) const BITWISE_XOR: u16 = 5;
    pub(super) const BITWISE_OP: u16 = 6;
    pub(super) const IMMEDIATE_DREG: u16 = 1;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
    pub(super) const LOOKUP_SET: u16 = 1;
    pub(super) const LOOKUP_SREG: u16 = 2;
    pub(super) const LOOKUP_DREG: u16 = 3;
    pub(super) const LOOKUP_FLAGS: u16 = 5;
    pub(super) const NUMBER_DREG: u16 = 1;
    pub(super) const NUMBER_MODULUS: u16 = 2;
    pub(super) const NUMBER_TYPE: u16 = 3;
    pub(super) const NUMBER_OFFSET: u16 = 4;
    pub(super) const NAT_TYPE: u16 = 1;
    pub(super) const NAT_FAMILY: u16 = 2;
    pub(super) const NAT_REG_ADDR_MIN: u16 = 3;
    pub(super) const NAT_REG_ADDR_MAX: u16 = 4;
    pub(super) const NAT_REG_PROTO_MIN: u16 = 5;
    pub(super) const NAT_REG_PROTO_MAX: u16 = 6;
    pub(super) const NAT_FLAGS: u16 = 7;
}
use attribute as a;

/// NFT_FIB_RESULT_ADDRTYPE and NFTA_FIB_F_DADDR.
const FIB_ADDRESS_TYPE: u32 = 3;
const FIB_DESTINATION: u32 = 1 << 1;
/// IP_CT_DIR_ORIGINAL.
const ORIGINAL: u8 = 0;
/// NF_NAT_RANGE_MAP_IPS and _PROTO_SPECIFIED: the kernel shows the flags that follow from the registers.
const NAT_ADDRESS: u32 = 1;
const NAT_PORT: u32 = 2;
/// NFT_PAYLOAD_CSUM_INET.
const CHECKSUM_INET: u32 = 1;
const PORT_LENGTH: u32 = 2;
const BITWISE_MASK_XOR: u32 = 0;
/// NFT_NG_RANDOM
const RANDOM: u32 = 1;
const LIST_ELEM: u16 = 1;

impl Expression {
    /// The kernel's name of it.
    fn name(&self) -> &str {
        match self {
            Self::Payload { .. } | Self::SetPort { .. } => "payload",
            Self::Meta { .. } | Self::SetMark { .. } => "meta",
            Self::Tracked { .. } => "ct",
            Self::DestinationType { .. } => "fib",
            Self::Compare { .. } => "cmp",
            Self::Mask { .. } => "bitwise",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Lookup { .. } | Self::VerdictOf { .. } => "lookup",
            Self::DestinationNat { .. } | Self::SourceNat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Counter => "counter",
            Self::Random { .. } => "numgen",
            Self::Foreign { name, .. } => name,
        }
    }

    /// Writes name and data, as one element of a list of expressions holds them.
    pub(super) fn write(&self, w: &mut Writer) {
        w.text(a::EXPR_NAME, self.name());
        match self {
            Self::Foreign { data, .. } => w.bytes(a::EXPR_DATA, data),
            known => w.nest(a::EXPR_DATA, |w| known.write_data(w)),
        }
    }

    fn write_data(&self, w: &mut Writer) {
        match self {
            Self::Payload {
                header,
                offset,
                length,
                into,
            } => write_payload(w, *header, *offset, *length, *into),
            Self::Meta { key, into } => {
                w.u32(a::META_KEY, key.number());
                w.u32(a::META_DREG, into.number());
            }
            Self::Tracked { key, into } => write_tracked(w, *key, *into),
            Self::DestinationType { into } => {
                w.u32(a::FIB_DREG, into.number());
                w.u32(a::FIB_RESULT, FIB_ADDRESS_TYPE);
                w.u32(a::FIB_FLAGS, FIB_DESTINATION);
            }
            Self::Compare { from, equal, value } => {
                w.u32(a::CMP_SREG, from.number());
                w.u32(
                    a::CMP_OP,
                    if *equal { libc::NFT_CMP_EQ } else { libc::NFT_CMP_NEQ } as u32,
                );
                w.nest(a::CMP_DATA, |w| w.bytes(a::DATA_VALUE, value));
            }
            Self::Mask { from, into, mask, xor } => write_mask(w, *from, *into, mask, xor),
            Self::Immediate { into, value } => {
                w.u32(a::IMMEDIATE_DREG, into.number());
                w.nest(a::IMMEDIATE_DATA, |w| w.bytes(a::DATA_VALUE, value));
            }
            Self::Lookup { set, from, into } => write_lookup(w, set, *from, into.map(Register::number)),
            Self::VerdictOf { set, from } => write_lookup(w, set, *from, Some(libc::NFT_REG_VERDICT as u32)),
            Self::DestinationNat { family, address, port } => {
                write_nat(w, libc::NFT_NAT_DNAT, *family, *address, *port);
            }
            Self::SourceNat { family, address } => write_nat(w, libc::NFT_NAT_SNAT, *family, *address, None),
            Self::Random { into, modulo, offset } => {
                w.u32(a::NUMBER_DREG, into.number());
                w.u32(a::NUMBER_MODULUS, *modulo);
                w.u32(a::NUMBER_TYPE, RANDOM);
                w.u32(a::NUMBER_OFFSET, *offset);
            }
            Self::SetMark { from } => {
                w.u32(a::META_KEY, Meta::Mark.number());
                w.u32(a::META_SREG, from.number());
            }
            Self::Verdict(verdict) => {
                w.u32(a::IMMEDIATE_DREG, libc::NFT_REG_VERDICT as u32);
                w.nest(a::IMMEDIATE_DATA, |w| w.nest(a::DATA_VERDICT, |w| verdict.write(w)));
            }
            Self::SetPort { from, offset, checksum } => write_set_port(w, *from, *offset, *checksum),
            Self::Masquerade | Self::Counter | Self::Foreign { .. } => {}
        }
    }

    /// Reads what [`Expression::write`] writes, or what the kernel shows. One that says more than the typed form can hold is foreign.
    pub(super) fn read(attributes: &Attributes<'_>) -> Result<Self> {
        let name = attributes.text(a::EXPR_NAME)?;
        let data = attributes.get(a::EXPR_DATA).unwrap_or_default();
        let known = read_known(&name, &Attributes::read(data)?);
        let same = known.filter(|k| k.shows_as(data));
        Ok(same.unwrap_or_else(|| Self::Foreign {
            name,
            data: data.to_vec(),
        }))
    }

    /// Whether this expression, written, has the same attributes as those bytes: nothing was left out when it was read.
    fn shows_as(&self, data: &[u8]) -> bool {
        let mut writer = Writer::default();
        self.write_data(&mut writer);
        let written = writer.into_bytes();
        let sorted = |bytes| Attributes::read(bytes).map(Attributes::sorted);
        matches!((sorted(&written), sorted(data)), (Ok(ours), Ok(theirs)) if ours == theirs)
    }
}

/// A list of expressions, as a rule holds it: each an element (NFTA_LIST_ELEM) of its own.
pub(super) fn write_list(w: &mut Writer, expressions: &[Expression]) {
    for expression in expressions {
        w.nest(LIST_ELEM, |w| expression.write(w));
    }
}

/// The reverse of [`write_list`].
pub(super) fn read_list(list: &Attributes<'_>) -> Result<Vec<Expression>> {
    list.iter()
        .filter(|(kind, _)| *kind == LIST_ELEM)
        .map(|(_, e)| Expression::read(&Attributes::read(e)?))
        .collect()
}

fn write_payload(w: &mut Writer, header: Header, offset: u32, length: u32, into: Register) {
    w.u32(a::PAYLOAD_DREG, into.number());
    w.u32(a::PAYLOAD_BASE, header.number());
    w.u32(a::PAYLOAD_OFFSET, offset);
    w.u32(a::PAYLOAD_LEN, length);
}

fn write_set_port(w: &mut Writer, from: Register, offset: u32, checksum: u32) {
    w.u32(a::PAYLOAD_SREG, from.number());
    w.u32(a::PAYLOAD_BASE, Header::Transport.number());
    w.u32(a::PAYLOAD_OFFSET, offset);
    w.u32(a::PAYLOAD_LEN, PORT_LENGTH);
    w.u32(a::PAYLOAD_CSUM_TYPE, CHECKSUM_INET);
    w.u32(a::PAYLOAD_CSUM_OFFSET, checksum);
    w.u32(a::PAYLOAD_CSUM_FLAGS, 0);
}

fn write_tracked(w: &mut Writer, key: Tracked, into: Register) {
    w.u32(a::CT_KEY, key.number());
    w.u32(a::CT_DREG, into.number());
    if key.has_direction() {
        w.bytes(a::CT_DIRECTION, &[ORIGINAL]);
    }
}

fn write_mask(w: &mut Writer, from: Register, into: Register, mask: &[u8], xor: &[u8]) {
    w.u32(a::BITWISE_SREG, from.number());
    w.u32(a::BITWISE_DREG, into.number());
    w.u32(a::BITWISE_LEN, mask.len() as u32);
    w.u32(a::BITWISE_OP, BITWISE_MASK_XOR);
    w.nest(a::BITWISE_MASK, |w| w.bytes(a::DATA_VALUE, mask));
    w.nest(a::BITWISE_XOR, |w| w.bytes(a::DATA_VALUE, xor));
}

fn write_lookup(w: &mut Writer, set: &str, from: Register, into: Option<u32>) {
    w.text(a::LOOKUP_SET, set);
    w.u32(a::LOOKUP_SREG, from.number());
    if let Some(into) = into {
        w.u32(a::LOOKUP_DREG, into);
    }
    w.u32(a::LOOKUP_FLAGS, 0);
}

/// The highest address and port are written too, the same as the lowest, and the flags that follow from them: the kernel shows all.
fn write_nat(w: &mut Writer, kind: libc::c_int, family: u8, address: Register, port: Option<Register>) {
    w.u32(a::NAT_TYPE, kind as u32);
    w.u32(a::NAT_FAMILY, u32::from(family));
    w.u32(a::NAT_REG_ADDR_MIN, address.number());
    w.u32(a::NAT_REG_ADDR_MAX, address.number());
    if let Some(port) = port {
        w.u32(a::NAT_REG_PROTO_MIN, port.number());
        w.u32(a::NAT_REG_PROTO_MAX, port.number());
    }
    w.u32(
        a::NAT_FLAGS,
        if port.is_some() {
            NAT_ADDRESS | NAT_PORT
        } else {
            NAT_ADDRESS
        },
    );
}

/// The typed form of an expression, None for one that has none. What it leaves out shows when it is written again.
fn read_known(name: &str, data: &Attributes<'_>) -> Option<Expression> {
    let register = |kind| data.optional_u32(kind).and_then(Register::from_number);
    let value = |kind| Some(data.nest(kind).ok()?.get(a::DATA_VALUE)?.to_vec());
    Some(match name {
        "payload" if data.get(a::PAYLOAD_SREG).is_some() => Expression::SetPort {
            from: register(a::PAYLOAD_SREG)?,
            offset: data.optional_u32(a::PAYLOAD_OFFSET)?,
            checksum: data.optional_u32(a::PAYLOAD_CSUM_OFFSET)?,
        },
        "payload" => Expression::Payload {
            header: Header::from_number(data.optional_u32(a::PAYLOAD_BASE)?)?,
            offset: data.optional_u32(a::PAYLOAD_OFFSET)?,
            length: data.optional_u32(a::PAYLOAD_LEN)?,
            into: register(a::PAYLOAD_DREG)?,
        },
        "meta" if data.optional_u32(a::META_SREG).is_some() => Expression::SetMark {
            from: register(a::META_SREG)?,
        },
        "meta" => Expression::Meta {
            key: Meta::from_number(data.optional_u32(a::META_KEY)?)?,
            into: register(a::META_DREG)?,
        },
        "ct" => Expression::Tracked {
            key: Tracked::from_number(data.optional_u32(a::CT_KEY)?)?,
            into: register(a::CT_DREG)?,
        },
        "fib" => Expression::DestinationType {
            into: register(a::FIB_DREG)?,
        },
        "cmp" => Expression::Compare {
            from: register(a::CMP_SREG)?,
            equal: data.optional_u32(a::CMP_OP)? == libc::NFT_CMP_EQ as u32,
            value: value(a::CMP_DATA)?,
        },
        "bitwise" => Expression::Mask {
            from: register(a::BITWISE_SREG)?,
            into: register(a::BITWISE_DREG)?,
            mask: value(a::BITWISE_MASK)?,
            xor: value(a::BITWISE_XOR)?,
        },
        "immediate" => match register(a::IMMEDIATE_DREG) {
            Some(into) => Expression::Immediate {
                into,
                value: value(a::IMMEDIATE_DATA)?,
            },
            None => Expression::Verdict(Verdict::read(
                &data.nest(a::IMMEDIATE_DATA).ok()?.nest(a::DATA_VERDICT).ok()?,
            )?),
        },
        "lookup" if data.optional_u32(a::LOOKUP_DREG) == Some(libc::NFT_REG_VERDICT as u32) => Expression::VerdictOf {
            set: data.text(a::LOOKUP_SET).ok()?,
            from: register(a::LOOKUP_SREG)?,
        },
        "lookup" => Expression::Lookup {
            set: data.text(a::LOOKUP_SET).ok()?,
            from: register(a::LOOKUP_SREG)?,
            into: register(a::LOOKUP_DREG),
        },
        "nat" if data.optional_u32(a::NAT_TYPE) == Some(libc::NFT_NAT_SNAT as u32) => Expression::SourceNat {
            family: data.optional_u32(a::NAT_FAMILY)? as u8,
            address: register(a::NAT_REG_ADDR_MIN)?,
        },
        "nat" => Expression::DestinationNat {
            family: data.optional_u32(a::NAT_FAMILY)? as u8,
            address: register(a::NAT_REG_ADDR_MIN)?,
            port: register(a::NAT_REG_PROTO_MIN),
        },
        "masq" => Expression::Masquerade,
        "numgen" => Expression::Random {
            into: register(a::NUMBER_DREG)?,
            modulo: data.optional_u32(a::NUMBER_MODULUS)?,
            offset: data.optional_u32(a::NUMBER_OFFSET)?,
        },
        _ => return None,
    })
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload {
                header,
                offset,
                length,
                into,
            } => write!(f, "{into} = {header:?}[{offset}+{length}]"),
            Self::Meta { key, into } => write!(f, "{into} = meta {key:?}"),
            Self::Tracked { key, into } => write!(f, "{into} = ct {key:?}"),
            Self::DestinationType { into } => write!(f, "{into} = fib daddr type"),
            Self::Compare { from, equal, value } => {
                write!(f, "{from} {} {}", if *equal { "==" } else { "!=" }, hex(value))
            }
            Self::Mask { from, into, mask, xor } => write!(f, "{into} = {from} & {} ^ {}", hex(mask), hex(xor)),
            Self::Immediate { into, value } => write!(f, "{into} = {}", hex(value)),
            Self::Lookup { set, from, into: None } => write!(f, "{from} in @{set}"),
            Self::Lookup {
                set,
                from,
                into: Some(into),
            } => write!(f, "{into} = @{set}[{from}]"),
            Self::DestinationNat {
                address,
                port: Some(port),
                ..
            } => write!(f, "dnat to {address} port {port}"),
            Self::DestinationNat {
                address, port: None, ..
            } => write!(f, "dnat to {address}"),
            Self::SourceNat { address, .. } => write!(f, "snat to {address}"),
            Self::Masquerade => f.write_str("masquerade"),
            Self::Counter => f.write_str("counter"),
            Self::Random { into, modulo, offset } => write!(f, "{into} = random mod {modulo} + {offset}"),
            Self::SetMark { from } => write!(f, "meta Mark = {from}"),
            Self::SetPort { from, offset, .. } => write!(f, "Transport[{offset}+{PORT_LENGTH}] = {from}"),
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::VerdictOf { set, from } => write!(f, "@{set}[{from}]"),
            // What these three hold changes with every packet.
            Self::Foreign { name, .. } if matches!(name.as_str(), "counter" | "quota" | "last") => f.write_str(name),
            Self::Foreign { name, data } => write!(f, "{name}({})", hex(data)),
        }
    }
}

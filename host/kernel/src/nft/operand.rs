//! What expressions work on: registers, the fields they load, and the verdicts that end a rule. Numbers are those of
//! linux/netfilter/nf_tables.h.

use std::fmt;

use super::wire::{Attributes, Writer};

const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// One of the sixteen words of four bytes that expressions hand to each other. A longer value lies in the words that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Register(pub(super) u8);

impl Register {
    /// The register `bytes` further on, counted in whole words.
    pub(super) fn after(self, bytes: usize) -> Self {
        Self(self.0 + bytes.div_ceil(4) as u8)
    }

    /// As the kernel shows it: NFT_REG_1 to 4 where a word is at such a one's beginning, else NFT_REG32_00 and on.
    pub(super) fn number(self) -> u32 {
        let word = u32::from(self.0);
        if word.is_multiple_of(4) {
            libc::NFT_REG_1 as u32 + word / 4
        } else {
            libc::NFT_REG32_00 as u32 + word
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        match number {
            1..=4 => Some(Self((number as u8 - 1) * 4)),
            8..=23 => Some(Self(number as u8 - 8)),
            _ => None,
        }
    }
}

/// Where a payload's offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Network,
    Transport,
}

/// What `meta` loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meta {
    InputName,
    OutputName,
    Family,
    Protocol,
    Mark,
}

/// What `ct` loads; addresses and ports as the first packet of the connection had them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tracked {
    State,
    Status,
    OriginalDestination4,
    OriginalDestination6,
    OriginalDestinationPort,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
}

impl Header {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Network => libc::NFT_PAYLOAD_NETWORK_HEADER as u32,
            Self::Transport => libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32,
        }
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        [Self::Network, Self::Transport]
            .into_iter()
            .find(|h| h.number() == number)
    }
}

impl Meta {
    pub(super) fn number(self) -> u32 {
        (match self {
            Self::InputName => libc::NFT_META_IIFNAME,
            Self::OutputName => libc::NFT_META_OIFNAME,
            Self::Family => libc::NFT_META_NFPROTO,
            Self::Protocol => libc::NFT_META_L4PROTO,
            Self::Mark => libc::NFT_META_MARK,
        }) as u32
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        [
            Self::InputName,
            Self::OutputName,
            Self::Family,
            Self::Protocol,
            Self::Mark,
        ]
        .into_iter()
        .find(|k| k.number() == number)
    }
}

impl Tracked {
    /// Whether both directions of a connection have a value of their own, so that one has to be named.
    pub(super) fn has_direction(self) -> bool {
        !matches!(self, Self::State | Self::Status)
    }

    pub(super) fn number(self) -> u32 {
        (match self {
            Self::State => libc::NFT_CT_STATE,
            Self::Status => libc::NFT_CT_STATUS,
            Self::OriginalDestination4 => libc::NFT_CT_DST_IP,
            Self::OriginalDestination6 => libc::NFT_CT_DST_IP6,
            Self::OriginalDestinationPort => libc::NFT_CT_PROTO_DST,
        }) as u32
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        let all = [
            Self::State,
            Self::Status,
            Self::OriginalDestination4,
            Self::OriginalDestination6,
            Self::OriginalDestinationPort,
        ];
        all.into_iter().find(|k| k.number() == number)
    }
}

impl Verdict {
    fn code(&self) -> i32 {
        match self {
            Self::Drop => libc::NF_DROP,
            Self::Accept => libc::NF_ACCEPT,
            Self::Return => libc::NFT_RETURN,
            Self::Jump(_) => libc::NFT_JUMP,
            Self::Goto(_) => libc::NFT_GOTO,
        }
    }

    /// Where an element of a verdict map or an immediate holds it: inside NFTA_DATA_VERDICT.
    pub(super) fn write(&self, w: &mut Writer) {
        w.u32(VERDICT_CODE, self.code().cast_unsigned());
        if let Self::Jump(chain) | Self::Goto(chain) = self {
            w.text(VERDICT_CHAIN, chain);
        }
    }

    pub(super) fn read(data: &Attributes<'_>) -> Option<Self> {
        let chain = || data.text(VERDICT_CHAIN).ok();
        Some(match data.optional_u32(VERDICT_CODE)?.cast_signed() {
            libc::NF_DROP => Self::Drop,
            libc::NF_ACCEPT => Self::Accept,
            libc::NFT_RETURN => Self::Return,
            libc::NFT_JUMP => Self::Jump(chain()?),
            libc::NFT_GOTO => Self::Goto(chain()?),
            _ => return None,
        })
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

//! Netlink messages and attributes as bytes (linux/netlink.h, linux/netfilter/nfnetlink.h): written, and read back.
//!
//! Netlink headers are in the machine's byte order; numbers inside nf_tables attributes are big-endian.

use crate::{KernelError, Result};

/// struct nlmsghdr.
const HEADER: usize = 16;
/// struct nfgenmsg: family, version, resource.
const NETFILTER_HEADER: usize = 4;
/// NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags of an attribute's type, not part of it.
const TYPE_MASK: u16 = 0x3fff;
/// The refused message was left out of the error message, but for its header (linux/netlink.h).
const NLM_F_CAPPED: u16 = 0x100;
/// Attributes follow in an error message.
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Builds messages one after the other in one buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Where the last message begins.
    last: usize,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// One message with its netfilter header; `body` writes the attributes.
    pub(super) fn message(&mut self, head: Head, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.last = start;
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(head.kind.to_ne_bytes());
        self.bytes
            .extend((head.flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self.bytes.extend(head.sequence.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend([head.family, 0]);
        self.bytes.extend(head.resource.to_be_bytes());
        body(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// The last message asks for an acknowledgement. (NLM_F_ACK is in the low byte of the flags.)
    pub(super) fn acknowledge_last(&mut self) {
        let low = self.last + if cfg!(target_endian = "little") { 6 } else { 7 };
        if let Some(flags) = self.bytes.get_mut(low) {
            *flags |= libc::NLM_F_ACK as u8;
        }
    }

    /// One attribute, padded to four bytes. Longer than 65,531 bytes it would be cut: callers split their lists long before.
    pub(super) fn bytes(&mut self, kind: u16, payload: &[u8]) {
        debug_assert!(
            payload.len() <= usize::from(u16::MAX) - 4,
            "an attribute's length is 16 bits"
        );
        self.bytes.extend((payload.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(payload);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(super) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Text with its closing zero.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let mut zeroed = value.as_bytes().to_vec();
        zeroed.push(0);
        self.bytes(kind, &zeroed);
    }

    /// An attribute made of attributes. Without NLA_F_NESTED: nf_tables does not ask for it and does not show it, so that what is written
    /// and what is shown are the same bytes.
    pub(super) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        body(self);
        let length = self.bytes.len() - start;
        debug_assert!(length <= usize::from(u16::MAX), "an attribute's length is 16 bits");
        self.bytes[start..start + 2].copy_from_slice(&(length as u16).to_ne_bytes());
    }
}

/// What a message begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) family: u8,
    pub(super) resource: u16,
}

/// A message that was received.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    /// The socket that it is an answer to, or whose request it tells of.
    pub(super) port: u32,
    flags: u16,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Of a netfilter message: its family and its attributes.
    pub(super) fn netfilter(&self) -> Result<(u8, Attributes<'a>)> {
        match (self.body.first(), self.body.get(NETFILTER_HEADER..)) {
            (Some(&family), Some(rest)) => Ok((family, Attributes::read(rest)?)),
            _ => Err(malformed("a message is shorter than its netfilter header")),
        }
    }

    /// Rather than the frame of a batch.
    pub(super) fn is_nftables(&self) -> bool {
        self.kind >> 8 == libc::NFNL_SUBSYS_NFTABLES as u16
    }

    /// Of NLMSG_ERROR: the error number, zero for an acknowledgement, and what the kernel says of it (NLMSGERR_ATTR_MSG).
    pub(super) fn answer(&self) -> Result<(i32, Option<String>)> {
        let code = self
            .body
            .first_chunk()
            .ok_or_else(|| malformed("an error message without a number"))?;
        Ok((-i32::from_ne_bytes(*code), self.explanation()))
    }

    /// After the error number come the refused message's header, the message itself unless it was capped, then the attributes. An
    /// explanation that cannot be read is no reason to lose the error.
    fn explanation(&self) -> Option<String> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let refused = self.body.get(4..)?;
        let length = u32::from_ne_bytes(*refused.first_chunk()?) as usize;
        let shown = if self.flags & NLM_F_CAPPED == 0 {
            length.next_multiple_of(4)
        } else {
            HEADER
        };
        Attributes::read(refused.get(shown..)?)
            .ok()?
            .text(NLMSGERR_ATTR_MSG)
            .ok()
    }
}

/// The messages of one datagram.
pub(super) fn messages(datagram: &[u8]) -> Result<Vec<Message<'_>>> {
    let mut found = Vec::new();
    let mut rest = datagram;
    while let Some(header) = rest.first_chunk::<HEADER>() {
        let (length, kind, flags, sequence, port) = read_header(header);
        let body = rest
            .get(HEADER..length)
            .ok_or_else(|| malformed("a message is longer than its datagram"))?;
        found.push(Message {
            kind,
            sequence,
            port,
            flags,
            body,
        });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

/// Length, type, flags, sequence and port of struct nlmsghdr.
fn read_header(header: &[u8; HEADER]) -> (usize, u16, u16, u32, u32) {
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    (word(0) as usize, half(4), half(6), word(8), word(12))
}

/// The attributes of a message or of a nest, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some(&[l0, l1, k0, k1]) = rest.first_chunk::<4>() {
            let length = usize::from(u16::from_ne_bytes([l0, l1]));
            let payload = rest
                .get(4..length)
                .ok_or_else(|| malformed("an attribute is longer than what holds it"))?;
            found.push((u16::from_ne_bytes([k0, k1]) & TYPE_MASK, payload));
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(Self(found))
    }

    /// By number: the kernel's order is its own.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, payload)| payload)
    }

    /// The attribute, or an error that says which is missing.
    fn need(&self, kind: u16) -> Result<&'a [u8]> {
        self.get(kind)
            .ok_or_else(|| malformed(&format!("attribute {kind} is missing")))
    }

    pub(super) fn optional_u32(&self, kind: u16) -> Option<u32> {
        self.get(kind)
            .and_then(|p| p.first_chunk())
            .map(|b| u32::from_be_bytes(*b))
    }

    pub(super) fn u32(&self, kind: u16) -> Result<u32> {
        self.optional_u32(kind)
            .ok_or_else(|| malformed(&format!("attribute {kind} is no number of 32 bits")))
    }

    pub(super) fn text(&self, kind: u16) -> Result<String> {
        let payload = self.need(kind)?;
        let end = payload.iter().position(|b| *b == 0).unwrap_or(payload.len());
        Ok(String::from_utf8_lossy(&payload[..end]).into_owned())
    }

    pub(super) fn nest(&self, kind: u16) -> Result<Self> {
        Self::read(self.need(kind)?)
    }

    /// The nest of that kind, empty when it is not there.
    pub(super) fn optional_nest(&self, kind: u16) -> Result<Self> {
        self.get(kind).map_or(Ok(Self::default()), Self::read)
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// What the kernel sent makes no sense.
pub(super) fn malformed(problem: &str) -> KernelError {
    KernelError::Malformed {
        operation: "read",
        object: "nftables".into(),
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut writer = Writer::default();
        writer.message(
            Head {
                kind: 7,
                flags: 0,
                sequence: 3,
                family: 1,
                resource: 0,
            },
            |w| {
                w.text(1, "abc");
                w.nest(2, |w| w.u32(3, 0x0102_0304));
            },
        );
        writer.into_bytes()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let bytes = sample();
        let read = messages(&bytes).unwrap();
        assert_eq!((read.len(), read[0].kind, read[0].sequence), (1, 7, 3));
        let (family, attributes) = read[0].netfilter().unwrap();
        assert_eq!(family, 1);
        assert_eq!(attributes.text(1).unwrap(), "abc");
        assert_eq!(attributes.nest(2).unwrap().u32(3).unwrap(), 0x0102_0304);
    }

    #[test]
    fn cut_or_lying_messages_are_refused_and_never_read_past_their_end() {
        let whole = sample();
        for end in 0..whole.len() {
            let cut = messages(&whole[..end]);
            assert!(cut.is_err() || cut.unwrap().is_empty(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut lying = whole.clone();
            lying[at] = 0xff;
            for message in messages(&lying).unwrap_or_default() {
                let _ = message.netfilter().map(|(_, a)| (a.text(1), a.nest(2)));
                let _ = message.answer();
            }
        }
    }
}

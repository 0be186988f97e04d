//! Reads netlink attributes.
//!
//! The kernel's answers are read by this and not by the types of netlink-packet-route, which are used for what is sent: those parse every
//! attribute, and one that they do not know in the size they expect fails the whole message, so that a foreign link could make a dump
//! impossible. Here only what is asked for is looked at, and a GETLINK costs no allocation.
//!
//! The two functions that write attributes are for what that library has no types for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::NlasIterator;

/// The attributes of a message or of a nested attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Those that follow a header of `header` bytes; none when the message is shorter.
    pub(super) fn after(message: &'a [u8], header: usize) -> Self {
        Self(message.get(header..).unwrap_or_default())
    }

    /// Those in a nested attribute.
    pub(super) fn nested(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// Each attribute's kind and value, up to the first that is cut off.
    pub(super) fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let bytes = self.0;
        NlasIterator::new(bytes).map_while(Result::ok).map(move |nla| {
            let (kind, length) = (nla.kind(), nla.value_length());
            (kind, value_of(nla.into_inner(), length))
        })
    }

    /// The first of a kind.
    pub(super) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// The first of a kind, as attributes of its own.
    pub(super) fn get_nested(self, kind: u16) -> Option<Attributes<'a>> {
        self.get(kind).map(Self::nested)
    }

    /// The first of a kind, as a number in the machine's order.
    pub(super) fn get_u32(self, kind: u16) -> Option<u32> {
        self.get(kind).and_then(u32_of)
    }

    /// The first of a kind, as a number in the machine's order.
    pub(super) fn get_u16(self, kind: u16) -> Option<u16> {
        self.get(kind)?.try_into().ok().map(u16::from_ne_bytes)
    }

    /// The first of a kind, as an octet.
    pub(super) fn get_u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// The first of a kind, as an address of the family that its length says.
    pub(super) fn get_ip(self, kind: u16) -> Option<IpAddr> {
        self.get(kind).and_then(ip_of)
    }

    /// The first of a kind, as text up to its closing zero.
    pub(super) fn get_text(self, kind: u16) -> Option<&'a str> {
        self.get(kind).and_then(text_of)
    }
}

/// The value behind an attribute's four-byte header.
fn value_of(attribute: &[u8], length: usize) -> &[u8] {
    attribute.get(4..4 + length).unwrap_or_default()
}

/// Four bytes as a number in the machine's order.
pub(super) fn u32_of(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_ne_bytes)
}

/// An address of the family that its length says.
pub(super) fn ip_of(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(|a| Ipv4Addr::from(a).into()),
        16 => <[u8; 16]>::try_from(value).ok().map(|a| Ipv6Addr::from(a).into()),
        _ => None,
    }
}

/// Text up to its closing zero, None when it is not UTF-8.
pub(super) fn text_of(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).ok()
}

/// Writes an attribute behind what is in the buffer.
pub(super) fn append(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    append_nested(buffer, kind, |buffer| buffer.extend_from_slice(value));
}

/// Writes an attribute whose value `fill` writes, usually attributes again.
pub(super) fn append_nested(buffer: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0, 0]);
    buffer.extend_from_slice(&kind.to_ne_bytes());
    fill(buffer);
    // What is written here is a few kilobytes at most.
    let length = (buffer.len() - start) as u16;
    buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    buffer.resize(buffer.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        append_nested(&mut bytes, 7, |inner| {
            append(inner, 1, b"eth0\0");
            append(inner, 2, &9u32.to_ne_bytes());
        });
        let inner = Attributes::nested(&bytes).get_nested(7).unwrap();
        assert_eq!((inner.get_text(1), inner.get_u32(2)), (Some("eth0"), Some(9)));
    }

    #[test]
    fn a_cut_off_attribute_ends_the_reading_and_loses_nothing_before_it() {
        let bytes = [8, 0, 1, 0, 1, 2, 3, 4, 7, 0, 2, 0, b'l', b'o', 0, 0, 40, 0, 3, 0, 9];
        let attributes = Attributes::nested(&bytes);
        assert_eq!(attributes.get_ip(1), Some(Ipv4Addr::new(1, 2, 3, 4).into()));
        assert_eq!(attributes.get_text(2), Some("lo"));
        assert_eq!(attributes.get(3), None);
        assert_eq!(attributes.get_u32(2), None, "three bytes are no number");
        assert_eq!(Attributes::after(&bytes, 100).iter().count(), 0);
    }
}

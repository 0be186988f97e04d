//! Bytes of rtnetlink messages and a socket that blocks: nothing between a program and the kernel but the system calls.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::failure::{During, Result};

/// struct nlmsghdr, struct ifinfomsg.
const HEADER: usize = 16;
const ACK: u16 = libc::NLM_F_ACK as u16;

/// Messages for one send. Each is numbered by its place.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    last: usize,
    count: u32,
}

impl Batch {
    /// One message: header, the fixed part `fixed`, then attributes.
    pub fn message(
        &mut self,
        kind: u16,
        flags: libc::c_int,
        fixed: &[u8],
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.last = self.bytes.len();
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        self.bytes.extend(self.count.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(fixed);
        attributes(&mut Attributes(&mut self.bytes));
        let length = (self.bytes.len() - self.last) as u32;
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_ne_bytes());
        self.count += 1;
    }

    /// The last message asks for an acknowledgement, and so ends the conversation.
    pub fn acknowledged(mut self) -> Self {
        let at = self.last + 6;
        let flags = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]) | ACK;
        self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        self
    }
}

/// Attributes of a message or a nest.
#[derive(Debug)]
pub struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    /// One, padded to four bytes.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) {
        self.nest(kind, |inner| inner.0.extend(payload));
    }

    /// A number in the machine's order.
    pub fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    /// Text with its closing zero.
    pub fn text(&mut self, kind: u16, value: &str) {
        self.nest(kind, |inner| {
            inner.0.extend(value.as_bytes());
            inner.0.push(0);
        });
    }

    /// Bytes that stand before the attributes of a nest.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// One made of others.
    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.0.len();
        self.0.extend(0u16.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        body(&mut Attributes(self.0));
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// struct ifinfomsg of the link, with these flags set.
pub fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

/// A NETLINK_ROUTE socket of the namespace that the thread is in.
pub fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

/// Sends the batch and waits for its last message's acknowledgement.
pub fn send(socket: &Socket, batch: &Batch, step: &str) -> Result<()> {
    socket.send(&batch.bytes, 0).during(step)?;
    let mut buffer = Vec::with_capacity(8192);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0).during(step)?;
        if acknowledges(&buffer, batch.count - 1).during(step)? {
            return Ok(());
        }
    }
}

/// Sends one question and reads the one answer.
pub fn ask(socket: &Socket, batch: &Batch, step: &str) -> Result<()> {
    socket.send(&batch.bytes, 0).during(step)?;
    let mut buffer = Vec::with_capacity(8192);
    socket.recv(&mut buffer, 0).during(step)?;
    acknowledges(&buffer, u32::MAX).during(step).map(drop)
}

/// Whether the datagram acknowledges that message; an error of any is an error.
fn acknowledges(datagram: &[u8], sequence: u32) -> io::Result<bool> {
    let word = |at: usize| {
        datagram
            .get(at..at + 4)
            .and_then(|b| b.first_chunk())
            .map(|b| u32::from_ne_bytes(*b))
    };
    let kind = datagram
        .get(4..6)
        .and_then(|b| b.first_chunk())
        .map(|b| u16::from_ne_bytes(*b));
    if kind.map(i32::from) != Some(libc::NLMSG_ERROR) {
        return Ok(false);
    }
    match word(HEADER).map(u32::cast_signed) {
        Some(0) => Ok(word(8) == Some(sequence)),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

//! A netlink socket that blocks, and the two conversations one has over it: a batch, and a dump.
//!
//! The kernel handles a message inside the sending call, so its answers are queued before `send` returns: waiting for them is never more
//! than a read. A batch asks for an acknowledgement of its last message only; an error comes back by itself, under the sequence number
//! of the message that it is about.

use std::{io, os::fd::AsFd, time::Duration};

use netlink_sys::{Socket as Raw, SocketAddr};
use nix::{
    errno::Errno,
    sys::{
        socket::{setsockopt, sockopt},
        time::TimeVal,
    },
};

use super::attributes::Attributes;

/// Room for what is answered before it is read: each of a batch's errors takes a kilobyte or so of it.
const RECEIVE_ROOM: usize = 4 << 20;
/// Most bytes in one send; below the default send buffer (net.core.wmem_default, 212992), which is the kernel's limit.
const LARGEST_SEND: usize = 96 << 10;
/// Largest answer read at once; the kernel sizes the parts of a dump by it, up to 32 KiB.
const LARGEST_ANSWER: usize = 64 << 10;
/// Answers are there when the send returns, so a read that waits this long has lost one, and must not wait for ever.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a dump is begun anew because something changed while it was made.
const DUMP_ATTEMPTS: usize = 16;

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
const NLMSG_NOOP: u16 = libc::NLMSG_NOOP as u16;
const NLM_F_REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const NLM_F_ACK: u16 = libc::NLM_F_ACK as u16;
const NLM_F_DUMP: u16 = libc::NLM_F_DUMP as u16;
const NLM_F_DUMP_INTR: u16 = libc::NLM_F_DUMP_INTR as u16;
const NLM_F_CAPPED: u16 = libc::NLM_F_CAPPED as u16;
const NLM_F_ACK_TLVS: u16 = libc::NLM_F_ACK_TLVS as u16;
/// NLMSGERR_ATTR_MSG of include/uapi/linux/netlink.h.
const ATTRIBUTE_MESSAGE: u16 = 1;

/// A message to send; its length and sequence number are the socket's matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The message's type.
    pub kind: u16,
    /// Flags besides NLM_F_REQUEST and NLM_F_ACK.
    pub flags: u16,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// What the kernel said to a message that it did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// Its own words, where it has any.
    pub said: Option<String>,
}

/// An answer that carries data: its type and what follows its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The message's type.
    pub kind: u16,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// A netlink socket in one namespace.
pub(crate) struct Socket {
    raw: Raw,
    port: u32,
    next_sequence: u32,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("next_sequence", &self.next_sequence)
            .finish_non_exhaustive()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

impl Socket {
    /// A socket of that protocol (NETLINK_ROUTE, NETLINK_NETFILTER) in the namespace that the calling thread is in.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut raw = Raw::new(protocol)?;
        let port = raw.bind_auto()?.port_number();
        raw.set_ext_ack(true)?;
        // Without this each error carries the whole message that it is about.
        raw.set_cap_ack(true)?;
        // Only root of the first user namespace may exceed the limit; elsewhere net.core.rmem_default has to do.
        if setsockopt(&raw, sockopt::RcvBufForce, &RECEIVE_ROOM).is_err() {
            setsockopt(&raw, sockopt::RcvBuf, &RECEIVE_ROOM)?;
        }
        setsockopt(
            &raw,
            sockopt::ReceiveTimeout,
            &TimeVal::new(PATIENCE.as_secs().cast_signed(), 0),
        )?;
        // To the kernel: what other processes send to this socket is refused.
        raw.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            raw,
            port,
            next_sequence: 1,
            outgoing: Vec::new(),
            incoming: Vec::with_capacity(LARGEST_ANSWER),
        })
    }

    /// By which the kernel tells others whose change something was.
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Sends the messages and returns what became of each. Answers that carry data are given to `data` with their message's place.
    ///
    /// # Errors
    /// The conversation broke; nothing is known of any message, and the socket must not be used again.
    pub(crate) fn exchange(
        &mut self,
        messages: &[Message],
        data: &mut dyn FnMut(usize, u16, &[u8]),
    ) -> io::Result<Vec<Result<(), Refusal>>> {
        let mut results = vec![Ok(()); messages.len()];
        let mut done = 0;
        while done < messages.len() {
            let count = fitting(&messages[done..]);
            let part = &messages[done..done + count];
            let first = self.send(part, NLM_F_ACK)?;
            self.collect(first, &mut results[done..done + count], &mut |place, kind, body| {
                data(done + place, kind, body)
            })?;
            done += count;
        }
        Ok(results)
    }

    /// Sends one message and returns the one answer that it asks for.
    ///
    /// # Errors
    /// As [`Socket::exchange`].
    pub(crate) fn ask(&mut self, message: Message) -> io::Result<Result<Option<Answer>, Refusal>> {
        let mut answer = None;
        let results = self.exchange(&[message], &mut |_, kind, body| {
            answer = Some(Answer {
                kind,
                body: body.to_vec(),
            })
        })?;
        Ok(results.into_iter().next().unwrap_or(Ok(())).map(|()| answer))
    }

    /// Asks for a dump and returns its parts, all of one moment.
    ///
    /// # Errors
    /// As [`Socket::exchange`]; EINTR when it changed each time while it was made.
    pub(crate) fn dump(&mut self, message: Message) -> io::Result<Result<Vec<Answer>, Refusal>> {
        let message = Message {
            flags: message.flags | NLM_F_DUMP,
            ..message
        };
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.send(std::slice::from_ref(&message), 0)?;
            match self.collect_dump(sequence)? {
                Ok(Some(answers)) => return Ok(Ok(answers)),
                Ok(None) => {}
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        Err(io::Error::from(Errno::EINTR))
    }

    /// Sends bytes that are messages already, and returns the datagrams that are answered, as they came and without waiting for more.
    ///
    /// # Errors
    /// As [`Socket::exchange`].
    pub(crate) fn roundtrip(&mut self, request: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let sent = self.raw.send(request, 0)?;
        if sent != request.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let mut answers = Vec::new();
        loop {
            match self.receive(libc::MSG_DONTWAIT) {
                Ok(()) => answers.push(self.incoming.clone()),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(answers),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends the messages at once, the last of them with `last_flags`, and returns the sequence number of the first.
    fn send(&mut self, messages: &[Message], last_flags: u16) -> io::Result<u32> {
        let first = self.reserve(messages.len());
        self.outgoing.clear();
        for (place, message) in messages.iter().enumerate() {
            let extra = if place + 1 == messages.len() { last_flags } else { 0 };
            // A batch has far fewer messages than there are sequence numbers.
            append(&mut self.outgoing, message, extra, first.wrapping_add(place as u32));
        }
        let sent = self.raw.send(&self.outgoing, 0)?;
        if sent == self.outgoing.len() {
            Ok(first)
        } else {
            Err(io::Error::from(io::ErrorKind::WriteZero))
        }
    }

    /// Sequence numbers for that many messages; zero is left out, since the kernel's own notices carry it.
    fn reserve(&mut self, count: usize) -> u32 {
        let count = count as u32;
        if self.next_sequence.checked_add(count).is_none() {
            self.next_sequence = 1;
        }
        let first = self.next_sequence;
        self.next_sequence += count;
        first
    }

    /// Reads until the last message of a batch is answered.
    fn collect(
        &mut self,
        first: u32,
        results: &mut [Result<(), Refusal>],
        data: &mut dyn FnMut(usize, u16, &[u8]),
    ) -> io::Result<()> {
        let mut open = !results.is_empty();
        while open {
            self.receive(0)?;
            for part in Parts(&self.incoming) {
                let part = part?;
                let Some(place) = place_in(part.sequence, first, results.len()) else {
                    continue;
                };
                match part.kind {
                    NLMSG_ERROR => {
                        if let Some(refusal) = part.refusal()? {
                            results[place] = Err(refusal);
                        }
                        open &= place + 1 != results.len();
                    }
                    NLMSG_NOOP => {}
                    kind => data(place, kind, part.body),
                }
            }
        }
        Ok(())
    }

    /// Reads a dump to its end; None when it was disturbed and has to be made again.
    fn collect_dump(&mut self, sequence: u32) -> io::Result<Result<Option<Vec<Answer>>, Refusal>> {
        let (mut answers, mut disturbed) = (Vec::new(), false);
        loop {
            self.receive(0)?;
            for part in Parts(&self.incoming) {
                let part = part?;
                if part.sequence != sequence {
                    continue;
                }
                disturbed |= part.flags & NLM_F_DUMP_INTR != 0;
                match part.kind {
                    NLMSG_DONE | NLMSG_ERROR => {
                        let end = part.refusal()?;
                        return Ok(end.map_or(Ok((!disturbed).then_some(answers)), Err));
                    }
                    NLMSG_NOOP => {}
                    kind => answers.push(Answer {
                        kind,
                        body: part.body.to_vec(),
                    }),
                }
            }
        }
    }

    /// Reads what the kernel has queued first. TimedOut: nothing came, or with MSG_DONTWAIT nothing is there.
    fn receive(&mut self, flags: libc::c_int) -> io::Result<()> {
        self.incoming.clear();
        let length = loop {
            match self.raw.recv(&mut self.incoming, libc::MSG_TRUNC | flags) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                other => break other?,
            }
        };
        if length > self.incoming.len() {
            return Err(malformed("an answer larger than 64 KiB"));
        }
        Ok(())
    }
}

/// How many of the messages go into one send: at least one.
fn fitting(messages: &[Message]) -> usize {
    let mut bytes = 0;
    let fits = messages.iter().take_while(|m| {
        bytes += HEADER + m.body.len().next_multiple_of(4);
        bytes <= LARGEST_SEND
    });
    fits.count().max(1)
}

/// Writes a message behind those that are in the buffer.
fn append(buffer: &mut Vec<u8>, message: &Message, extra_flags: u16, sequence: u32) {
    let length = (HEADER + message.body.len()) as u32;
    let flags = message.flags | extra_flags | NLM_F_REQUEST;
    buffer.extend_from_slice(&length.to_ne_bytes());
    buffer.extend_from_slice(&message.kind.to_ne_bytes());
    buffer.extend_from_slice(&flags.to_ne_bytes());
    buffer.extend_from_slice(&sequence.to_ne_bytes());
    buffer.extend_from_slice(&0u32.to_ne_bytes());
    buffer.extend_from_slice(&message.body);
    buffer.resize(buffer.len().next_multiple_of(4), 0);
}

/// Which message of a batch a sequence number belongs to; None for another conversation's.
fn place_in(sequence: u32, first: u32, count: usize) -> Option<usize> {
    let place = sequence.checked_sub(first)? as usize;
    (place < count).then_some(place)
}

/// One message of what was read.
struct Part<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Part<'_> {
    /// The refusal in an NLMSG_ERROR or NLMSG_DONE; None for an acknowledgement.
    fn refusal(&self) -> io::Result<Option<Refusal>> {
        let code = match self
            .body
            .get(..4)
            .and_then(|b| b.try_into().ok())
            .map(i32::from_ne_bytes)
        {
            Some(code) => code,
            // The kernel may end a dump without a number.
            None if self.kind == NLMSG_DONE => 0,
            None => return Err(malformed("an error without its number")),
        };
        Ok((code != 0).then(|| Refusal {
            errno: Errno::from_raw(code.wrapping_neg()),
            said: self.words(),
        }))
    }

    /// NLMSGERR_ATTR_MSG, behind the number and (in an error) the header or the whole of the refused message.
    fn words(&self) -> Option<String> {
        let refused = match (self.kind, self.flags & NLM_F_CAPPED != 0) {
            (NLMSG_DONE, _) => 0,
            (_, true) => HEADER,
            (_, false) => u32::from_ne_bytes(self.body.get(4..8)?.try_into().ok()?) as usize,
        };
        let given = self.flags & NLM_F_ACK_TLVS != 0;
        let said =
            given.then(|| Attributes::after(self.body, 4 + refused.next_multiple_of(4)).get_text(ATTRIBUTE_MESSAGE))?;
        said.map(str::to_owned)
    }
}

/// The messages of what was read.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = io::Result<Part<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Some(Err(malformed("a message shorter than its header")));
        };
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let Some(body) = bytes.get(HEADER..length) else {
            return Some(Err(malformed("a message longer than what was read")));
        };
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let sequence = u32::from_ne_bytes([s0, s1, s2, s3]);
        Some(Ok(Part {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence,
            body,
        }))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the kernel answered with {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Message {
        Message {
            kind: 16,
            flags: 0,
            body: vec![7; length],
        }
    }

    #[test]
    fn a_batch_is_cut_where_one_send_cannot_hold_it_and_no_message_is_too_large_to_try() {
        assert_eq!(fitting(&vec![message(100); 10]), 10);
        assert_eq!(fitting(&[message(60 << 10), message(60 << 10)]), 1);
        assert_eq!(fitting(&[message(200 << 10)]), 1);
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_cut_off_is_an_error() {
        let mut bytes = Vec::new();
        append(&mut bytes, &message(5), NLM_F_ACK, 9);
        append(&mut bytes, &message(0), 0, 10);
        let parts: Vec<_> = Parts(&bytes)
            .map(|p| p.map(|p| (p.sequence, p.body.len(), p.flags)).unwrap())
            .collect();
        assert_eq!(parts, [(9, 5, NLM_F_ACK | NLM_F_REQUEST), (10, 0, NLM_F_REQUEST)]);
        for cut in 1..bytes.len() {
            let whole = Parts(&bytes[..cut]).collect::<Result<Vec<_>, _>>();
            assert!(
                whole.is_err() || (21..=24).contains(&cut),
                "cut at {cut}, which is not behind the first message"
            );
        }
        let lying = [3u8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(
            Parts(&lying).next().unwrap().is_err(),
            "a length below the header's is no endless loop"
        );
    }

    #[test]
    fn a_refusal_is_read_with_the_kernels_words() {
        let mut body = (-17i32).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        body.extend([9, 0, 1, 0, b't', b'a', b'k', b'e', b'n', 0, 0, 0]);
        let part = Part {
            kind: NLMSG_ERROR,
            flags: NLM_F_CAPPED | NLM_F_ACK_TLVS,
            sequence: 1,
            body: &body,
        };
        assert_eq!(
            part.refusal().unwrap(),
            Some(Refusal {
                errno: Errno::EEXIST,
                said: Some("taken".to_owned())
            })
        );
        let short = Part {
            kind: NLMSG_ERROR,
            flags: 0,
            sequence: 1,
            body: &[1, 2],
        };
        assert!(short.refusal().is_err());
    }
}

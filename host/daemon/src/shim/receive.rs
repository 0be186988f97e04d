//! One request from a stranger: bounded in length, in descriptors and in time.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use jackfield_kernel::descriptors;
use jackfield_shims::protocol::{DESCRIPTORS, HEADER, Reply, Request, header, length};

/// Longest time for a request to arrive: it is written at once.
const ARRIVING: Duration = Duration::from_secs(5);
/// Longest time for the answer to be taken.
const LEAVING: Duration = Duration::from_secs(5);
/// Read at once.
const PIECE: usize = 64 << 10;

/// A request with the descriptors that came with it.
#[derive(Debug)]
pub struct Received {
    pub request: Request,
    pub descriptors: Vec<OwnedFd>,
}

/// Reads one request of at most that many bytes.
pub fn receive(stream: &UnixStream, longest: usize) -> io::Result<Received> {
    let mut reader = Reader {
        stream,
        deadline: Instant::now() + ARRIVING,
        descriptors: Vec::new(),
    };
    let mut head = [0u8; HEADER];
    head.copy_from_slice(&reader.exactly(HEADER)?);
    let length = length(head).filter(|length| *length <= longest);
    let body = reader.exactly(length.ok_or_else(|| wrong("a request that is longer than any"))?)?;
    let request = serde_json::from_slice(&body).map_err(|_| wrong("a request that is none"))?;
    Ok(Received {
        request,
        descriptors: reader.descriptors,
    })
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

struct Reader<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
    descriptors: Vec<OwnedFd>,
}

impl Reader<'_> {
    /// No more room is made than there are bytes.
    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let mut piece = vec![0; PIECE.min(length - bytes.len())];
            let read = self.some(&mut piece)?;
            bytes.extend_from_slice(&piece[..read]);
        }
        Ok(bytes)
    }

    fn some(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let (read, descriptors) = descriptors::receive(self.stream, piece)?;
        self.descriptors.extend(descriptors);
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.descriptors.len() > DESCRIPTORS {
            return Err(wrong("more descriptors than a request has"));
        }
        Ok(read)
    }
}

/// Answers.
pub fn answer(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let body = serde_json::to_vec(reply)?;
    let mut message = header(&body)
        .ok_or_else(|| wrong("an answer that is longer than any"))?
        .to_vec();
    message.extend_from_slice(&body);
    stream.set_write_timeout(Some(LEAVING))?;
    stream.write_all(&message)
}

#[cfg(test)]
mod tests {
    use jackfield_shims::protocol::{Call, CniCall, LONGEST, PROTOCOL};

    use super::*;

    fn request() -> Request {
        Request {
            protocol: PROTOCOL,
            sandbox: false,
            call: Call::Cni(CniCall::default()),
        }
    }

    fn send(bytes: &[u8]) -> io::Result<Received> {
        let (mut here, there) = UnixStream::pair()?;
        here.write_all(bytes)?;
        drop(here);
        receive(&there, LONGEST)
    }

    #[test]
    fn a_request_is_read_and_anything_else_is_an_error() {
        let body = serde_json::to_vec(&request()).unwrap();
        let mut good = header(&body).unwrap().to_vec();
        good.extend_from_slice(&body);
        assert_eq!(send(&good).unwrap().request, request());
        let bad: [&[u8]; 5] = [
            b"",
            b"\0\0",
            b"\0\0\0\x02{}",
            b"\xff\xff\xff\xff",
            &good[..good.len() - 1],
        ];
        for bytes in bad {
            assert!(send(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_request_that_is_too_long_for_this_caller_is_not_read() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&1000u32.to_be_bytes()).unwrap();
        assert_eq!(receive(&there, 999).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

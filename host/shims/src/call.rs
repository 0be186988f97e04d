//! Asking the host, with a deadline on everything.

use std::{
    fmt, io,
    io::{IoSlice, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
};

use nix::sys::{
    socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, setsockopt, socket,
        sockopt,
    },
    time::TimeVal,
};

use crate::protocol::{HEADER, Reply, Request, header, length};

/// How long the host may take to accept and to read, in seconds.
const SENDING: i64 = 10;
/// How long it may take to answer: a driver's calls have deadlines of their own, a few of which may follow each other.
const ANSWERING: i64 = 90;

/// The host did not answer.
#[derive(Debug)]
pub struct Down {
    socket: PathBuf,
    cause: io::Error,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.socket.display();
        match self.cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => write!(
                f,
                "no Jackfield host serves on {socket}: start it with \"systemctl start jackfield\" or \"jackfield serve\""
            ),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                write!(f, "the Jackfield host on {socket} did not answer in time")
            }
            _ => write!(f, "the Jackfield host on {socket} does not answer: {}", self.cause),
        }
    }
}

impl std::error::Error for Down {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Asks, and waits for the reply. `namespaces`: the caller's own network namespace, then the sandbox's where there is one.
///
/// # Errors
/// When nobody serves there, or what comes back is no reply: what was asked for may have been done.
pub fn ask(at: &Path, request: &Request, namespaces: &[BorrowedFd<'_>]) -> Result<Reply, Down> {
    let down = |cause: io::Error| Down {
        socket: at.to_owned(),
        cause,
    };
    let mut stream = open(at).map_err(down)?;
    send(&mut stream, request, namespaces).map_err(down)?;
    receive(&mut stream).map_err(down)
}

fn open(at: &Path) -> io::Result<UnixStream> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(SENDING, 0))?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(ANSWERING, 0))?;
    connect(fd.as_raw_fd(), &UnixAddr::new(at)?)?;
    Ok(fd.into())
}

fn send(stream: &mut UnixStream, request: &Request, namespaces: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(request)?;
    let too_long = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the request is longer than any that the host reads",
        )
    };
    let mut message = header(&body).ok_or_else(too_long)?.to_vec();
    message.extend_from_slice(&body);
    let raw: Vec<_> = namespaces.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    // They travel with the first byte, so that what does not fit at once is an ordinary write.
    let sent = sendmsg::<()>(
        stream.as_fd().as_raw_fd(),
        &[IoSlice::new(&message)],
        &rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    stream.write_all(message.get(sent..).unwrap_or_default())
}

fn receive(stream: &mut UnixStream) -> io::Result<Reply> {
    let mut head = [0u8; HEADER];
    stream.read_exact(&mut head)?;
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "its answer is longer than any");
    let mut body = vec![0; length(head).ok_or_else(too_long)?];
    stream.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

//! Passing a call on: which host, which namespaces, what is printed.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    call::{Down, ask},
    protocol::{Call, LONGEST, PROTOCOL, Reply, Request, SOCKET, SOCKET_VARIABLE},
};

/// The caller's own network namespace.
pub const OWN: &str = "/proc/self/ns/net";
/// Longest standard input, in bytes: as a text in a request it may grow to twice that.
const LONGEST_INPUT: usize = LONGEST / 2;

/// Where the host listens: by environment, by what the runtime was configured with, or where it is by default.
pub fn socket(configured: Option<&str>) -> PathBuf {
    let by_environment = env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
    let configured = configured.filter(|path| !path.is_empty());
    by_environment
        .map(PathBuf::from)
        .or_else(|| configured.map(PathBuf::from))
        .unwrap_or_else(|| SOCKET.into())
}

/// Standard input, as text.
///
/// # Errors
/// When it cannot be read, is no UTF-8, or is longer than any.
pub fn input() -> io::Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(LONGEST_INPUT as u64 + 1)
        .read_to_string(&mut text)?;
    if text.len() > LONGEST_INPUT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {LONGEST_INPUT} bytes"),
        ));
    }
    Ok(text)
}

/// Sends a call with the own network namespace and the one at that path.
///
/// # Errors
/// The outer one: the own namespace cannot be opened. The inner one: the host did not answer.
pub fn on(socket: &Path, call: Call, netns: &str) -> io::Result<Result<Reply, Down>> {
    let (own, sandbox) = (File::open(OWN)?, open_sandbox(netns));
    let request = Request {
        protocol: PROTOCOL,
        sandbox: sandbox.is_some(),
        call,
    };
    let namespaces: Vec<_> = [Some(&own), sandbox.as_ref()]
        .into_iter()
        .flatten()
        .map(AsFd::as_fd)
        .collect();
    Ok(ask(socket, &request, &namespaces))
}

/// One that is not there is not sent: the host says what that means. A path may lead to a fifo, which is not waited for.
pub fn open_sandbox(path: &str) -> Option<File> {
    let nonblocking = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let opened = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    opened.ok().filter(|_| !path.is_empty())
}

/// Prints a reply, and says how the program ends.
pub fn end(reply: &Reply) -> ExitCode {
    let printed = print(&reply.output);
    if reply.failed || printed.is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

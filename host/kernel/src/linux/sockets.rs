//! Sockets in other namespaces, for services that the host runs in sandboxes. A socket belongs for ever to the namespace that its maker was in,
//! so only making it needs to happen there; and it keeps that namespace alive: whoever holds one watches what the sandbox's life hangs on.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
        sockopt::ReuseAddr,
    },
};

use super::{netns, system};
use crate::{KernelError, Namespace, Result};

/// Ports that a resolver may get: above those that the kernel gives out by itself (32768 to 60999), where programs in a sandbox bind.
/// The first is as good as any: each sandbox has ports of its own.
const PORTS: std::ops::Range<u16> = 61053..61117;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Two sockets of the same number that take questions in a sandbox. Non-blocking.
#[derive(Debug)]
pub struct Resolver {
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections.
    pub tcp: TcpListener,
    /// The port of both.
    pub port: u16,
}

/// Opens a resolver's sockets in a namespace: at that port, or at any free one. The address need not be there yet if it is a loopback one.
///
/// # Errors
/// That the namespace cannot be entered, or the port is taken (EADDRINUSE).
pub fn resolver(namespace: &Namespace, address: Ipv4Addr, port: Option<u16>) -> Result<Resolver> {
    let opened = netns::within(namespace, || match port {
        Some(port) => open(address, port),
        None => open_any(address),
    })?;
    opened.map_err(|errno| KernelError::Refused {
        operation: "open a resolver at",
        object: format!("{address} in {}", namespace.id()),
        errno,
    })
}

fn open_any(address: Ipv4Addr) -> std::result::Result<Resolver, Errno> {
    let mut attempts = PORTS.map(|port| open(address, port));
    let taken = |result: &std::result::Result<Resolver, Errno>| matches!(result, Err(Errno::EADDRINUSE));
    attempts.find(|result| !taken(result)).unwrap_or(Err(Errno::EADDRINUSE))
}

fn open(address: Ipv4Addr, port: u16) -> std::result::Result<Resolver, Errno> {
    let at = SockaddrStorage::from(SocketAddr::new(address.into(), port));
    let udp = make(AddressFamily::Inet, SockType::Datagram)?;
    bind(udp.as_raw_fd(), &at)?;
    let tcp = make(AddressFamily::Inet, SockType::Stream)?;
    // Connections of a host before this one may still be closing.
    setsockopt(&tcp, ReuseAddr, &true)?;
    bind(tcp.as_raw_fd(), &at)?;
    listen(&tcp, Backlog::new(BACKLOG)?)?;
    Ok(Resolver {
        udp: udp.into(),
        tcp: tcp.into(),
        port,
    })
}

/// A datagram socket of that namespace, neither bound nor connected. Non-blocking.
///
/// # Errors
/// That the namespace cannot be entered, or there is no room for another socket.
pub fn datagram(namespace: &Namespace, ipv4: bool) -> Result<UdpSocket> {
    opened(namespace, ipv4, SockType::Datagram).map(Into::into)
}

/// A stream socket of that namespace, not yet connected. Non-blocking.
///
/// # Errors
/// As [`datagram`].
pub fn stream(namespace: &Namespace, ipv4: bool) -> Result<TcpStream> {
    opened(namespace, ipv4, SockType::Stream).map(Into::into)
}

fn opened(namespace: &Namespace, ipv4: bool, kind: SockType) -> Result<OwnedFd> {
    let family = if ipv4 {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    netns::within(namespace, || make(family, kind))?.map_err(|errno| KernelError::Refused {
        operation: "open a socket in",
        object: namespace.id().to_string(),
        errno,
    })
}

fn make(family: AddressFamily, kind: SockType) -> std::result::Result<OwnedFd, Errno> {
    socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

/// A descriptor of a process that is readable once the process has ended.
///
/// # Errors
/// `NamespaceGone` when there is no such process.
pub fn process(pid: u32) -> Result<OwnedFd> {
    system::pidfd_open(pid).map_err(|errno| match errno {
        Errno::ESRCH => KernelError::NamespaceGone(format!("process {pid}")),
        errno => KernelError::System {
            operation: "watch",
            object: format!("process {pid}"),
            cause: io::Error::from(errno),
        },
    })
}

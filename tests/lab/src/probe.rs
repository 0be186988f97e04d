//! Packets, without any program: what a person would do with ping and netcat, done by sockets that are opened inside a namespace.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, recvfrom, sendto, setsockopt,
    socket, sockopt,
};

use crate::{
    Lab, Result,
    error::{During, LabError},
};
use jackfield_kernel::Namespace;

/// How long one packet may take: far beyond what a veth needs, and below the second that a lost first ARP request or neighbour solicitation costs.
const PACKET: Duration = Duration::from_millis(900);
/// How long the other side of an exchange is waited for.
const EXCHANGE: Duration = Duration::from_millis(2500);

/// Sends one echo request and waits for its reply; answers with the round trip.
///
/// # Errors
/// When no reply comes in time: a first packet that is lost, and sent again a second later, counts as lost.
pub fn ping(lab: &Lab, from: &Namespace, to: IpAddr) -> Result<Duration> {
    let step = format!("ping {to}");
    lab.within(from, || echo(to))?.during(&step)
}

/// Whether a ping goes unanswered.
pub fn unreachable(lab: &Lab, from: &Namespace, to: IpAddr) -> bool {
    ping(lab, from, to).is_err()
}

fn echo(to: IpAddr) -> io::Result<Duration> {
    let (family, protocol, request, reply) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp, 8u8, 0u8),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6, 128, 129),
    };
    let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let wait = nix::sys::time::TimeVal::new(PACKET.as_secs().cast_signed(), i64::from(PACKET.subsec_micros()));
    setsockopt(&fd, sockopt::ReceiveTimeout, &wait)?;
    let (message, mark) = echo_request(request);
    let begun = Instant::now();
    let target = SockaddrStorage::from(SocketAddr::new(to, 0));
    sendto(fd.as_raw_fd(), &message, &target, MsgFlags::empty())?;
    if await_reply(&fd, to, reply, &mark, PACKET)? {
        return Ok(begun.elapsed());
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Whether the reply comes within that time; what else the socket hears is passed over.
fn await_reply(fd: &OwnedFd, to: IpAddr, reply: u8, mark: &[u8], at_most: Duration) -> io::Result<bool> {
    let begun = Instant::now();
    let mut buffer = [0u8; 1500];
    while begun.elapsed() < at_most {
        match recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(length) if is_reply(&buffer[..length], to, reply, mark) => return Ok(true),
            Ok(_) => {}
            Err(Errno::EAGAIN) => return Ok(false),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(false)
}

/// An ICMP echo request (RFC 792, RFC 4443) and the bytes by which its reply is known. The kernel fills in the checksum for ICMPv6 only.
fn echo_request(kind: u8) -> (Vec<u8>, [u8; 8]) {
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.subsec_nanos());
    let mut mark = [0u8; 8];
    mark[..4].copy_from_slice(&clock.to_be_bytes());
    mark[4..].copy_from_slice(&std::process::id().to_be_bytes());
    let mut message = vec![kind, 0, 0, 0, mark[2], mark[3], 0, 1];
    message.extend_from_slice(&mark);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    (message, mark)
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|c| u32::from(u16::from_be_bytes([c[0], c.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A raw IPv4 socket delivers the IP header as well.
fn is_reply(packet: &[u8], to: IpAddr, reply: u8, mark: &[u8]) -> bool {
    let header = if to.is_ipv4() {
        usize::from(packet.first().map_or(0, |b| b & 15)) * 4
    } else {
        0
    };
    packet.get(header) == Some(&reply) && packet.get(header + 8..header + 16) == Some(mark)
}

/// Sends a kilobyte over TCP from one namespace to another and back; answers with the address that the server saw.
///
/// # Errors
/// When it does not come back whole within a few seconds.
pub fn tcp(
    lab: &Lab,
    client: &Namespace,
    server: &Namespace,
    listen: SocketAddr,
    connect: SocketAddr,
) -> Result<SocketAddr> {
    let step = format!("TCP to {connect}");
    let listener = lab
        .within(server, || bind(TcpListener::bind, listen))?
        .during(&format!("listen on {listen}"))?;
    listener.set_nonblocking(true).during(&step)?;
    let echo = std::thread::spawn(move || serve_once(&listener));
    let sent = lab.within(client, || exchange(connect))?;
    let peer = echo.join().map_err(|_| LabError::new(&step, "the server panicked"))?;
    sent.and(peer).during(&step)
}

/// Binds a socket of that kind. A program that another scenario starts at this moment holds a copy of an earlier socket until it has begun
/// to run: the port is free soon.
pub(crate) fn bind<S>(socket: impl Fn(SocketAddr) -> io::Result<S>, address: SocketAddr) -> io::Result<S> {
    let deadline = Instant::now() + EXCHANGE;
    loop {
        match socket(address) {
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::yield_now();
            }
            other => return other,
        }
    }
}

/// Waits for one connection, but no longer than its client does.
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let deadline = Instant::now() + EXCHANGE;
    loop {
        match listener.accept() {
            Err(none) if none.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_micros(200));
            }
            other => return other,
        }
    }
}

fn serve_once(listener: &TcpListener) -> io::Result<SocketAddr> {
    let (mut stream, peer) = accept(listener)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(EXCHANGE))?;
    let mut buffer = [0u8; 1024];
    stream.read_exact(&mut buffer)?;
    stream.write_all(&buffer)?;
    Ok(peer)
}

fn exchange(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PACKET)?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let sent: Vec<u8> = (0..1024u32).map(|i| i.to_le_bytes()[0]).collect();
    stream.write_all(&sent)?;
    let mut back = vec![0u8; sent.len()];
    stream.read_exact(&mut back)?;
    if back == sent {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Sends a datagram and waits for its echo; answers with the address that the server saw.
///
/// # Errors
/// When none comes within 900 ms.
pub fn udp(
    lab: &Lab,
    client: &Namespace,
    server: &Namespace,
    listen: SocketAddr,
    to: SocketAddr,
) -> Result<SocketAddr> {
    let step = format!("UDP to {to}");
    let socket = lab.within(server, || bind(UdpSocket::bind, listen))?.during(&step)?;
    socket.set_read_timeout(Some(PACKET)).during(&step)?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let own = lab.within(client, || UdpSocket::bind(any))?.during(&step)?;
    own.set_read_timeout(Some(PACKET)).during(&step)?;
    lab.within(client, || own.send_to(b"jackfield", to))?.during(&step)?;
    let mut buffer = [0u8; 64];
    let (length, peer) = socket.recv_from(&mut buffer).during(&step)?;
    socket.send_to(&buffer[..length], peer).during(&step)?;
    own.recv_from(&mut buffer).during(&step)?;
    Ok(peer)
}

/// Sends a router advertisement to all nodes on that link of the namespace that the calling thread is in.
pub(crate) fn send_router_advertisement(link: u32) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, RAW.into(), Some(socket2::Protocol::ICMPV6))?;
    socket.set_multicast_if_v6(link)?;
    // Anything else has come from another link, and is not believed.
    socket.set_multicast_hops_v6(255)?;
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(1800u16.to_be_bytes());
    message.extend([0; 8]);
    let all_nodes = std::net::SocketAddrV6::new("ff02::1".parse().map_err(io::Error::other)?, 0, 0, link);
    socket.send_to(&message, &all_nodes.into()).map(drop)
}

/// IPPROTO_SCTP of linux/in.h.
const SCTP: i32 = 132;
/// SOCK_RAW of linux/net.h.
const RAW: i32 = 3;

/// Sends the first packet of an SCTP association, made by hand since few kernels have the protocol's sockets; answers with the source that
/// the server's namespace saw it come from. It is known by its port there and by a mark of its own.
///
/// # Errors
/// When it does not arrive in time.
pub fn sctp(lab: &Lab, client: &Namespace, server: &Namespace, listen: u16, to: SocketAddr) -> Result<IpAddr> {
    let step = format!("SCTP to {to}");
    let open = || {
        let domain = socket2::Domain::for_address(to);
        socket2::Socket::new(domain, RAW.into(), Some(SCTP.into()))
    };
    let (receiver, sender) = (
        lab.within(server, open)?.during(&step)?,
        lab.within(client, open)?.during(&step)?,
    );
    receiver
        .set_read_timeout(Some(Duration::from_millis(100)))
        .during(&step)?;
    let mark: u32 = std::process::id() ^ u32::from(to.port()) << 16;
    let packet = sctp_init(to.port(), mark);
    let begun = Instant::now();
    let mut buffer = [0u8; 512];
    while begun.elapsed() < PACKET {
        sender
            .send_to(&packet, &SocketAddr::new(to.ip(), 0).into())
            .during(&step)?;
        let Ok((length, Some(from))) = recvfrom::<SockaddrStorage>(receiver.as_raw_fd(), &mut buffer) else {
            continue;
        };
        let bytes = &buffer[..length];
        let header = if to.is_ipv4() {
            usize::from(bytes[0] & 15) * 4
        } else {
            0
        };
        let port = bytes.get(header + 2..header + 4) == Some(&listen.to_be_bytes()[..]);
        if port && bytes.get(header + 16..header + 20) == Some(&mark.to_be_bytes()[..]) {
            return source(&from).ok_or_else(|| LabError::new(&step, "it came from no address"));
        }
    }
    Err(LabError::new(step, "it did not arrive"))
}

fn source(from: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = from.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
    v4.or_else(|| from.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
}

/// An INIT chunk (RFC 9260, 3.3.2) whose initiate tag is the mark.
fn sctp_init(port: u16, mark: u32) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(40_000u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend([0; 8]);
    packet.extend([1, 0, 0, 20]);
    packet.extend(mark.to_be_bytes());
    packet.extend(65_536u32.to_be_bytes());
    packet.extend([0, 1, 0, 1]);
    packet.extend(1u32.to_be_bytes());
    let sum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    packet
}

/// The checksum of SCTP (RFC 9260, appendix A), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, byte)
}

/// Sends over TCP from one namespace to another for that long; answers with the bytes a second that arrived, the first tenth of the time
/// left out, in which a queue fills its burst.
///
/// # Errors
/// When no connection comes about.
pub fn throughput(
    lab: &Lab,
    client: &Namespace,
    server: &Namespace,
    listen: SocketAddr,
    time: Duration,
) -> Result<f64> {
    let step = format!("send to {listen}");
    let listener = lab.within(server, || bind(TcpListener::bind, listen))?.during(&step)?;
    listener.set_nonblocking(true).during(&step)?;
    let sink = std::thread::spawn(move || receive_for(&listener, time));
    let mut stream = lab
        .within(client, || TcpStream::connect_timeout(&listen, PACKET))?
        .during(&step)?;
    let begun = Instant::now();
    let chunk = [0u8; 16 << 10];
    // The other end closes when it has seen enough.
    while begun.elapsed() < 2 * time && stream.write_all(&chunk).is_ok() {}
    drop(stream);
    let rate = sink.join().map_err(|_| LabError::new(&step, "the server panicked"))?;
    rate.during(&step)
}

fn receive_for(listener: &TcpListener, time: Duration) -> io::Result<f64> {
    let (mut stream, _) = accept(listener)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (begun, warm) = (Instant::now(), time / 10);
    let (mut counted, mut buffer) = (0u64, [0u8; 64 << 10]);
    while begun.elapsed() < time {
        let length = stream.read(&mut buffer)?;
        if begun.elapsed() >= warm {
            counted += length as u64;
        }
    }
    Ok(counted as f64 / (time - warm).as_secs_f64())
}

//! Ports that programs of a namespace have open: asked for by binding to each, and closing it again.
//!
//! A published port is *not* held by a bound socket. Held, it would cost a descriptor and 3.4 KiB of the kernel's memory for each port (33
//! MB measured for a range of ten thousand); it would be let go of whenever the host stops, or dies, while the port goes on being published;
//! and it would make whoever opens the port later fail, but only if the host was there first. So a port is looked at once, when it is
//! published: 6 to 14 µs for each port and address (Linux 6.18, two busy virtual cores), however many there are. A program that opens
//! the port afterwards gets its socket, and the packets that come for it go to the endpoint.
//!
//! The bind is as a server does it, so that it fails where a server would: with SO_REUSEADDR for TCP, where connections that are closing
//! are in nobody's way, and without for UDP. Who holds the port is looked for only then, in /proc: slow, and worth it.

use std::{fs, io, net::SocketAddr};

use jackfield_model::{PortMapping, Transport};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::netns;
use crate::{KernelError, Namespace, PortUse, Result};

/// TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp writes it.
const LISTENING: &str = "0A";
/// Podman's monitor of a container. As long as that runs it has the container's published ports open and serves on none of them, so that
/// others fail to open them (`bindPorts` in libpod/oci_util.go): when a container comes back to a network, they are its own.
const KEEPER: &str = "conmon";

/// See [`crate::Kernel::port_use`].
pub(super) fn port_use(namespace: &Namespace, mapping: &PortMapping) -> Result<PortUse> {
    let mut ports = (0..mapping.count).map_while(|n| mapping.host_port.checked_add(n));
    loop {
        let port = match netns::within(namespace, || first_taken(mapping, &mut ports))? {
            Ok(None) => return Ok(PortUse::Free),
            Ok(Some(port)) => port,
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => return Ok(PortUse::NotHere),
            Err(cause) => {
                return Err(KernelError::System {
                    operation: "look for whoever has",
                    object: mapping.to_string(),
                    cause,
                });
            }
        };
        let inodes = netns::within(namespace, || inodes(mapping.transport, port))?;
        let process = process(&inodes);
        if process.as_ref().is_none_or(|(_, name)| name != KEEPER) {
            return Ok(PortUse::Open { port, process });
        }
    }
}

/// Goes on where it ended when it is asked again with the same iterator.
fn first_taken(mapping: &PortMapping, ports: &mut impl Iterator<Item = u16>) -> io::Result<Option<u16>> {
    for port in ports {
        match bind(mapping.transport, SocketAddr::new(mapping.host_address, port)) {
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => return Ok(Some(port)),
            // A protocol that the kernel does not have, or a port that this process may not open: nobody else's fault.
            Err(other) if is_no_answer(&other) => return Ok(None),
            answer => answer?,
        }
    }
    Ok(None)
}

fn is_no_answer(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT | Errno::EAFNOSUPPORT | Errno::EACCES)
    )
}

fn bind(transport: Transport, address: SocketAddr) -> io::Result<()> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Sctp => (Type::STREAM, Protocol::from(libc::IPPROTO_SCTP)),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if transport != Transport::Udp {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())
}

/// The sockets that have the port, as the inodes by which processes refer to them; those that listen where there are any.
fn inodes(transport: Transport, port: u16) -> Vec<String> {
    // The folder of the thread, since /proc/net is that of the process's first one, which is in another namespace.
    let files: &[&str] = match transport {
        Transport::Tcp => &["tcp", "tcp6"],
        Transport::Udp => &["udp", "udp6"],
        Transport::Sctp => return Vec::new(),
    };
    let read = |file: &&str| fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
    let sockets: Vec<_> = files.iter().flat_map(|file| sockets_in(&read(file), port)).collect();
    let listening = sockets.iter().any(|(_, state)| state == LISTENING);
    let meant = sockets
        .into_iter()
        .filter(|(_, state)| !listening || state == LISTENING);
    meant.map(|(inode, _)| inode).collect()
}

/// Inode and state of each line of /proc/net/tcp or udp whose local port it is (proc_net_tcp.rst).
fn sockets_in(table: &str, port: u16) -> Vec<(String, String)> {
    let wanted = format!(":{port:04X}");
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        local
            .ends_with(&wanted)
            .then(|| ((*inode).to_owned(), (*state).to_owned()))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// The process with the lowest id that has one of these sockets open.
fn process(inodes: &[String]) -> Option<(u32, String)> {
    let targets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let ids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids: Vec<u32> = ids.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let holds = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        links.any(|link| targets.iter().any(|target| link.as_os_str() == target.as_str()))
    };
    let pid = pids.into_iter().filter(|_| !targets.is_empty()).find(holds)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, TcpListener, UdpSocket};

    fn mapping(transport: Transport, address: IpAddr, port: u16, count: u16) -> PortMapping {
        PortMapping {
            transport,
            container_port: 80,
            host_address: address,
            host_port: port,
            count,
        }
    }

    #[test]
    fn a_listener_is_found_with_its_process_and_a_closed_one_is_not() {
        let all: IpAddr = [0; 4].into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = |count| first_taken(&mapping(Transport::Tcp, all, port, 1), &mut (port..port + count)).unwrap();
        assert_eq!(taken(1), Some(port));
        let (pid, name) = process(&inodes(Transport::Tcp, port)).unwrap();
        assert_eq!(pid, std::process::id());
        assert!(!name.is_empty());
        drop(listener);
        assert_eq!(taken(1), None);
    }

    #[test]
    fn datagrams_and_the_other_family_are_asked_for_too() {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        for address in [IpAddr::from([0; 4]), IpAddr::from([0; 16])] {
            let taken = first_taken(&mapping(Transport::Udp, address, port, 1), &mut [port].into_iter()).unwrap();
            assert_eq!(taken, Some(port), "a socket of both families holds {address}");
        }
    }

    #[test]
    fn an_address_of_somebody_else_is_an_error() {
        // Of IPv6: for IPv4 the kernel takes any address where the namespace has never had one (inet_addr_type of a table that is not there).
        let foreign = bind(Transport::Tcp, "[2001:db8::77]:80".parse().unwrap()).unwrap_err();
        assert_eq!(foreign.raw_os_error(), Some(libc::EADDRNOTAVAIL));
    }
}

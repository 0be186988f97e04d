//! The real kernel.
//!
//! Holds, for each namespace that it was asked about, one socket a netlink protocol, opened when first needed and closed by
//! [`Kernel::forget`]: an open socket keeps a dead namespace alive, and with it the host's end of its links. Everything else that it
//! opens lives for one call. A batch is one send, in the order given, cut only where a request is no NETLINK_ROUTE message.
//!
//! ```text
//!   no socket --first request--> open --forget--> no socket
//!       ^                         |
//!       +---- conversation broke -+      (an answer lost or malformed: what was asked then is not known)
//! ```

mod attributes;
mod bandwidth;
mod conntrack;
mod decode;
pub(crate) mod describe;
pub mod descriptors;
mod dump;
mod encode;
mod firewall;
mod mark;
pub mod netns;
mod ports;
mod read;
mod ready;
mod send;
mod socket;
pub mod sockets;
mod support;
mod sysctl;
mod system;
mod tap;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt, io,
    net::{IpAddr, Ipv6Addr},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use jackfield_model::PortMapping;

use crate::{
    Dump, FirewallWatch, Kernel, KernelError, LinkInfo, LinkQuery, LinkStatistics, Mark, Namespace, NamespaceId,
    NamespaceSource, PortUse, Request, Result, RouteLookup,
    nft::Mended,
    plan::{FirewallRule, Ifindex, SysctlKey},
};
use socket::Socket;

/// The kernel that this process runs on.
#[derive(Default)]
pub struct Linux {
    sockets: Mutex<HashMap<NamespaceId, Arc<Sockets>>>,
    /// Kinds of links known to be supported. Only those: a module may be installed later.
    kinds: Mutex<HashSet<String>>,
}

/// The sockets of one namespace, each behind a lock of its own: a conversation is not to be interleaved with another.
#[derive(Debug, Default)]
struct Sockets {
    route: Mutex<Option<Socket>>,
    /// For deletions of links: one takes 16 to 20 ms, in which a join must not have to wait for the socket.
    deleting: Mutex<Option<Socket>>,
    /// Kept open like the other; closing one after a deletion of nftables objects takes 9 ms.
    netfilter: Mutex<Option<Socket>>,
    /// The port of that one; zero before it was first open.
    netfilter_port: Arc<AtomicU32>,
    /// For tracked connections: to list them takes 5 to 15 ms, in which a port must not have to wait to be published.
    tracking: Mutex<Option<Socket>>,
}

impl Linux {
    /// Opens the kernel.
    ///
    /// # Errors
    /// `Unsupported` when it lacks what everything here rests on: namespaces with cookies (Linux 5.14).
    pub fn new() -> Result<Self> {
        netns::cookie_here().map_err(|_| KernelError::Unsupported("SO_NETNS_COOKIE (Linux 5.14)".to_owned()))?;
        Ok(Self::default())
    }

    /// A namespace that has just been made, with the socket that was opened on the way.
    fn keep_socket(&self, (namespace, socket): (Namespace, socket::Socket)) -> Namespace {
        *lock(&self.sockets(&namespace).route) = Some(socket);
        namespace
    }

    /// The sockets of a namespace, none of them open before the first use.
    fn sockets(&self, namespace: &Namespace) -> Arc<Sockets> {
        lock(&self.sockets).entry(namespace.id()).or_default().clone()
    }

    /// Talks NETLINK_ROUTE in a namespace.
    fn route<T>(&self, namespace: &Namespace, talk: impl FnOnce(&mut Socket) -> io::Result<T>) -> Result<T> {
        converse(namespace, &self.sockets(namespace).route, libc::NETLINK_ROUTE, talk)
    }

    /// The same for what deletes links.
    fn delete<T>(&self, namespace: &Namespace, talk: impl FnOnce(&mut Socket) -> io::Result<T>) -> Result<T> {
        converse(namespace, &self.sockets(namespace).deleting, libc::NETLINK_ROUTE, talk)
    }

    /// Talks NETLINK_NETFILTER in a namespace.
    fn netfilter<T>(&self, namespace: &Namespace, talk: impl FnOnce(&mut Socket) -> io::Result<T>) -> Result<T> {
        let sockets = self.sockets(namespace);
        converse(namespace, &sockets.netfilter, libc::NETLINK_NETFILTER, |socket| {
            sockets.netfilter_port.store(socket.port(), Ordering::Relaxed);
            talk(socket)
        })
    }
}

impl Linux {
    /// The same about tracked connections.
    fn tracking<T>(&self, namespace: &Namespace, talk: impl FnOnce(&mut Socket) -> io::Result<T>) -> Result<T> {
        converse(
            namespace,
            &self.sockets(namespace).tracking,
            libc::NETLINK_NETFILTER,
            talk,
        )
    }
}

/// Talks over the socket in the slot. One whose conversation broke is closed: late answers would be taken for the next one's.
fn converse<T>(
    namespace: &Namespace,
    slot: &Mutex<Option<Socket>>,
    protocol: libc::c_int,
    talk: impl FnOnce(&mut Socket) -> io::Result<T>,
) -> Result<T> {
    let failed = |cause| KernelError::System {
        operation: "talk to the kernel in",
        object: namespace.id().to_string(),
        cause,
    };
    let mut slot = lock(slot);
    let mut socket = match slot.take() {
        Some(open) => open,
        None => netns::within(namespace, || Socket::open(protocol as isize))?.map_err(failed)?,
    };
    let result = talk(&mut socket).map_err(failed)?;
    *slot = Some(socket);
    Ok(result)
}

/// Locks also what a panic has left locked: nothing behind these locks can be half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Linux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linux")
            .field("namespaces", &lock(&self.sockets).len())
            .finish_non_exhaustive()
    }
}

impl Kernel for Linux {
    fn create_namespace(&self) -> Result<Namespace> {
        Ok(self.keep_socket(netns::create(|| Ok(()))?))
    }

    fn create_deaf_namespace(&self) -> Result<Namespace> {
        Ok(self.keep_socket(netns::create(sysctl::deafen)?))
    }

    fn open_namespace(&self, source: &NamespaceSource) -> Result<Namespace> {
        netns::open(source)
    }

    fn adopt_namespace(&self, fd: OwnedFd) -> Result<Namespace> {
        netns::adopt(fd)
    }

    fn pin(&self, namespace: &Namespace, path: &Path) -> Result<()> {
        netns::pin(namespace, path)
    }

    fn unpin(&self, path: &Path) -> Result<()> {
        netns::unpin(path)
    }

    fn owner_uid(&self, namespace: &Namespace) -> Result<u32> {
        netns::owner_uid(namespace)
    }

    fn mark(&self, namespace: &Namespace) -> Result<Mark> {
        mark::mark(self, namespace)
    }

    fn lives(&self, mark: Mark) -> Result<bool> {
        mark::lives(self, mark)
    }

    fn send(&self, namespace: &Namespace, requests: &[Request]) -> Result<Vec<Result<()>>> {
        send::send(self, namespace, requests)
    }

    fn link(&self, namespace: &Namespace, query: LinkQuery<'_>) -> Result<Option<LinkInfo>> {
        read::link(self, namespace, query)
    }

    fn statistics(&self, namespace: &Namespace, index: Ifindex) -> Result<Option<LinkStatistics>> {
        read::statistics(self, namespace, index)
    }

    fn sysctl(&self, namespace: &Namespace, index: Ifindex, key: &SysctlKey) -> Result<Option<String>> {
        sysctl::read(self, namespace, index, key)
    }

    fn lookup_route(&self, namespace: &Namespace, destination: IpAddr) -> Result<Option<RouteLookup>> {
        read::lookup_route(self, namespace, destination)
    }

    fn await_addresses(&self, namespace: &Namespace, addresses: &[Ipv6Addr]) -> Result<bool> {
        ready::await_addresses(self, namespace, addresses)
    }

    fn dump(&self, namespace: &Namespace) -> Result<Dump> {
        dump::dump(self, namespace)
    }

    fn watch_firewall(&self, namespace: &Namespace, until: UnixStream) -> Result<Option<Box<dyn FirewallWatch>>> {
        firewall::watch(self, namespace, until).map(|watch| Some(Box::new(watch) as Box<dyn FirewallWatch>))
    }

    fn mend_firewall(&self, namespace: &Namespace, rules: &[FirewallRule]) -> Result<Mended> {
        firewall::mend(self, namespace, rules)
    }

    fn supports(&self, kind: &str) -> Result<bool> {
        support::supports(self, kind)
    }

    fn port_use(&self, namespace: &Namespace, mapping: &PortMapping) -> Result<PortUse> {
        ports::port_use(namespace, mapping)
    }

    fn default_route_links(&self, namespace: &Namespace) -> Result<BTreeSet<Ifindex>> {
        dump::default_route_links(self, namespace)
    }

    fn forget(&self, namespace: &Namespace) {
        lock(&self.sockets).remove(&namespace.id());
    }
}

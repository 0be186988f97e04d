//! The seam between the host and the kernel. Two things stand behind it: [`crate::Linux`] and [`crate::Simulated`].

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv6Addr},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
};

use jackfield_model::{LinkName, PortMapping};

use crate::{
    Dump, LinkInfo, LinkStatistics, Mark, Namespace, NamespaceSource, Request, Result, RouteLookup,
    nft::Mended,
    plan::{FirewallRule, Ifindex, SysctlKey},
};

/// How to find a link. Never by a dump: that grows with the square of the links.
#[derive(Clone, Copy, Debug)]
pub enum LinkQuery<'a> {
    /// By index.
    Index(Ifindex),
    /// By name.
    Name(&'a LinkName),
}

/// Whether host ports are there to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortUse {
    /// No program has any of them open.
    Free,
    /// One has.
    Open {
        /// Which of the ports.
        port: u16,
        /// Its process id and name, where it can be seen.
        process: Option<(u32, String)>,
    },
    /// The address is none of this namespace.
    NotHere,
}

/// A look-out for changes of the firewall by others.
pub trait FirewallWatch: Send {
    /// Waits for the next one that concerns the host; false when the watch is over.
    ///
    /// # Errors
    /// When there is nothing more to be learnt.
    fn next(&mut self) -> Result<bool>;
}

/// What the host asks of a kernel. Blocking: the kernel answers a netlink request before the send returns.
pub trait Kernel: fmt::Debug + Send + Sync + 'static {
    /// Makes a network namespace, with its loopback down and no name.
    fn create_namespace(&self) -> Result<Namespace>;

    /// The same for a sandbox: links that it gets hear no router advertisements, from the moment that they are there.
    fn create_deaf_namespace(&self) -> Result<Namespace>;

    /// Opens an existing one.
    ///
    /// # Errors
    /// `NamespaceGone` when there is none, `NotANamespace` when the file is none.
    fn open_namespace(&self, source: &NamespaceSource) -> Result<Namespace>;

    /// Takes over a descriptor that somebody sent.
    ///
    /// # Errors
    /// `NotANamespace` when it is none.
    fn adopt_namespace(&self, fd: OwnedFd) -> Result<Namespace>;

    /// Gives a namespace a file that keeps it alive, as `ip netns` does.
    fn pin(&self, namespace: &Namespace, path: &Path) -> Result<()>;

    /// Takes that file away; no error when it is not there.
    fn unpin(&self, path: &Path) -> Result<()>;

    /// Whether the caller of that uid may act on the namespace: its owning user namespace belongs to him, or he is root.
    fn owner_uid(&self, namespace: &Namespace) -> Result<u32>;

    /// Leaves a mark by which [`Kernel::lives`] tells whether the namespace is still there, and which does not keep it alive. The same one for
    /// who marks it again.
    fn mark(&self, namespace: &Namespace) -> Result<Mark>;

    /// Whether a namespace that was marked in this boot, by this host or an earlier one, is still there. One that is linked with the host's own
    /// by a pair may be said to be there for longer: its mark is then the kernel's choice, which it gives to another one afterwards.
    fn lives(&self, mark: Mark) -> Result<bool>;

    /// Sends the requests and returns each one's answer, in order. A request after one that failed was attempted all the same.
    ///
    /// # Errors
    /// The outer error: nothing may be assumed of any request.
    fn send(&self, namespace: &Namespace, requests: &[Request]) -> Result<Vec<Result<()>>>;

    /// One link, None when there is none.
    fn link(&self, namespace: &Namespace, query: LinkQuery<'_>) -> Result<Option<LinkInfo>>;

    /// Counters of one link, None when it is gone.
    fn statistics(&self, namespace: &Namespace, index: Ifindex) -> Result<Option<LinkStatistics>>;

    /// A per-link sysctl, None when this kernel does not have it.
    fn sysctl(&self, namespace: &Namespace, index: Ifindex, key: &SysctlKey) -> Result<Option<String>>;

    /// How the namespace reaches an address, None when it does not.
    fn lookup_route(&self, namespace: &Namespace, destination: IpAddr) -> Result<Option<RouteLookup>>;

    /// Changes of the namespace's firewall by others. None where there are no others, as in the simulated kernel. A byte written to the
    /// other end of `until` has it looked at; closing that ends the watch.
    fn watch_firewall(&self, _namespace: &Namespace, _until: UnixStream) -> Result<Option<Box<dyn FirewallWatch>>> {
        Ok(None)
    }

    /// Makes the host's table hold exactly these rules, and other programs' chains the host's rule where they ask for it.
    fn mend_firewall(&self, _namespace: &Namespace, _rules: &[FirewallRule]) -> Result<Mended> {
        Ok(Mended::default())
    }

    /// Waits until IPv6 addresses that were just added can send and be found, and no longer than a tenth of a second. False when one of them
    /// cannot by then.
    fn await_addresses(&self, _namespace: &Namespace, _addresses: &[Ipv6Addr]) -> Result<bool> {
        Ok(true)
    }

    /// Everything. Slow: for recovery and tests.
    fn dump(&self, namespace: &Namespace) -> Result<Dump>;

    /// Whether this kernel has a kind of link, by its iproute2 name.
    fn supports(&self, kind: &str) -> Result<bool>;

    /// Whether a program has one of a mapping's host ports open, so that publishing it would take its packets away.
    fn port_use(&self, namespace: &Namespace, mapping: &PortMapping) -> Result<PortUse>;

    /// The links by which a namespace has default routes, in either family.
    fn default_route_links(&self, namespace: &Namespace) -> Result<BTreeSet<Ifindex>> {
        Ok(self.dump(namespace)?.default_route_links())
    }

    /// Forgets what is cached for a namespace: an open socket keeps a dead one alive, and the host's end of its links.
    fn forget(&self, namespace: &Namespace);
}

//! A kernel that fails when a test says so: for tests of this and of other crates.
//!
//! ```text
//!   Healthy --arm--> Armed(n) --n-th request--> refused once, or its batch's answers lost --> Healthy
//!      |                 |
//!      +----- die -------+--> Dead: every call fails --revive--> Healthy
//! ```
//! Dead is what the kernel looks like to a host that was killed: whatever its threads still do reaches nothing.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv6Addr},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jackfield_model::PortMapping;
use nix::errno::Errno;

use crate::{
    Dump, FirewallWatch, Ifindex, Kernel, KernelError, LinkInfo, LinkQuery, LinkStatistics, Mark, Namespace,
    NamespaceSource, PortUse, Request, Result, RouteLookup,
    journal::{Observer, Record},
    nft::Mended,
    plan::{FirewallRule, SysctlKey},
};

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with EIO and not done; the rest of its batch is done.
    Refused,
    /// Its batch is not done at all, and the send fails as a whole.
    LostBefore,
    /// Its batch is done up to it, and the send fails as a whole: nobody knows what was done.
    LostAfter,
    /// It is done, and then the kernel is dead to this host.
    Dies,
}

/// A kernel around another one.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Kernel>,
    armed: Mutex<Option<(u64, Fault)>>,
    sent: AtomicU64,
    dead: AtomicBool,
}

impl Faulty {
    /// Without a fault so far.
    pub fn new(inner: Arc<dyn Kernel>) -> Self {
        Self {
            inner,
            armed: Mutex::new(None),
            sent: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        }
    }

    /// Requests seen since the last arming, or ever.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Lets the n-th request from now fail, counted from one. Once.
    pub fn arm(&self, n: u64, fault: Fault) {
        *self.armed() = Some((n, fault));
        self.sent.store(0, Ordering::SeqCst);
    }

    /// No fault any more; says whether it had still been waiting.
    pub fn disarm(&self) -> bool {
        self.armed().take().is_some()
    }

    /// From now on every call fails.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// Whether it is dead.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn armed(&self) -> MutexGuard<'_, Option<(u64, Fault)>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<&Arc<dyn Kernel>> {
        if self.is_dead() {
            Err(failed("call"))
        } else {
            Ok(&self.inner)
        }
    }

    /// The fault of the next request, where it is its turn.
    fn next(&self) -> Option<Fault> {
        let number = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let mut armed = self.armed();
        match *armed {
            Some((n, fault)) if n == number => {
                *armed = None;
                Some(fault)
            }
            _ => None,
        }
    }

    fn one(&self, namespace: &Namespace, request: &Request) -> Result<Result<()>> {
        let mut answers = self.alive()?.send(namespace, std::slice::from_ref(request))?;
        Ok(answers.pop().unwrap_or_else(|| Err(failed("answer"))))
    }
}

fn failed(operation: &'static str) -> KernelError {
    KernelError::System {
        operation,
        object: "a faulty kernel".into(),
        cause: io::Error::from(Errno::EIO),
    }
}

fn refused() -> KernelError {
    KernelError::Refused {
        operation: "ask",
        object: "a faulty kernel".into(),
        errno: Errno::EIO,
    }
}

impl Kernel for Faulty {
    fn create_namespace(&self) -> Result<Namespace> {
        self.alive()?.create_namespace()
    }

    fn create_deaf_namespace(&self) -> Result<Namespace> {
        self.alive()?.create_deaf_namespace()
    }

    fn open_namespace(&self, source: &NamespaceSource) -> Result<Namespace> {
        self.alive()?.open_namespace(source)
    }

    fn adopt_namespace(&self, fd: OwnedFd) -> Result<Namespace> {
        self.alive()?.adopt_namespace(fd)
    }

    fn pin(&self, namespace: &Namespace, path: &Path) -> Result<()> {
        self.alive()?.pin(namespace, path)
    }

    fn unpin(&self, path: &Path) -> Result<()> {
        self.alive()?.unpin(path)
    }

    fn owner_uid(&self, namespace: &Namespace) -> Result<u32> {
        self.alive()?.owner_uid(namespace)
    }

    fn mark(&self, namespace: &Namespace) -> Result<Mark> {
        self.alive()?.mark(namespace)
    }

    fn lives(&self, mark: Mark) -> Result<bool> {
        self.alive()?.lives(mark)
    }

    fn send(&self, namespace: &Namespace, requests: &[Request]) -> Result<Vec<Result<()>>> {
        self.alive()?;
        let faults: Vec<_> = requests.iter().map(|_| self.next()).collect();
        if faults.contains(&Some(Fault::LostBefore)) {
            return Err(failed("send to"));
        }
        let mut answers = vec![];
        for (request, fault) in requests.iter().zip(faults) {
            match fault {
                Some(Fault::Refused) => answers.push(Err(refused())),
                Some(Fault::LostAfter) => {
                    let _lost = self.one(namespace, request)?;
                    return Err(failed("hear from"));
                }
                Some(Fault::Dies) => {
                    let _lost = self.one(namespace, request)?;
                    self.die();
                    return Err(failed("hear from"));
                }
                _ => answers.push(self.one(namespace, request)?),
            }
        }
        Ok(answers)
    }

    fn link(&self, namespace: &Namespace, query: LinkQuery<'_>) -> Result<Option<LinkInfo>> {
        self.alive()?.link(namespace, query)
    }

    fn statistics(&self, namespace: &Namespace, index: Ifindex) -> Result<Option<LinkStatistics>> {
        self.alive()?.statistics(namespace, index)
    }

    fn sysctl(&self, namespace: &Namespace, index: Ifindex, key: &SysctlKey) -> Result<Option<String>> {
        self.alive()?.sysctl(namespace, index, key)
    }

    fn lookup_route(&self, namespace: &Namespace, destination: IpAddr) -> Result<Option<RouteLookup>> {
        self.alive()?.lookup_route(namespace, destination)
    }

    fn watch_firewall(&self, namespace: &Namespace, until: UnixStream) -> Result<Option<Box<dyn FirewallWatch>>> {
        self.alive()?.watch_firewall(namespace, until)
    }

    fn mend_firewall(&self, namespace: &Namespace, rules: &[FirewallRule]) -> Result<Mended> {
        self.alive()?.mend_firewall(namespace, rules)
    }

    fn await_addresses(&self, namespace: &Namespace, addresses: &[Ipv6Addr]) -> Result<bool> {
        self.alive()?.await_addresses(namespace, addresses)
    }

    fn dump(&self, namespace: &Namespace) -> Result<Dump> {
        self.alive()?.dump(namespace)
    }

    fn supports(&self, kind: &str) -> Result<bool> {
        self.alive()?.supports(kind)
    }

    fn port_use(&self, namespace: &Namespace, mapping: &PortMapping) -> Result<PortUse> {
        self.alive()?.port_use(namespace, mapping)
    }

    fn default_route_links(&self, namespace: &Namespace) -> Result<BTreeSet<Ifindex>> {
        self.alive()?.default_route_links(namespace)
    }

    fn forget(&self, namespace: &Namespace) {
        self.inner.forget(namespace);
    }
}

/// Kills a host in a test: at a chosen boundary of its journal the kernel dies to it, and so does the journal.
#[derive(Debug)]
pub struct CrashAtRecord {
    kernel: Arc<Faulty>,
    /// Counted from one.
    record: u64,
    before: bool,
    seen: AtomicU64,
}

impl CrashAtRecord {
    /// Before or after the n-th record, counted from one.
    pub fn new(kernel: Arc<Faulty>, record: u64, before: bool) -> Self {
        Self {
            kernel,
            record,
            before,
            seen: AtomicU64::new(0),
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.kernel.is_dead() {
            Err(io::Error::other("the host was killed"))
        } else {
            Ok(())
        }
    }
}

impl Observer for CrashAtRecord {
    fn before(&self, _record: &Record) -> io::Result<()> {
        self.check()?;
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.record && self.before {
            self.kernel.die();
        }
        self.check()
    }

    fn after(&self, _record: &Record) -> io::Result<()> {
        if self.seen.load(Ordering::SeqCst) == self.record && !self.before {
            self.kernel.die();
        }
        self.check()
    }
}

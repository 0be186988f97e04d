//! A kernel in memory, behind the same trait as the real one: for tests that have no privilege, or need thousands of runs.
//!
//! It promises that each request is answered with the error number that Linux answers with, and changes what Linux would change: also
//! what nobody asked for, as the routes that vanish with a link that goes down. Nothing here is imagined: `tests/differential.rs` runs
//! the same requests on both kernels and compares answers and dumps. Where they differ, this one is wrong.
//!
//! Left out, because no plan depends on it: packets, carrier, counters (always zero), link-local and multicast addresses with
//! their routes, table local in dumps, whatever the kernel learns from traffic, and tracked connections.
//!
//! ```text
//!   Simulated --lock--> State: links, because a pair or a parent spans namespaces
//!                         +--> Space (one per namespace): addresses, routes, rules, neighbours, sysctls, firewall
//!
//!   a namespace:  created --pin--> named --unpin--> gone, with its links and the other ends of its pairs
//!                    +------------kill_namespace-----^
//! ```
//!
//! A [`Namespace`] of this kernel holds no descriptor, so that dropping it closes nothing: a namespace lives until
//! [`Simulated::kill_namespace`], or until its last pin is taken away.

mod addresses;
mod creation;
mod defaults;

mod dump;
mod firewall;
mod foreign;
mod forwarding;
mod link;
mod lookup;
mod moving;
mod namespaces;
mod neighbours;
mod programs;
mod removal;
mod requests;
mod routes;
mod rules;
mod settings;
mod space;
mod state;
mod sysctls;

use std::{
    net::IpAddr,
    os::fd::OwnedFd,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jackfield_model::PortMapping;
use nix::errno::Errno;

use crate::linux::describe::describe;
use crate::{
    Dump, Ifindex, Kernel, KernelError, LinkInfo, LinkQuery, LinkStatistics, Mark, Namespace, NamespaceId,
    NamespaceSource, PortUse, Request, Result, RouteLookup, plan::SysctlKey,
};
use state::State;

/// What a request is answered with.
type Answer<T = ()> = std::result::Result<T, Errno>;

/// The kinds of links that this kernel has, as iproute2 names them.
const KINDS: [&str; 8] = ["bridge", "veth", "macvlan", "ipvlan", "vlan", "vxlan", "dummy", "tap"];

/// A kernel in memory; see the module's head.
#[derive(Debug)]
pub struct Simulated {
    state: Mutex<State>,
}

impl Simulated {
    /// A kernel with one namespace, [`NamespaceSource::Own`], in which there is nothing but the loopback.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::new()),
        }
    }

    /// A panic of another test's thread leaves no request half done that anybody could see: each is one call under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a refused request, in the words of the real kernel's.
fn refusal(request: &Request, errno: Errno) -> KernelError {
    let (operation, object) = describe(request);
    KernelError::Refused {
        operation,
        object,
        errno,
    }
}

impl Default for Simulated {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel for Simulated {
    fn create_namespace(&self) -> Result<Namespace> {
        Ok(Namespace::simulated(self.state().create_namespace(false)))
    }

    fn create_deaf_namespace(&self) -> Result<Namespace> {
        Ok(Namespace::simulated(self.state().create_namespace(true)))
    }

    fn port_use(&self, namespace: &Namespace, mapping: &PortMapping) -> Result<PortUse> {
        Ok(self.state().port_use(namespace.id(), mapping))
    }

    fn open_namespace(&self, source: &NamespaceSource) -> Result<Namespace> {
        self.state().find_namespace(source).map(Namespace::simulated)
    }

    fn adopt_namespace(&self, _fd: OwnedFd) -> Result<Namespace> {
        Err(KernelError::NotANamespace {
            object: "the descriptor".into(),
            problem: "a simulated kernel has no descriptors",
        })
    }

    fn pin(&self, namespace: &Namespace, path: &Path) -> Result<()> {
        self.state().pin(namespace.id(), path)
    }

    fn unpin(&self, path: &Path) -> Result<()> {
        self.state().unpin(path);
        Ok(())
    }

    fn owner_uid(&self, namespace: &Namespace) -> Result<u32> {
        self.state().space(namespace.id()).map(|space| space.owner)
    }

    fn mark(&self, namespace: &Namespace) -> Result<Mark> {
        // A simulated kernel counts its namespaces from one, and has few of them.
        self.state()
            .space(namespace.id())
            .map(|_| Mark(namespace.id().0 as u32))
    }

    fn lives(&self, mark: Mark) -> Result<bool> {
        Ok(self.is_alive(NamespaceId(mark.0.into())))
    }

    fn send(&self, namespace: &Namespace, requests: &[Request]) -> Result<Vec<Result<()>>> {
        let mut state = self.state();
        state.space(namespace.id())?;
        Ok(requests
            .iter()
            .map(|r| state.answer(namespace.id(), r).map_err(|errno| refusal(r, errno)))
            .collect())
    }

    fn link(&self, namespace: &Namespace, query: LinkQuery<'_>) -> Result<Option<LinkInfo>> {
        let state = self.state();
        let space = state.space(namespace.id())?;
        Ok(space.find(query).map(|(index, link)| space.info(index, link)))
    }

    fn statistics(&self, namespace: &Namespace, index: Ifindex) -> Result<Option<LinkStatistics>> {
        Ok(self
            .state()
            .space(namespace.id())?
            .links
            .get(&index)
            .map(|_| LinkStatistics::default()))
    }

    fn sysctl(&self, namespace: &Namespace, index: Ifindex, key: &SysctlKey) -> Result<Option<String>> {
        let state = self.state();
        let space = state.space(namespace.id())?;
        let refused = |errno| KernelError::Refused {
            operation: "read sysctl",
            object: format!("{} of link {index}", key.key),
            errno,
        };
        space.link(index).map_err(refused)?;
        Ok(space.sysctl(index, key))
    }

    fn lookup_route(&self, namespace: &Namespace, destination: IpAddr) -> Result<Option<RouteLookup>> {
        Ok(self.state().space(namespace.id())?.way_to(destination))
    }

    fn dump(&self, namespace: &Namespace) -> Result<Dump> {
        Ok(self.state().space(namespace.id())?.dump())
    }

    fn supports(&self, kind: &str) -> Result<bool> {
        Ok(KINDS.contains(&kind))
    }

    fn forget(&self, _namespace: &Namespace) {}
}

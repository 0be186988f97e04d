//! A realm at work: its state behind a lock, the kernel's side of it, and what is open in it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jackfield_driver::{PortBook, PortReservation};
use jackfield_kernel::{Namespace, NamespaceId, Realm};
use jackfield_model::{EndpointId, NetworkId, OperationId, Result, SandboxId};

use super::{
    switched::{Localnet, Uplinks},
    unwind::Unwind,
};
use crate::{
    request::{EndpointInfo, NetworkInfo, SandboxInfo},
    state::{Denied, Endpoint, Kind, Network, RealmState, Sandbox},
    store::RealmKey,
};

/// How long a request waits for its turn on a busy object. A driver's call has a deadline of its own, seconds by default, and a few of them
/// may stand in line.
const PATIENCE: Duration = Duration::from_secs(30);

/// A realm at work.
#[derive(Debug)]
pub struct Place {
    /// Whose it is.
    pub key: RealmKey,
    /// The kernel's side.
    pub realm: Arc<Realm>,
    /// Its host ports.
    pub ports: Arc<PortBook>,
    /// The machine's own links that forward because of us.
    pub uplinks: Mutex<Uplinks>,
    /// Links on which 127.0.0.1 leads somewhere.
    pub localnet: Mutex<Localnet>,
    state: Mutex<RealmState>,
    changed: Condvar,
    /// State and store change in the same order where addresses are reserved and released.
    reserving: Mutex<()>,
    /// A service's endpoints and what the kernel spreads over change in the same order.
    serving: Mutex<()>,
    /// Host ports, by the operation that publishes them.
    held: Mutex<HashMap<OperationId, Vec<PortReservation>>>,
    /// When a request came for it.
    used: Mutex<Instant>,
    /// Namespaces that are open: of sandboxes that the host made, and of one adopted by a descriptor until its first join.
    open: Mutex<BTreeMap<SandboxId, Namespace>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The state machine's changes are made of steps that do not panic; a poisoned lock only says that a caller's thread died.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// With the state that recovery found.
    pub fn new(key: RealmKey, realm: Arc<Realm>, state: RealmState) -> Self {
        Self {
            key,
            realm,
            ports: Arc::default(),
            localnet: Mutex::default(),
            uplinks: Mutex::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            reserving: Mutex::default(),
            serving: Mutex::default(),
            held: Mutex::default(),
            used: Mutex::new(Instant::now()),
            open: Mutex::default(),
        }
    }

    /// A request came for it.
    pub fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    /// Nothing is in it but networks, and no request came for that long.
    pub fn is_idle(&self, rest: Duration) -> bool {
        lock(&self.used).elapsed() >= rest && self.look(RealmState::is_idle)
    }

    /// The realm's namespace.
    pub fn id(&self) -> NamespaceId {
        self.realm.id()
    }

    /// Asks the state machine, and again whenever something changed, as long as it answers that the object is busy.
    pub fn decide<T>(&self, mut ask: impl FnMut(&mut RealmState) -> Result<T, Denied>) -> Result<T> {
        let (start, mut state) = (Instant::now(), lock(&self.state));
        loop {
            let answer = ask(&mut state);
            let left = PATIENCE.saturating_sub(start.elapsed());
            match answer {
                Err(Denied::Busy { .. }) if !left.is_zero() => {
                    let (next, _) = self
                        .changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = next;
                }
                other => return other.map_err(Into::into),
            }
        }
    }

    /// Changes the state, and wakes whoever waits for his turn.
    pub fn change<T>(&self, change: impl FnOnce(&mut RealmState) -> T) -> T {
        let result = change(&mut lock(&self.state));
        self.changed.notify_all();
        result
    }

    /// Looks at the state.
    pub fn look<T>(&self, look: impl FnOnce(&RealmState) -> T) -> T {
        look(&lock(&self.state))
    }

    /// Held while an address is reserved or released. It comes before the state's own lock.
    pub fn turn_to_reserve(&self) -> MutexGuard<'_, ()> {
        lock(&self.reserving)
    }

    /// Held while a service follows its endpoints: over no driver's call.
    pub fn turn_to_serve(&self) -> MutexGuard<'_, ()> {
        lock(&self.serving)
    }

    /// Makes that change when it is dropped.
    pub fn unwind<'a>(&'a self, undo: impl FnOnce(&mut RealmState) + 'a) -> Unwind<impl FnOnce() + 'a> {
        Unwind::new(move || self.change(undo))
    }

    /// A copy of what is known of a network.
    pub fn network(&self, id: &NetworkId) -> Result<Network> {
        let unknown = || Denied::Unknown {
            kind: Kind::Network,
            reference: id.to_string(),
        };
        Ok(self.look(|s| s.networks.get(id).cloned()).ok_or_else(unknown)?)
    }

    /// A copy of what is known of an endpoint.
    pub fn endpoint(&self, id: &EndpointId) -> Result<Endpoint> {
        let unknown = || Denied::Unknown {
            kind: Kind::Endpoint,
            reference: id.to_string(),
        };
        Ok(self.look(|s| s.endpoints.get(id).cloned()).ok_or_else(unknown)?)
    }

    /// Something of what is known of a sandbox.
    pub fn of_sandbox<T>(&self, id: &SandboxId, what: impl FnOnce(&Sandbox) -> T) -> Result<T> {
        let unknown = || Denied::Unknown {
            kind: Kind::Sandbox,
            reference: id.to_string(),
        };
        Ok(self.look(|s| s.sandboxes.get(id).map(what)).ok_or_else(unknown)?)
    }

    /// For people and programs.
    pub fn network_info(&self, reference: &str) -> Result<NetworkInfo> {
        self.tell_network(reference, RealmState::network_in_full)
    }

    /// For who does not ask what its pools gave out.
    pub fn network_without_leases(&self, reference: &str) -> Result<NetworkInfo> {
        self.tell_network(reference, RealmState::network_info)
    }

    fn tell_network(&self, reference: &str, tell: fn(&RealmState, &Network) -> NetworkInfo) -> Result<NetworkInfo> {
        let info = |s: &RealmState| {
            let id = s.find_network(reference)?;
            let network = s.networks.get(&id);
            network.map(|n| tell(s, n)).ok_or_else(|| Denied::Unknown {
                kind: Kind::Network,
                reference: reference.to_owned(),
            })
        };
        Ok(self.look(info)?)
    }

    /// For people and programs.
    pub fn endpoint_info(&self, reference: &str) -> Result<EndpointInfo> {
        let info = |s: &RealmState| {
            let id = s.find_endpoint(reference)?;
            let endpoint = s.endpoints.get(&id);
            endpoint.map(Endpoint::info).ok_or_else(|| Denied::Unknown {
                kind: Kind::Endpoint,
                reference: reference.to_owned(),
            })
        };
        Ok(self.look(info)?)
    }

    /// For people and programs.
    pub fn sandbox_info(&self, reference: &str) -> Result<SandboxInfo> {
        let info = |s: &RealmState| {
            let id = s.find_sandbox(reference)?;
            let sandbox = s.sandboxes.get(&id);
            sandbox.map(|b| s.sandbox_info(b)).ok_or_else(|| Denied::Unknown {
                kind: Kind::Sandbox,
                reference: reference.to_owned(),
            })
        };
        Ok(self.look(info)?)
    }

    /// Keeps host ports for as long as the operation stands.
    pub fn hold_ports(&self, operation: &OperationId, ports: Vec<PortReservation>) {
        if !ports.is_empty() {
            lock(&self.held).insert(operation.clone(), ports);
        }
    }

    /// The operation is taken back: its host ports are free.
    pub fn free_ports(&self, operation: &OperationId) {
        lock(&self.held).remove(operation);
    }

    /// The namespace that is kept open for a sandbox.
    pub fn kept(&self, sandbox: &SandboxId) -> Option<Namespace> {
        lock(&self.open).get(sandbox).cloned()
    }

    /// Keeps a sandbox's namespace open.
    pub fn keep(&self, sandbox: &SandboxId, namespace: Namespace) {
        lock(&self.open).insert(sandbox.clone(), namespace);
    }

    /// Lets it go.
    pub fn let_go(&self, sandbox: &SandboxId) -> Option<Namespace> {
        lock(&self.open).remove(sandbox)
    }
}

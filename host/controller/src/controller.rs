//! The controller: it asks the state machine what may happen, lets drivers and kernel do it, and remembers what came of it.
//!
//! Every operation goes the same way, and holds no lock while anybody else is at work:
//!
//! ```text
//!   lock, decide, unlock        crate::state: go | already so | denied; busy objects are waited for
//!     -> the driver's calls     drive: a plan, keys read and written; a panic is an error
//!     -> reserve the keys       crate::store::Keys: a conflict discards all this and calls the driver again
//!     -> Realm::apply           journalled first; a refusal undoes the plan, and the driver gets the opposite call
//!     -> commit                 a network: durable store, then journal. An endpoint: journal alone, with its record in the same write
//!     -> lock, finish, unlock, event
//! ```
//!
//! On every way out before *finish* an [`unwind::Unwind`] takes back what *decide* took: ids, names, addresses. On the way down nothing can be
//! refused by a driver: what it fails to hear goes to the [`outbox`].

mod connect;
mod disconnect;
mod drive;
mod endpoints;
mod events;
mod foreign;
mod gateway;
mod localnet;
mod names;
mod networks;
mod open;
mod outbox;
mod place;
mod pools;
mod publish;
mod reached;
mod realms;
mod recover;
mod replan;
mod republish;
mod reservations;
mod sandboxes;
mod services;
mod switched;
#[cfg(test)]
mod tests;
mod unwind;
mod uplinks;
mod way;

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jackfield_driver::{Drivers, LoadedDriver, Outcome, StateStore};
use jackfield_kernel::{Kernel, Namespace, NamespaceId, Realm, journal::Journal};
use jackfield_model::{
    EndpointId, Error, ErrorCode, IpNetwork, NetworkId, NetworkSpec, Options, Publish, Result, SandboxId,
};

use crate::{
    names::NameService,
    request::*,
    state::{RealmState, is_full_id},
    store::{Change, Durable, Keys, Layer, RealmKey},
};
use events::Events;
use open::Dormant;
use outbox::Outbox;
use place::Place;

/// Times that an operation is run again because another one changed a key that it saw.
const RERUNS: usize = 512;

/// The controller. Cheap to clone; every method blocks and may be called from many threads.
#[derive(Clone)]
pub struct Controller {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    kernel: Arc<dyn Kernel>,
    drivers: Arc<dyn Drivers>,
    config: Config,
    journal: Arc<Journal>,
    durable: Durable,
    keys: Arc<Keys>,
    events: Events,
    /// None: sandboxes have no names.
    names: Option<Arc<dyn NameService>>,
    outbox: Outbox,
    boot: String,
    own: Arc<Place>,
    realms: RwLock<BTreeMap<NamespaceId, Arc<Place>>>,
    dormant: Mutex<Dormant>,
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// The realm that a request is for.
    fn place(&self, realm: RealmRef) -> Result<Arc<Place>> {
        let id = match realm {
            RealmRef::Own => return Ok(self.own.clone()),
            RealmRef::Caller(id) => id,
        };
        let unknown = || Error::not_found(format!("{id} is no realm: open it first"));
        let realms = self.realms.read().unwrap_or_else(PoisonError::into_inner);
        let place = realms.get(&id).cloned().ok_or_else(unknown)?;
        place.touch();
        Ok(place)
    }

    fn places(&self) -> Vec<Arc<Place>> {
        self.realms
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The current version of a driver.
    fn driver(&self, name: &str) -> Result<Arc<dyn LoadedDriver>> {
        let near = || {
            let names = self.drivers.names();
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = jackfield_model::nearest(name, &known)
                .map(|n| format!(", did you mean \"{n}\"?"))
                .unwrap_or_default();
            Error::not_found(format!(
                "there is no driver \"{}\"{hint} (loaded are {})",
                name.escape_default(),
                known.join(", ")
            ))
        };
        self.drivers.find(name).ok_or_else(near)
    }
}

/// Whether a request that takes something down meant something that is gone: a full id that nobody has. A name that nobody has is a slip.
fn gone<T>(reference: &str, result: Result<Done<T>>, nothing: T) -> Result<Done<T>> {
    match result {
        Err(e) if e.code == ErrorCode::NotFound && is_full_id(reference) => Ok(Done::AlreadySo(nothing)),
        other => other,
    }
}

/// Seconds since 1970; a clock before that counts as its beginning.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Every reference (`&str`) is a name, a full id or an unambiguous prefix of one.
///
/// Errors carry their code and one sentence; those of a driver or of the kernel name driver, object and step too. A request that fails has
/// changed nothing. A request that takes something down and names it by its full id is answered with [`Done::AlreadySo`] where it is gone.
#[allow(clippy::missing_errors_doc)] // The same for all of them: said above, once.
impl Controller {
    /// Opens the stores, takes the lock on them, recovers, and starts the thread that empties the outbox.
    pub fn open(
        config: Config,
        kernel: Arc<dyn Kernel>,
        own: Namespace,
        drivers: Arc<dyn Drivers>,
        events: EventSink,
    ) -> Result<Self> {
        Self::open_with_names(config, kernel, own, drivers, events, None)
    }

    /// The same with a name service, which is told of what is there already.
    pub fn open_with_names(
        config: Config,
        kernel: Arc<dyn Kernel>,
        own: Namespace,
        drivers: Arc<dyn Drivers>,
        events: EventSink,
        names: Option<Arc<dyn NameService>>,
    ) -> Result<Self> {
        Inner::open(config, kernel, own, drivers, events, names).map(|inner| Self { inner })
    }

    /// Makes a caller's namespace a realm, and recovers what an earlier host left in it.
    pub fn open_realm(&self, namespace: Namespace) -> Result<RealmRef> {
        self.inner.open_realm(namespace)
    }

    /// Lets a caller's namespace go. What is known of its networks waits until it is opened again.
    ///
    /// Refused with in-use while somebody is in it, or somebody uses it.
    pub fn close_realm(&self, realm: RealmRef) -> Result<Done<()>> {
        self.inner.close_realm(realm)
    }

    /// Closes the callers' realms with nobody in them for which no request came for that long; answers with how many.
    pub fn close_idle_realms(&self, rest: Duration) -> usize {
        self.inner.close_idle_realms(rest)
    }

    /// Forgets the callers' realms whose namespace is gone, with all that is known of them; answers with how many.
    pub fn forget_dead_realms(&self) -> Result<usize> {
        self.inner.forget_dead_realms()
    }

    /// The realms that are open, the daemon's own among them.
    pub fn realms(&self) -> Vec<(RealmRef, Namespace)> {
        let reference = |place: &Arc<Place>| match place.key {
            RealmKey::Own => RealmRef::Own,
            RealmKey::Caller(id) => RealmRef::Caller(id),
        };
        let places = self.inner.places();
        let with_namespace = places
            .iter()
            .map(|place| (reference(place), place.realm.namespace().clone()));
        with_namespace.collect()
    }

    /// Makes a network.
    pub fn create_network(&self, realm: RealmRef, request: CreateNetwork) -> Result<Done<NetworkInfo>> {
        self.inner.create_network(&*self.inner.place(realm)?, &request)
    }

    /// Deletes a network. Denied while it has endpoints.
    pub fn delete_network(&self, realm: RealmRef, network: &str) -> Result<Done<()>> {
        gone(
            network,
            self.inner.delete_network(&*self.inner.place(realm)?, network),
            (),
        )
    }

    /// All networks, by id.
    pub fn networks(&self, realm: RealmRef) -> Result<Vec<NetworkInfo>> {
        Ok(self
            .inner
            .place(realm)?
            .look(|s| s.networks.values().map(|n| s.network_info(n)).collect()))
    }

    /// One network.
    pub fn network(&self, realm: RealmRef, network: &str) -> Result<NetworkInfo> {
        self.inner.place(realm)?.network_info(network)
    }

    /// The same without what its pools gave out, which is as long as the network is large.
    pub fn network_without_leases(&self, realm: RealmRef, network: &str) -> Result<NetworkInfo> {
        self.inner.place(realm)?.network_without_leases(network)
    }

    /// A network's driver, and the network as that sees it; None: there is none of that id.
    pub fn network_in_brief(&self, realm: RealmRef, id: &NetworkId) -> Result<Option<(String, Arc<NetworkSpec>)>> {
        let brief = |s: &RealmState| {
            let record = &s.networks.get(id)?.record;
            Some((record.driver.clone(), record.spec.clone()))
        };
        Ok(self.inner.place(realm)?.look(brief))
    }

    /// Keeps an address of a network no longer for the name that it was reserved for; who has it keeps having it.
    pub fn release_address(&self, realm: RealmRef, network: &str, address: IpAddr) -> Result<Done<()>> {
        gone(
            network,
            self.inner.release_address(&*self.inner.place(realm)?, network, address),
            (),
        )
    }

    /// Deletes the networks that have no endpoints and no reserved addresses; answers with their names.
    pub fn prune_networks(&self, realm: RealmRef) -> Result<Vec<String>> {
        self.inner.prune_networks(&*self.inner.place(realm)?)
    }

    /// Whether any network waits for something, or ports to be published again.
    pub fn has_waiting(&self) -> bool {
        self.inner
            .places()
            .iter()
            .any(|place| place.look(|s| s.has_waiting() || !s.with_ports_cut_off().is_empty()))
    }

    /// Which of the machine's own links may be made to forward.
    pub fn forwarding(&self) -> &Forwarding {
        &self.inner.config.forwarding
    }

    /// Makes the links forward that have to, as default routes are now.
    pub fn settle_uplinks(&self) {
        self.inner.settle_all_uplinks();
    }

    /// Applies the plans of networks that wait for something, where that has come, and publishes again what gave way and was not followed.
    pub fn retry_waiting(&self) {
        self.inner.retry_waiting();
    }

    /// Makes an endpoint: its addresses and MAC are fixed, nothing is in the kernel yet.
    pub fn create_endpoint(
        &self,
        realm: RealmRef,
        network: &str,
        request: CreateEndpoint,
    ) -> Result<Done<EndpointInfo>> {
        self.inner
            .create_endpoint(&*self.inner.place(realm)?, network, &request)
    }

    /// Deletes an endpoint that is in no sandbox.
    pub fn delete_endpoint(&self, realm: RealmRef, endpoint: &str) -> Result<Done<()>> {
        gone(
            endpoint,
            self.inner.delete_endpoint(&*self.inner.place(realm)?, endpoint),
            (),
        )
    }

    /// All endpoints, by id.
    pub fn endpoints(&self, realm: RealmRef) -> Result<Vec<EndpointInfo>> {
        Ok(self
            .inner
            .place(realm)?
            .look(|s| s.endpoints.values().map(|e| e.info()).collect()))
    }

    /// One endpoint.
    pub fn endpoint(&self, realm: RealmRef, endpoint: &str) -> Result<EndpointInfo> {
        self.inner.place(realm)?.endpoint_info(endpoint)
    }

    /// Brings an endpoint into a sandbox.
    pub fn join(&self, realm: RealmRef, endpoint: &str, sandbox: &str, request: Join) -> Result<Done<EndpointInfo>> {
        self.inner.join(&*self.inner.place(realm)?, endpoint, sandbox, &request)
    }

    /// Takes an endpoint out of its sandbox.
    pub fn leave(&self, realm: RealmRef, endpoint: &str) -> Result<Done<()>> {
        gone(endpoint, self.inner.leave(&*self.inner.place(realm)?, endpoint), ())
    }

    /// create-endpoint and join in one, on one driver instance; a failure leaves no endpoint.
    pub fn connect(
        &self,
        realm: RealmRef,
        network: &str,
        sandbox: &str,
        endpoint: CreateEndpoint,
        join: Join,
    ) -> Result<Done<EndpointInfo>> {
        self.inner
            .connect(&*self.inner.place(realm)?, network, sandbox, &endpoint, &join)
    }

    /// Gives an endpoint in a sandbox these published ports and no others: all of them, or it keeps those that it has.
    pub fn set_ports(&self, realm: RealmRef, endpoint: &str, publish: &[Publish]) -> Result<Done<EndpointInfo>> {
        self.inner.set_ports(&*self.inner.place(realm)?, endpoint, publish)
    }

    /// leave and delete-endpoint in one.
    pub fn disconnect(&self, realm: RealmRef, network: &str, sandbox: &str) -> Result<Done<()>> {
        self.inner.disconnect(&*self.inner.place(realm)?, network, sandbox)
    }

    /// Makes, adopts or registers a sandbox.
    pub fn create_sandbox(&self, realm: RealmRef, request: CreateSandbox) -> Result<Done<SandboxInfo>> {
        self.inner.create_sandbox(&*self.inner.place(realm)?, request)
    }

    /// Deletes a sandbox. Its endpoints leave and are deleted.
    pub fn delete_sandbox(&self, realm: RealmRef, sandbox: &str) -> Result<Done<()>> {
        gone(
            sandbox,
            self.inner.delete_sandbox(&*self.inner.place(realm)?, sandbox),
            (),
        )
    }

    /// All sandboxes, by id.
    pub fn sandboxes(&self, realm: RealmRef) -> Result<Vec<SandboxInfo>> {
        Ok(self
            .inner
            .place(realm)?
            .look(|s| s.sandboxes.values().map(|b| s.sandbox_info(b)).collect()))
    }

    /// One sandbox.
    pub fn sandbox(&self, realm: RealmRef, sandbox: &str) -> Result<SandboxInfo> {
        self.inner.place(realm)?.sandbox_info(sandbox)
    }

    /// Deletes the sandboxes whose namespace is gone, with their endpoints; answers with their names.
    pub fn collect_gone(&self, realm: RealmRef) -> Result<Vec<String>> {
        Ok(self.inner.collect_gone(&*self.inner.place(realm)?))
    }

    /// Does that while a sandbox that is known by a descriptor alone is reached by this one: what leaves it meanwhile has left it when this
    /// returns, and not when its other end is deleted, somewhat later. A descriptor of another namespace is no help, and no hindrance.
    pub fn while_shown<T>(&self, realm: RealmRef, sandbox: &SandboxId, fd: &OwnedFd, act: impl FnOnce() -> T) -> T {
        let Ok(place) = self.inner.place(realm) else {
            return act();
        };
        let shown = self.inner.lend(&place, sandbox, fd);
        let done = act();
        if shown {
            self.inner.let_go(&place, sandbox);
        }
        done
    }

    /// Whether a driver of that name is loaded.
    pub fn has_driver(&self, name: &str) -> bool {
        self.inner.drivers.find(name).is_some()
    }

    /// Deletes a sandbox unless somebody is in it, or on the way in: that is *already so*.
    pub fn delete_empty_sandbox(&self, realm: RealmRef, sandbox: &SandboxId) -> Result<Done<()>> {
        self.inner.delete_empty_sandbox(&*self.inner.place(realm)?, sandbox)
    }

    /// Deletes the endpoints that a runtime took along with a foreign sandbox and never told of, as far as that can be seen; answers which.
    pub fn collect_foreign(&self, realm: RealmRef) -> Result<Vec<EndpointId>> {
        Ok(self.inner.collect_foreign(&*self.inner.place(realm)?))
    }

    /// Gives a runtime a pool for networks that it makes itself (`ipam` of [`CreateNetwork`] is `runtime`). It is on disk then, and stays until
    /// it is returned. The same one is given again only as [`Self::replay_pools`] says.
    pub fn lease_pool(&self, realm: RealmRef, request: &LeasePool) -> Result<Done<IpNetwork>> {
        self.inner.lease_pool(&*self.inner.place(realm)?, request)
    }

    /// Takes a leased pool back, with all addresses that were given out of it.
    pub fn return_pool(&self, realm: RealmRef, pool: IpNetwork) -> Result<Done<()>> {
        self.inner.return_pool(&*self.inner.place(realm)?, pool)
    }

    /// Gives out an address of a leased pool: that one, or the next. It is kept until it is returned or the machine starts again.
    pub fn lease_address(&self, realm: RealmRef, pool: IpNetwork, asked: Option<IpAddr>) -> Result<Done<IpNetwork>> {
        self.inner.lease_address(&*self.inner.place(realm)?, pool, asked)
    }

    /// Takes an address of a leased pool back.
    pub fn return_address(&self, realm: RealmRef, address: IpAddr) -> Result<Done<()>> {
        self.inner.return_address(&*self.inner.place(realm)?, address)
    }

    /// This runtime started again: each pool and address that it has is given to it once more when it asks for that very one.
    pub fn replay_pools(&self, realm: RealmRef, owner: &str) -> Result<()> {
        self.inner.place(realm)?.change(|s| s.ipam.replay_leases(owner));
        Ok(())
    }

    /// Names of the networks of that driver, in every realm: it cannot be unloaded while there are any.
    pub fn networks_of_driver(&self, driver: &str) -> Vec<String> {
        let of_driver = |place: &Arc<Place>| {
            place.look(|s| {
                s.networks
                    .values()
                    .filter(|n| n.record.driver == driver)
                    .map(|n| n.name())
                    .collect::<Vec<_>>()
            })
        };
        self.inner.places().iter().flat_map(of_driver).collect()
    }

    /// Emits an event on behalf of the daemon (driver loads).
    pub fn emit(&self, object: &str, action: &str, id: &str, name: Option<&str>, attributes: Options) {
        self.inner.events.say(object, action, id, name, attributes);
        self.inner.events.flush();
    }

    /// The store that drivers' keys live in, for `config` calls made at load.
    pub fn driver_state(&self) -> Arc<dyn StateStore> {
        self.inner.keys.clone()
    }

    /// Keeps what a `config` call wrote. None of it is kept when another operation changed a key that the call read: call again.
    pub fn commit_config(&self, driver: &str, outcome: Outcome) -> Result<()> {
        let inner = &self.inner;
        let changed = || {
            let message = format!("the state of driver {driver} was changed by another operation meanwhile: try again");
            Error::new(ErrorCode::Unavailable, message).retryable()
        };
        let reservation = inner
            .keys
            .reserve(driver, &outcome.reads, outcome.writes, Layer::Durable)
            .ok_or_else(changed)?;
        inner.durable.commit(&Change {
            network: None,
            keys: reservation.durable(),
        })?;
        inner.append_notes(reservation.notes())?;
        reservation.publish();
        Ok(())
    }

    /// Waits until nothing is left to reap in any realm; false when that takes longer than half a minute.
    pub fn quiesce(&self) -> bool {
        self.inner.places().iter().all(|place| place.realm.quiesce())
    }

    /// The realm that the daemon itself is in.
    pub fn own_realm(&self) -> Arc<Realm> {
        self.inner.own.realm.clone()
    }
}

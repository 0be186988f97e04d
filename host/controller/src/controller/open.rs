//! Opening: stores first, then the daemon's own realm, then what was cut off in it.

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jackfield_driver::Drivers;
use jackfield_kernel::{FirewallNews, Kernel, Mark, Namespace, NamespaceId, Realm, journal::Journal, nft::Blocked};
use jackfield_model::{Error, ErrorCode, IpNetwork, NetworkId, Options, Result};

use super::{Inner, events::Events, outbox::Outbox, place::Place};
use crate::{
    ipam::{Ipam, LeasedPlan},
    names::NameService,
    request::{Config, EventSink, RealmRef},
    state::{Denied, EndpointRecord, NetworkRecord, RealmState, Reservation, SandboxRecord, ServiceRecord},
    store::{Change, Durable, Keys, Loaded, RealmKey, notes},
};

/// What the stores have of realms that are not open yet.
#[derive(Debug, Default)]
pub struct Dormant {
    networks: Vec<(String, NetworkRecord)>,
    reservations: Vec<(String, (NetworkId, Reservation))>,
    endpoints: Vec<(NamespaceId, EndpointRecord)>,
    sandboxes: Vec<(NamespaceId, SandboxRecord)>,
    services: Vec<(NamespaceId, ServiceRecord)>,
    /// Realms of which the kernel says when they are gone.
    marked: BTreeMap<NamespaceId, Mark>,
    leased: Vec<(String, LeasedPlan)>,
    leases: Vec<(NamespaceId, IpAddr)>,
}

/// What they have of one realm.
#[derive(Debug, Default)]
pub struct Remains {
    pub networks: Vec<NetworkRecord>,
    pub reservations: Vec<(NetworkId, Reservation)>,
    pub endpoints: Vec<EndpointRecord>,
    pub sandboxes: Vec<SandboxRecord>,
    pub services: Vec<ServiceRecord>,
    pub leased: Vec<LeasedPlan>,
    pub leases: Vec<IpAddr>,
}

impl Dormant {
    fn take(&mut self, key: RealmKey, realm: NamespaceId) -> Remains {
        let text = key.text();
        Remains {
            networks: take(&mut self.networks, |k| *k == text),
            reservations: take(&mut self.reservations, |k| *k == text),
            endpoints: take(&mut self.endpoints, |k| *k == realm),
            sandboxes: take(&mut self.sandboxes, |k| *k == realm),
            services: take(&mut self.services, |k| *k == realm),
            leased: take(&mut self.leased, |k| *k == text),
            leases: take(&mut self.leases, |k| *k == realm),
        }
    }

    /// What a realm had that is closed, as the durable store has it: nobody was in it.
    pub fn put_back(&mut self, key: RealmKey, loaded: Loaded) {
        let text = key.text();
        self.networks
            .extend(loaded.networks.into_iter().filter(|(k, _)| *k == text));
        self.reservations
            .extend(loaded.reservations.into_iter().filter(|(k, _)| *k == text));
    }

    /// The marked realms, open ones too.
    pub fn marked(&self) -> Vec<(NamespaceId, Mark)> {
        self.marked.iter().map(|(realm, mark)| (*realm, *mark)).collect()
    }

    /// It is marked so from now on; false when it was so before.
    pub fn set_marked(&mut self, realm: NamespaceId, mark: Mark) -> bool {
        self.marked.insert(realm, mark) != Some(mark)
    }

    /// All that is known of a realm that is gone.
    pub fn forget(&mut self, realm: NamespaceId) -> Remains {
        self.marked.remove(&realm);
        self.take(RealmKey::Caller(realm), realm)
    }

    /// Whether a sandbox of that id belongs to a realm that is not open yet.
    pub fn has_sandbox(&self, id: &str) -> bool {
        self.sandboxes.iter().any(|(_, s)| s.id.as_str() == id)
    }
}

fn take<K, T>(from: &mut Vec<(K, T)>, wanted: impl Fn(&K) -> bool) -> Vec<T> {
    let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(from).into_iter().partition(|(key, _)| wanted(key));
    *from = left;
    taken.into_iter().map(|(_, value)| value).collect()
}

fn boot_id() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(PATH)
        .map_err(|e| Error::new(ErrorCode::Unavailable, format!("cannot read {PATH}: {e}")).caused_by(e))?;
    Ok(text.trim().to_owned())
}

fn make_dir(path: &Path) -> Result<()> {
    let refused = |e: std::io::Error| {
        Error::new(ErrorCode::Unavailable, format!("cannot make {}: {e}", path.display())).caused_by(e)
    };
    fs::create_dir_all(path).map_err(refused)
}

/// The configured pools; where none is IPv6, this host's own /48 of unique local addresses (RFC 4193), a /64 for each network.
fn default_pools(config: &Config, durable: &Durable) -> Result<Vec<(IpNetwork, u8)>> {
    let mut pools = config.default_pools.clone();
    if pools.iter().all(|(pool, _)| pool.is_ipv4()) {
        let [a, b, c, d, e] = durable.ula()?;
        let prefix = std::net::Ipv6Addr::from([0xfd, a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let ula =
            IpNetwork::new(prefix.into(), 48).map_err(|e| Error::internal("48 is no prefix length").caused_by(e))?;
        pools.push((ula, 64));
    }
    Ok(pools)
}

impl Inner {
    pub(super) fn open(
        mut config: Config,
        kernel: Arc<dyn Kernel>,
        own: Namespace,
        drivers: Arc<dyn Drivers>,
        events: EventSink,
        names: Option<Arc<dyn NameService>>,
    ) -> Result<Arc<Self>> {
        make_dir(&config.run_dir)?;
        make_dir(&config.run_dir.join("netns"))?;
        let durable = Durable::open(&config.state_dir)?;
        let (journal, replayed) = Journal::open(&config.run_dir)?;
        let journal = Arc::new(journal);
        let remembered = notes::read(replayed.notes);
        for key in &remembered.unknown {
            tracing::warn!(key, "a note of the journal cannot be understood and is left alone");
        }
        let loaded = durable.load()?;
        config.default_pools = default_pools(&config, &durable)?;
        let realm = Realm::open(kernel.clone(), own, journal.clone())?;
        let state = RealmState::new(Ipam::new(config.default_pools.clone()));
        let dormant = Dormant {
            networks: loaded.networks,
            reservations: loaded.reservations,
            endpoints: remembered.endpoints,
            sandboxes: remembered.sandboxes,
            services: remembered.services,
            marked: remembered.marked,
            leased: loaded.leased,
            leases: remembered.leases,
        };
        let inner = Arc::new(Self {
            kernel,
            drivers,
            config,
            journal,
            durable,
            keys: Arc::new(Keys::new(loaded.keys, remembered.keys)),
            events: Events::new(events),
            names,
            outbox: Outbox::default(),
            boot: boot_id()?,
            own: Arc::new(Place::new(RealmKey::Own, realm, state)),
            realms: RwLock::default(),
            dormant: Mutex::new(dormant),
        });
        inner.forget_earlier_boots()?;
        inner.admit(&inner.own.clone())?;
        inner.unpin_strays();
        let starting = |e| Error::new(ErrorCode::Exhausted, "cannot start the outbox's thread").caused_by(e);
        inner.outbox.start(Arc::downgrade(&inner)).map_err(starting)?;
        inner.post(remembered.letters);
        Ok(inner)
    }

    pub(super) fn open_realm(self: &Arc<Self>, namespace: Namespace) -> Result<RealmRef> {
        let id = namespace.id();
        if id == self.own.id() {
            return Ok(RealmRef::Own);
        }
        // Held while the realm is recovered, so that nobody uses it half-way, and nobody opens it twice.
        let mut dormant = self.dormant.lock().unwrap_or_else(PoisonError::into_inner);
        if self.place(RealmRef::Caller(id)).is_ok() {
            return Ok(RealmRef::Caller(id));
        }
        if self.places().iter().any(|p| p.look(|s| s.sandbox_of(id).is_some())) {
            return Err(Denied::SandboxAsRealm(id).into());
        }
        self.mark_realm(&mut dormant, &namespace)?;
        let realm = Realm::open(self.kernel.clone(), namespace, self.journal.clone())?;
        let state = RealmState::new(Ipam::new(self.config.default_pools.clone()));
        let place = Arc::new(Place::new(RealmKey::Caller(id), realm, state));
        let remains = dormant.take(place.key, id);
        self.recover(&place, remains)?;
        self.watch_firewall(&place);
        self.realms
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, place);
        drop(dormant);
        self.events.flush();
        Ok(RealmRef::Caller(id))
    }

    /// Recovers the daemon's own realm, and from then on it is one of the realms.
    fn admit(self: &Arc<Self>, place: &Arc<Place>) -> Result<()> {
        let remains = self
            .dormant
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(place.key, place.id());
        self.recover(place, remains)?;
        self.watch_firewall(place);
        self.realms
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(place.id(), place.clone());
        self.events.flush();
        Ok(())
    }

    /// Has the realm's firewall kept as it should be, and says in events when it had to be mended, and who is in its way.
    fn watch_firewall(self: &Arc<Self>, place: &Place) {
        let (inner, realm) = (Arc::downgrade(self), place.id().to_string());
        let tell = move |news: &FirewallNews| {
            let Some(inner) = inner.upgrade() else { return };
            let (action, attributes) = firewall_event(news);
            inner.events.say("firewall", action, &realm, None, attributes);
            inner.events.flush();
        };
        if let Err(error) = place.realm.watch_firewall(Box::new(tell)) {
            tracing::warn!(realm = %place.id(), %error, "the firewall is not watched: what others flush stays flushed until the host is restarted");
        }
    }

    /// A caller's realm does not outlive the boot, and its networks go with it.
    fn forget_earlier_boots(&self) -> Result<()> {
        let mut dormant = self.dormant.lock().unwrap_or_else(PoisonError::into_inner);
        let (stale, live): (Vec<_>, Vec<_>) = std::mem::take(&mut dormant.networks)
            .into_iter()
            .partition(|(_, n)| n.boot.as_ref().is_some_and(|b| *b != self.boot));
        dormant.networks = live;
        for (realm, record) in stale {
            self.durable.commit(&Change {
                network: Some((RealmKey::parse(&realm)?, &record.spec.id, None)),
                keys: None,
            })?;
        }
        Ok(())
    }

    /// Takes away the pins of namespaces that no sandbox has: a host died between making one and noting it.
    fn unpin_strays(&self) {
        let dormant = self.dormant.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            |id: &str| dormant.has_sandbox(id) || self.places().iter().any(|p| p.look(|s| s.find_sandbox(id).is_ok()));
        let Ok(entries) = fs::read_dir(self.pins()) else { return };
        let strays = entries.flatten().filter(|e| !e.file_name().to_str().is_some_and(known));
        for stray in strays {
            if let Err(error) = self.kernel.unpin(&stray.path()) {
                tracing::warn!(path = %stray.path().display(), %error, "a stray namespace stays pinned");
            }
        }
    }
}

/// What an event says of it; a log has what an operator should do as well.
fn firewall_event(news: &FirewallNews) -> (&'static str, Options) {
    let options = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    match news {
        FirewallNews::Mended(mended) => {
            let beside = mended.beside.join(", ");
            let table = mended.table.iter().map(|missing| ("missing", missing.as_str()));
            let beside = Some(("beside", beside.as_str())).filter(|(_, chains)| !chains.is_empty());
            ("heal", options(&table.chain(beside).collect::<Vec<_>>()))
        }
        FirewallNews::Blocked(Blocked { by, reason, fix }) => {
            tracing::warn!(by, reason, fix, "another firewall may drop what the host lets pass");
            ("blocked", options(&[("by", by), ("reason", reason), ("fix", fix)]))
        }
        FirewallNews::Freed(Blocked { by, .. }) => ("freed", options(&[("by", by)])),
    }
}

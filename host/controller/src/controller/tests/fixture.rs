//! A controller over the simulated kernel, with the built-in drivers and one that does as it is told.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield_driver::{Driver, Drivers, Features, Identity, LinkId, LoadedDriver, Operation, grants::Grants};
use jackfield_kernel::{Dump, Kernel, Namespace, NamespaceSource, Simulated, faulty::Faulty};
use jackfield_model::{
    Capabilities, EndpointId, EndpointReply, EndpointSpec, Error, ErrorCode, JoinReply, JoinSpec, NetworkId,
    NetworkSpec, Options, PortMapping, Result,
};

use super::names::Names;
use crate::{Controller, builtin::BuiltIns, names::NameService, request::*};

/// What the scripted driver is told to do, and what it was called for.
#[derive(Debug, Default)]
pub struct Script {
    pub calls: Mutex<Vec<&'static str>>,
    pub panic_in: Mutex<Option<&'static str>>,
    pub fail_in: Mutex<Option<&'static str>>,
    pub absent: AtomicBool,
    /// It programs published ports itself.
    pub programs: AtomicBool,
    /// Endpoints that were counted in the key-value store, by the value that each saw.
    pub seen: Mutex<Vec<u64>>,
    pub joins: AtomicU64,
}

impl Script {
    fn called(&self, call: &'static str) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        assert!(*self.panic_in.lock().unwrap() != Some(call), "told to");
        if *self.fail_in.lock().unwrap() == Some(call) {
            Err(Error::invalid("told to fail"))
        } else {
            Ok(())
        }
    }

    pub fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

/// Like `bridge`, but its veth is recorded in create-endpoint, and it counts its endpoints in one key.
pub struct Scripted<'a>(&'a Script);

impl Driver for Scripted<'_> {
    fn create_network(&mut self, op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        self.0.called("create-network")?;
        op.state_set(&format!("network/{}", spec.id), b"here")?;
        let bridge = op.create_bridge("b", None, &Options::new())?;
        op.set_up(bridge, true)
    }

    fn delete_network(&mut self, op: &mut Operation, network: &NetworkId) -> Result<()> {
        self.0.called("delete-network")?;
        op.state_delete(&format!("network/{network}"))
    }

    fn create_endpoint(
        &mut self,
        op: &mut Operation,
        _network: &NetworkSpec,
        _spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        self.0.called("create-endpoint")?;
        let count = op
            .state_get("count")?
            .map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap()));
        op.state_set("count", &(count + 1).to_le_bytes())?;
        let bridge = op.find_own("b")?;
        let (port, _) = op.create_veth("p", &Options::new())?;
        op.set_controller(port, Some(bridge))?;
        op.set_up(port, true)?;
        Ok(EndpointReply::default())
    }

    fn delete_endpoint(&mut self, _op: &mut Operation, _network: &NetworkId, _endpoint: &EndpointId) -> Result<()> {
        self.0.called("delete-endpoint")
    }

    fn join(&mut self, op: &mut Operation, _spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        self.0.called("join")?;
        let count = op
            .state_get("count")?
            .map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap()));
        self.0.seen.lock().unwrap().push(count);
        self.0.joins.fetch_add(1, Ordering::Relaxed);
        let peer = op.find_own("p-peer")?;
        Ok(JoinReply {
            interface: Some((peer, "net".into())),
            ..JoinReply::default()
        })
    }

    fn leave(&mut self, _op: &mut Operation, _network: &NetworkId, _endpoint: &EndpointId) -> Result<()> {
        self.0.called("leave")
    }

    fn program(
        &mut self,
        op: &mut Operation,
        _network: &NetworkId,
        _endpoint: &EndpointId,
        ports: &[PortMapping],
    ) -> Result<()> {
        self.0.called("program")?;
        op.find_own("p")?;
        ports.iter().try_for_each(|port| op.publish(port.clone()).map(drop))
    }

    fn revoke(&mut self, _op: &mut Operation, _network: &NetworkId, _endpoint: &EndpointId) -> Result<()> {
        self.0.called("revoke")
    }
}

#[derive(Debug)]
struct Loaded {
    identity: Identity,
    grants: Arc<Grants>,
    script: Arc<Script>,
}

impl LoadedDriver for Loaded {
    fn identity(&self) -> &Identity {
        &self.identity
    }
    fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    fn features(&self) -> Features {
        Features {
            external_connectivity: self.script.programs.load(Ordering::Relaxed),
            ..Features::default()
        }
    }
    fn instance(&self) -> Result<Box<dyn Driver + '_>> {
        Ok(Box::new(Scripted(&self.script)))
    }
}

#[derive(Debug)]
pub struct TestDrivers {
    built_in: BuiltIns,
    pub script: Arc<Script>,
}

impl Drivers for TestDrivers {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        if name != "scripted" {
            return self.built_in.find(name);
        }
        let identity = Identity {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
        };
        let loaded = Loaded {
            identity,
            grants: Arc::new(Grants::everything()),
            script: self.script.clone(),
        };
        (!self.script.absent.load(Ordering::Relaxed)).then(|| Arc::new(loaded) as Arc<dyn LoadedDriver>)
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.built_in.names();
        names.push("scripted".into());
        names
    }
}

/// A machine with a host on it.
pub struct Fixture {
    pub kernel: Arc<Simulated>,
    /// The kernel as the host sees it.
    pub faulty: Arc<Faulty>,
    pub own: Namespace,
    pub script: Arc<Script>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub dir: tempfile::TempDir,
    pub forwarding: Forwarding,
    pub names: Arc<Names>,
    controller: Option<Controller>,
}

pub const OWN: RealmRef = RealmRef::Own;

impl Fixture {
    pub fn new() -> Self {
        let kernel = Arc::new(Simulated::new());
        let own = kernel.open_namespace(&NamespaceSource::Own).unwrap();
        let mut fixture = Self {
            faulty: Arc::new(Faulty::new(kernel.clone())),
            kernel,
            own,
            script: Arc::default(),
            events: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
            forwarding: Forwarding::Off,
            names: Arc::default(),
            controller: None,
        };
        fixture.controller = Some(fixture.open().unwrap());
        fixture
    }

    pub fn config(&self) -> Config {
        Config {
            run_dir: self.dir.path().join("run"),
            state_dir: self.dir.path().join("state"),
            default_pools: vec![("10.20.0.0/16".parse().unwrap(), 24)],
            forwarding: self.forwarding.clone(),
        }
    }

    pub fn open(&self) -> Result<Controller> {
        let events = self.events.clone();
        let sink: EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
        let drivers = Arc::new(TestDrivers {
            built_in: BuiltIns::new(),
            script: self.script.clone(),
        });
        let names = Some(self.names.clone() as Arc<dyn NameService>);
        Controller::open_with_names(
            self.config(),
            self.faulty.clone(),
            self.own.clone(),
            drivers,
            sink,
            names,
        )
    }

    /// The host stops, between two operations or in one, and starts again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub fn stop(&mut self) {
        self.controller = None;
    }

    /// The machine reboots: its kernel is new, and what was on tmpfs is gone.
    pub fn reboot(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.dir.path().join("run")).unwrap();
        self.kernel = Arc::new(Simulated::new());
        self.own = self.kernel.open_namespace(&NamespaceSource::Own).unwrap();
    }

    pub fn start(&mut self) {
        self.faulty = Arc::new(Faulty::new(self.kernel.clone()));
        // The outbox's thread may hold the stopped host for a moment more.
        let deadline = Instant::now() + Duration::from_secs(10);
        self.controller = loop {
            match self.open() {
                Err(e) if e.code == ErrorCode::InUse && Instant::now() < deadline => std::thread::yield_now(),
                opened => break Some(opened.unwrap()),
            }
        };
    }

    pub fn controller(&self) -> &Controller {
        self.controller.as_ref().unwrap()
    }

    /// What the realm has, once the reaper is done.
    pub fn dump(&self) -> Dump {
        assert!(self.controller().own_realm().quiesce(), "the reaper is not done");
        self.kernel.dump(&self.own).unwrap()
    }

    pub fn network(&self, name: &str, driver: &str) -> NetworkInfo {
        self.controller()
            .create_network(OWN, network(name, driver))
            .unwrap()
            .into_inner()
    }

    pub fn sandbox(&self, name: &str) -> SandboxInfo {
        self.controller()
            .create_sandbox(OWN, sandbox(name))
            .unwrap()
            .into_inner()
    }

    pub fn connect(&self, network: &str, sandbox: &str) -> EndpointInfo {
        self.connect_with(network, sandbox, Join::default())
    }

    pub fn connect_with(&self, network: &str, sandbox: &str, join: Join) -> EndpointInfo {
        self.controller()
            .connect(OWN, network, sandbox, CreateEndpoint::default(), join)
            .unwrap()
            .into_inner()
    }

    /// What a sandbox that the host made has.
    pub fn inside(&self, sandbox: &SandboxInfo) -> Dump {
        let path: PathBuf = sandbox.path.clone().unwrap();
        let namespace = self.kernel.open_namespace(&NamespaceSource::Path(path)).unwrap();
        self.kernel.dump(&namespace).unwrap()
    }

    /// Gateways of the sandbox's default routes.
    pub fn default_routes(&self, sandbox: &SandboxInfo) -> Vec<String> {
        let routes = self.inside(sandbox).routes;
        routes
            .iter()
            .filter(|r| r.route.destination.prefix() == 0)
            .filter_map(|r| r.route.gateway)
            .map(|g| g.to_string())
            .collect()
    }

    /// Object and action of the events since the last call.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.events.lock().unwrap())
            .iter()
            .map(|e| format!("{} {}", e.object, e.action))
            .collect()
    }
}

pub fn network(name: &str, driver: &str) -> CreateNetwork {
    CreateNetwork {
        id: None,
        name: name.parse().unwrap(),
        driver: Some(driver.to_owned()),
        pools: Vec::new(),
        ipv6: false,
        ipv4: None,
        ipam: None,
        allow_overlap: false,
        internal: false,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        dns: Default::default(),
    }
}

pub fn sandbox(name: &str) -> CreateSandbox {
    CreateSandbox {
        id: None,
        name: Some(name.parse().unwrap()),
        kind: SandboxKind::Made,
        labels: BTreeMap::new(),
        dns: Default::default(),
    }
}

pub fn subnet(text: &str) -> PoolRequest {
    PoolRequest {
        subnet: Some(text.parse().unwrap()),
        ..PoolRequest::default()
    }
}

/// A join that publishes, in Docker's spelling.
pub fn publishing(ports: &[&str]) -> Join {
    Join {
        publish: ports.iter().map(|port| port.parse().unwrap()).collect(),
        ..Join::default()
    }
}

//! A host for the tests: a realm of the simulated kernel with an uplink, and a driver's store in memory.
// Each test file uses a part of it; a fixture that is wrong is to fail.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use jackfield_driver::{
    Context, Identity, Operation, Outcome, OwnLink, Phase, PortBook, SandboxInterface, StateStore, Versioned,
    grants::Grants,
};
use jackfield_kernel::{Dump, Ifindex, Kernel, Namespace, Plan, Realm, SandboxAt, Simulated, journal::Journal};
use jackfield_model::{
    EndpointId, EndpointSpec, ErrorCode, IpNetwork, NetworkId, NetworkSpec, OperationId, Options, Pool, PortMapping,
    Result, Transport,
};

/// The index of the host's own link.
pub const UPLINK: u32 = 2;

#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl StateStore for Memory {
    fn get(&self, _driver: &str, key: &str) -> Result<Versioned> {
        let value = self.0.lock().unwrap().get(key).cloned();
        Ok(Versioned {
            version: u64::from(value.is_some()),
            value,
        })
    }
    fn list(&self, _driver: &str, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        let keys = self.0.lock().unwrap().keys().cloned().collect::<Vec<_>>();
        let fits = |k: &String| k.starts_with(prefix) && after.is_none_or(|a| k.as_str() > a);
        Ok(keys.into_iter().filter(fits).take(limit as usize).collect())
    }
    fn size(&self, _driver: &str) -> Result<u64> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.len() + v.len()) as u64)
            .sum())
    }
}

pub struct Host {
    pub kernel: Arc<Simulated>,
    pub realm: Arc<Realm>,
    pub sandbox: Namespace,
    pub network: Arc<NetworkSpec>,
    pub endpoint: Arc<EndpointSpec>,
    pub ports: Arc<PortBook>,
    _journal: tempfile::TempDir,
}

impl Host {
    pub fn new() -> Self {
        let kernel = Arc::new(Simulated::new());
        let namespace = kernel.create_namespace().unwrap();
        let index = Ifindex::new(UPLINK).unwrap();
        let (address, gateway) = ("192.0.2.7/24".parse().unwrap(), "192.0.2.1".parse().unwrap());
        kernel
            .add_uplink(&namespace, index, "up0".parse().unwrap(), address, gateway)
            .unwrap();
        let journal = tempfile::tempdir().unwrap();
        let (opened, _) = Journal::open_for_boot(journal.path(), "boot").unwrap();
        let realm = Realm::open(kernel.clone(), namespace, Arc::new(opened)).unwrap();
        let network = network(false);
        let endpoint = Arc::new(EndpointSpec {
            network: network.id.clone(),
            id: EndpointId::random(),
            mac: None,
            addresses: vec!["10.1.0.2/24".parse().unwrap(), "fd00::2/64".parse().unwrap()],
            options: Options::new(),
        });
        let sandbox = kernel.create_namespace().unwrap();
        Self {
            kernel,
            realm,
            sandbox,
            network: Arc::new(network),
            endpoint,
            ports: Arc::default(),
            _journal: journal,
        }
    }

    pub fn internal(mut self) -> Self {
        self.network = Arc::new(network(true));
        self
    }

    pub fn context(&self, phase: Phase, grants: Grants) -> Context {
        Context {
            realm: self.realm.clone(),
            driver: Identity {
                name: "test".into(),
                version: "1.0.0".into(),
            },
            grants: Arc::new(grants),
            phase,
            network: Some(self.network.clone()),
            endpoint: phase.of_endpoint().then(|| self.endpoint.clone()),
            own_links: Vec::new(),
            deferred: None,
            foreign_sandbox: false,
            state: Arc::new(Memory::default()),
            ports: self.ports.clone(),
        }
    }

    /// A call that may do anything.
    pub fn begin(&self, phase: Phase) -> Operation {
        Operation::new(self.context(phase, Grants::everything()))
    }

    /// The same, after what another call left.
    pub fn after(&self, phase: Phase, own_links: Vec<OwnLink>) -> Operation {
        Operation::new(Context {
            own_links,
            ..self.context(phase, Grants::everything())
        })
    }

    /// Does what the call recorded; the id takes it back.
    pub fn apply(&self, outcome: &Outcome) -> OperationId {
        self.apply_plan(&outcome.plan)
    }

    pub fn apply_plan(&self, plan: &Plan) -> OperationId {
        let id = OperationId::random();
        let sandbox = SandboxAt {
            namespace: self.sandbox.clone(),
            source: None,
        };
        self.realm
            .apply(&id, plan, Some(&sandbox))
            .unwrap()
            .commit(Vec::new())
            .unwrap();
        id
    }

    pub fn dump(&self) -> Dump {
        self.kernel.dump(self.realm.namespace()).unwrap()
    }

    pub fn sandbox_dump(&self) -> Dump {
        self.kernel.dump(&self.sandbox).unwrap()
    }
}

fn network(internal: bool) -> NetworkSpec {
    let pool = |subnet: &str, gateway: &str| Pool {
        subnet: subnet.parse().unwrap(),
        gateway: Some(gateway.parse().unwrap()),
        auxiliary: Vec::new(),
    };
    NetworkSpec {
        id: NetworkId::random(),
        name: "blue".parse().unwrap(),
        options: Options::new(),
        labels: Options::new(),
        pools: vec![pool("10.1.0.0/24", "10.1.0.1"), pool("fd00::/64", "fd00::1")],
        internal,
    }
}

pub fn options(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

pub fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn none() -> Options {
    Options::new()
}

pub fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code
}

/// What the host gives the test endpoint's interface.
pub fn interface() -> SandboxInterface {
    SandboxInterface {
        name: "eth0".parse().unwrap(),
        mac: "02:00:00:00:00:07".parse().unwrap(),
        addresses: vec![net("10.1.0.2/24"), net("fd00::2/64")],
        routes: Vec::new(),
        gateways: vec![ip("10.1.0.1"), ip("fd00::1")],
    }
}

pub fn publish(host_port: u16) -> PortMapping {
    PortMapping {
        transport: Transport::Tcp,
        container_port: 80,
        host_address: ip("0.0.0.0"),
        host_port,
        count: 1,
    }
}

//! Drivers as vendors build them, on the simulated kernel: what they record through Wasm is applied and taken back.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use jackfield_driver::{
    Context, Drivers, LoadedDriver, Operation, Outcome, OwnLink, Phase, PortBook, SandboxInterface, StateStore,
    Versioned, grants::Grants,
};
use jackfield_kernel::{Ifindex, Kernel, Namespace, Realm, SandboxAt, Simulated, journal::Journal};
use jackfield_model::{
    EndpointId, EndpointSpec, ErrorCode, JoinSpec, MacAddr, NetworkId, NetworkSpec, OperationId, Options, Pool, Result,
    SandboxId,
};

use crate::guests::Host;

/// The component of a driver, built as its vendor would, once for all tests.
fn component(driver: &str) -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drivers");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--release", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target);
        // What this build was told about its own target is not for the other one.
        for variable in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_TARGET",
            "CLIPPY_ARGS",
        ] {
            cargo.env_remove(variable);
        }
        let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers");
        let status = cargo.current_dir(drivers).status().unwrap();
        assert!(
            status.success(),
            "the drivers do not build: is the target there? `rustup target add wasm32-wasip2`"
        );
        target.join("wasm32-wasip2/release")
    });
    std::fs::read(folder.join(format!("jackfield_driver_{driver}.wasm"))).unwrap()
}

#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl StateStore for Memory {
    fn get(&self, _: &str, key: &str) -> Result<Versioned> {
        let value = self.0.lock().unwrap().get(key).cloned();
        Ok(Versioned {
            version: u64::from(value.is_some()),
            value,
        })
    }
    fn list(&self, _: &str, prefix: &str, _: Option<&str>, _: u32) -> Result<Vec<String>> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .keys()
            .filter(|k| k.starts_with(prefix))
            .cloned()
            .collect())
    }
    fn size(&self, _: &str) -> Result<u64> {
        Ok(0)
    }
}

/// A realm and a sandbox of the simulated kernel, and an endpoint between them.
struct Bench {
    kernel: Arc<Simulated>,
    realm: Arc<Realm>,
    sandbox: Namespace,
    network: Arc<NetworkSpec>,
    endpoint: Arc<EndpointSpec>,
    _journal: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let kernel = Arc::new(Simulated::new());
        let namespace = kernel.create_namespace().unwrap();
        let (address, gateway) = ("192.0.2.7/24".parse().unwrap(), "192.0.2.1".parse().unwrap());
        kernel
            .add_uplink(
                &namespace,
                Ifindex::new(2).unwrap(),
                "up0".parse().unwrap(),
                address,
                gateway,
            )
            .unwrap();
        let journal = tempfile::tempdir().unwrap();
        let (opened, _) = Journal::open_for_boot(journal.path(), "boot").unwrap();
        let realm = Realm::open(kernel.clone(), namespace, Arc::new(opened)).unwrap();
        let sandbox = kernel.create_namespace().unwrap();
        let pool = |subnet: &str, gateway: &str| Pool {
            subnet: subnet.parse().unwrap(),
            gateway: Some(gateway.parse().unwrap()),
            auxiliary: Vec::new(),
        };
        let network = NetworkSpec {
            id: NetworkId::random(),
            name: "blue".parse().unwrap(),
            options: Options::new(),
            labels: Options::new(),
            pools: vec![pool("10.1.0.0/24", "10.1.0.1"), pool("fd00::/64", "fd00::1")],
            internal: false,
        };
        let endpoint = EndpointSpec {
            network: network.id.clone(),
            id: EndpointId::random(),
            mac: Some(MacAddr::random()),
            addresses: vec!["10.1.0.2/24".parse().unwrap(), "fd00::2/64".parse().unwrap()],
            options: Options::new(),
        };
        Self {
            kernel,
            realm,
            sandbox,
            network: Arc::new(network),
            endpoint: Arc::new(endpoint),
            _journal: journal,
        }
    }

    fn operation(&self, driver: &dyn LoadedDriver, phase: Phase, own_links: &[OwnLink]) -> Operation {
        self.operation_with(driver, driver.grants().clone(), phase, own_links)
    }

    fn operation_with(
        &self,
        driver: &dyn LoadedDriver,
        grants: Arc<Grants>,
        phase: Phase,
        own_links: &[OwnLink],
    ) -> Operation {
        Operation::new(Context {
            realm: self.realm.clone(),
            driver: driver.identity().clone(),
            grants,
            phase,
            network: Some(self.network.clone()),
            endpoint: phase.of_endpoint().then(|| self.endpoint.clone()),
            own_links: own_links.to_vec(),
            deferred: None,
            foreign_sandbox: false,
            state: Arc::new(Memory::default()),
            ports: Arc::<PortBook>::default(),
        })
    }

    fn join_spec(&self) -> JoinSpec {
        JoinSpec {
            network: (*self.network).clone(),
            endpoint: (*self.endpoint).clone(),
            sandbox: SandboxId::random(),
            default_route: true,
            options: Options::new(),
        }
    }

    fn apply(&self, outcome: &Outcome) -> OperationId {
        let id = OperationId::random();
        let sandbox = SandboxAt {
            namespace: self.sandbox.clone(),
            source: None,
        };
        self.realm
            .apply(&id, &outcome.plan, Some(&sandbox))
            .unwrap()
            .commit(Vec::new())
            .unwrap();
        id
    }

    fn create_network(&self, driver: &dyn LoadedDriver) -> Outcome {
        let mut operation = self.operation(driver, Phase::CreateNetwork, &[]);
        driver
            .instance()
            .unwrap()
            .create_network(&mut operation, &self.network)
            .unwrap();
        operation.finish()
    }

    /// create-endpoint and join, on one instance as the host does it.
    fn join(&self, driver: &dyn LoadedDriver, own_links: &[OwnLink]) -> Outcome {
        let mut instance = driver.instance().unwrap();
        let mut operation = self.operation(driver, Phase::CreateEndpoint, own_links);
        instance
            .create_endpoint(&mut operation, &self.network, &self.endpoint)
            .unwrap();
        assert!(operation.finish().plan.is_empty(), "these drivers do all in join");

        let mut operation = self.operation(driver, Phase::Join, own_links);
        let reply = instance.join(&mut operation, &self.join_spec()).unwrap();
        let (link, prefix) = reply.interface.unwrap();
        let interface = SandboxInterface {
            name: format!("{prefix}0").parse().unwrap(),
            mac: self.endpoint.mac.unwrap(),
            addresses: self.endpoint.addresses.clone(),
            routes: reply.routes,
            gateways: reply.gateway_ipv4.into_iter().chain(reply.gateway_ipv6).collect(),
        };
        operation.finish_interface(link, &interface).unwrap();
        operation.finish()
    }
}

fn loaded(host: &Host, driver: &str) -> Arc<dyn LoadedDriver> {
    let component = component(driver);
    host.operator.grant_what_is_asked(&component);
    let name = host.registry.load(&component).unwrap().identity().name.clone();
    host.registry.find(&name).unwrap()
}

#[test]
fn ptp_and_bridge_connect_a_sandbox_and_leave_nothing_behind() {
    for name in ["ptp", "bridge"] {
        let (host, bench) = (Host::new(), Bench::new());
        let driver = loaded(&host, name);
        let dumps = || {
            (
                bench.kernel.dump(bench.realm.namespace()).unwrap(),
                bench.kernel.dump(&bench.sandbox).unwrap(),
            )
        };
        let before = dumps();
        let created = bench.create_network(driver.as_ref());
        let network = bench.apply(&created);
        let joined = bench.join(driver.as_ref(), &created.links);
        let endpoint = bench.apply(&joined);

        let sandbox = bench.kernel.dump(&bench.sandbox).unwrap();
        assert!(
            sandbox.links.iter().any(|link| link.name.as_str() == "eth0"),
            "{name}: {:?}",
            sandbox.links
        );
        for address in &bench.endpoint.addresses {
            assert!(
                sandbox.addresses.iter().any(|a| a.address == *address),
                "{name}: {address}"
            );
        }

        for operation in [endpoint, network] {
            bench.realm.release(&operation, Vec::new()).unwrap();
        }
        assert!(bench.realm.quiesce());
        assert_eq!(dumps(), before, "{name}");
    }
}

#[test]
fn a_step_beyond_the_grants_is_told_to_the_driver_and_counted() {
    let (host, bench) = (Host::new(), Bench::new());
    let driver = loaded(&host, "ptp");
    // The grants of an operation are the operator's word of that moment.
    let mut operation = bench.operation_with(driver.as_ref(), Arc::default(), Phase::Join, &[]);
    let error = driver
        .instance()
        .unwrap()
        .join(&mut operation, &bench.join_spec())
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied, "{}", error.message);
    assert_eq!(
        (error.driver.as_deref(), error.step.as_deref()),
        (Some("ptp 0.1.0"), Some("join"))
    );
    assert!(operation.finish().plan.is_empty());
    assert_eq!(host.registry.inspect("ptp").unwrap().statistics.unwrap().denials, 1);
}

#[test]
fn what_the_user_got_wrong_is_told_in_the_drivers_words() {
    let (host, bench) = (Host::new(), Bench::new());
    let driver = loaded(&host, "ptp");
    let mut network = (*bench.network).clone();
    network.options.insert("mtuu".into(), "1400".into());
    let mut operation = bench.operation(driver.as_ref(), Phase::CreateNetwork, &[]);
    let error = driver
        .instance()
        .unwrap()
        .create_network(&mut operation, &network)
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(
        error.message.contains("mtuu") && error.message.contains("did you mean"),
        "{}",
        error.message
    );
}

//! A host that runs one driver, in memory.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use jackfield_driver::{
    Context, Identity, LinkId, Manifest, Operation, Outcome, OwnLink, Phase, PortBook, PortReservation,
    SandboxInterface,
    grants::{Grants, GrantsFile},
};
use jackfield_kernel::{Dump, Ifindex, Kernel, Namespace, Plan, Realm, SandboxAt, Simulated, journal::Journal};
use jackfield_model::{EndpointId, EndpointSpec, LinkName, MacAddr, NetworkId, NetworkSpec, OperationId, SandboxId};
use jackfield_sdk::{Driver, Error, ErrorCode, JoinReply, JoinSpec, Result, native::with_backend};

use crate::{
    backend::Recording,
    convert as c,
    specs::{Endpoint, Network},
    store::MemoryStore,
    view,
};

/// A host in memory with the driver `D` loaded: a realm of the simulated kernel, in which there is nothing but what the test puts there.
#[derive(Debug)]
pub struct TestHost<D> {
    kernel: Arc<Simulated>,
    realm: Arc<Realm>,
    _journal: tempfile::TempDir,
    manifest: Manifest,
    grants: Arc<Grants>,
    state: Arc<MemoryStore>,
    ports: Arc<PortBook>,
    /// What the driver called its links that are there now.
    labels: BTreeMap<Ifindex, String>,
    before: Option<Dump>,
    driver: PhantomData<D>,
}

/// A network that was created.
#[derive(Debug)]
pub struct NetworkHandle {
    spec: Arc<NetworkSpec>,
    links: Vec<OwnLink>,
    operation: OperationId,
    _ports: Vec<PortReservation>,
}

/// An endpoint that joined a sandbox of its own.
#[derive(Debug)]
pub struct Joined {
    kernel: Arc<Simulated>,
    sandbox: Namespace,
    network: Arc<NetworkSpec>,
    endpoint: Arc<EndpointSpec>,
    operation: OperationId,
    links: Vec<OwnLink>,
    ports: Vec<PortReservation>,
}

impl<D: Driver> TestHost<D> {
    /// A host that grants what the manifest requests, and no more.
    ///
    /// # Panics
    /// When the manifest cannot be read.
    #[track_caller]
    pub fn new(manifest: &str) -> Self {
        let manifest = Manifest::parse(manifest).unwrap_or_else(|e| panic!("the manifest: {e}"));
        let kernel = Arc::new(Simulated::new());
        let fault = |e: jackfield_kernel::KernelError| -> ! { panic!("the simulated kernel: {e}") };
        let namespace = kernel.create_namespace().unwrap_or_else(|e| fault(e));
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("a folder for the journal: {e}"));
        let (journal, _) = Journal::open_for_boot(folder.path(), "test").unwrap_or_else(|e| panic!("the journal: {e}"));
        let realm = Realm::open(kernel.clone(), namespace, Arc::new(journal)).unwrap_or_else(|e| fault(e));
        Self {
            kernel,
            realm,
            _journal: folder,
            grants: Arc::new(manifest.requests.clone()),
            manifest,
            state: Arc::default(),
            ports: Arc::default(),
            labels: BTreeMap::new(),
            before: None,
            driver: PhantomData,
        }
    }

    /// Other grants than those requested: the lines of the driver's table in the grants file.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    #[track_caller]
    pub fn grants(mut self, lines: &str) -> Self {
        let name = &self.manifest.name;
        let file = GrantsFile::parse(&format!("[{name}]\n{lines}")).unwrap_or_else(|e| panic!("the grants: {e}"));
        self.grants = Arc::new(file.of(name));
        self
    }

    /// A network card of the host, up, with that address and the default route by the gateway.
    ///
    /// # Panics
    /// When the texts are no name and addresses, or clash with another card's.
    #[must_use]
    #[track_caller]
    pub fn uplink(self, name: &str, address: &str, gateway: &str) -> Self {
        let number = 2 + u32::try_from(self.dump().links.len()).unwrap_or(0);
        let index = Ifindex::new(number).unwrap_or_else(|| panic!("there is no link {number}"));
        let name = name.parse().unwrap_or_else(|e| panic!("{e}"));
        let address = jackfield_model::parse_cidr(address).unwrap_or_else(|e| panic!("{e}"));
        let gateway = gateway.parse().unwrap_or_else(|e| panic!("the gateway {gateway}: {e}"));
        self.kernel
            .add_uplink(self.realm.namespace(), index, name, address, gateway)
            .unwrap_or_else(|e| panic!("the uplink: {e}"));
        self
    }

    /// Configures the driver, as when it is loaded.
    ///
    /// # Errors
    /// The driver's.
    pub fn configure(&mut self, options: &[(&str, &str)]) -> Result<jackfield_sdk::Capabilities> {
        let pairs = options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let (capabilities, operation) = record(self.begin(Phase::Config, None, None), || D::config(&pairs))?;
        self.state.commit(operation.finish().writes);
        Ok(capabilities)
    }

    /// Creates a network.
    ///
    /// # Errors
    /// The driver's, the grants', or the kernel's: then nothing of it is there.
    pub fn create_network(&mut self, network: Network) -> Result<NetworkHandle> {
        self.before
            .get_or_insert_with(|| dump(&self.kernel, self.realm.namespace()));
        let spec = Arc::new(NetworkSpec {
            id: NetworkId::random(),
            name: "test".parse().map_err(c::error)?,
            options: c::options(c::borrowed(&network.options))?,
            labels: jackfield_model::Options::new(),
            pools: network.pools,
            internal: network.internal,
        });
        let context = self.begin(Phase::CreateNetwork, Some(&spec), None);
        let ((), operation) = record(context, || D::create_network(&c::network_spec(&spec)))?;
        let outcome = operation.finish();
        let operation = self.apply(&outcome.plan, None)?;
        let (links, ports) = self.keep(outcome);
        Ok(NetworkHandle {
            spec,
            links,
            operation,
            _ports: ports,
        })
    }

    /// Creates an endpoint and joins it to a sandbox of its own.
    ///
    /// # Errors
    /// The driver's, the grants', or the kernel's: then nothing of it is there.
    pub fn connect(&mut self, network: &NetworkHandle, endpoint: Endpoint) -> Result<Joined> {
        let (spec, created) = self.create_endpoint(network, &endpoint)?;
        let spec = Arc::new(spec);
        let sandbox = self.kernel.create_namespace().map_err(c::kernel_error)?;
        let own_links = network.links.iter().chain(&created.links).cloned().collect();
        let context = Context {
            own_links,
            deferred: Some(Arc::new(created.plan.clone())),
            foreign_sandbox: endpoint.foreign,
            ..self.begin(Phase::Join, Some(&network.spec), Some(&spec))
        };
        let outcome = self.join(context, network, &spec)?;
        let operation = self.apply(&outcome.plan, Some(&sandbox))?;
        self.state.commit(created.writes);
        let (links, ports) = self.keep(outcome);
        let kernel = self.kernel.clone();
        Ok(Joined {
            kernel,
            sandbox,
            network: network.spec.clone(),
            endpoint: spec,
            operation,
            links,
            ports,
        })
    }

    fn create_endpoint(&self, network: &NetworkHandle, endpoint: &Endpoint) -> Result<(EndpointSpec, Outcome)> {
        let mut spec = EndpointSpec {
            network: network.spec.id.clone(),
            id: EndpointId::random(),
            mac: endpoint.mac,
            addresses: endpoint.addresses.clone(),
            options: c::options(c::borrowed(&endpoint.options))?,
        };
        let context = Context {
            own_links: network.links.clone(),
            ..self.begin(
                Phase::CreateEndpoint,
                Some(&network.spec),
                Some(&Arc::new(spec.clone())),
            )
        };
        let call = || D::create_endpoint(&c::network_spec(&network.spec), &c::endpoint_spec(&spec));
        let (reply, operation) = record(context, call)?;
        if (spec.mac.is_some() && reply.mac.is_some()) || (!spec.addresses.is_empty() && !reply.addresses.is_empty()) {
            return Err(Error::invalid(
                "create_endpoint may answer only with what the specification left open",
            ));
        }
        spec.mac = spec.mac.or(reply.mac.map(c::mac).transpose()?);
        spec.addresses.extend(c::networks(&reply.addresses)?);
        Ok((spec, operation.finish()))
    }

    fn join(&self, context: Context, network: &NetworkHandle, endpoint: &Arc<EndpointSpec>) -> Result<Outcome> {
        let join = JoinSpec {
            network: c::network_spec(&network.spec),
            endpoint: c::endpoint_spec(endpoint),
            sandbox: SandboxId::random().to_string(),
            default_route: true,
            options: Vec::new(),
        };
        let (reply, mut operation) = record(context, || D::join(&join))?;
        if let Some((link, prefix)) = &reply.interface {
            let interface = interface(&reply, prefix, endpoint)?;
            operation
                .finish_interface(LinkId(link.native_handle().id()), &interface)
                .map_err(c::error)?;
        }
        Ok(operation.finish())
    }

    /// Leaves the sandbox and deletes the endpoint.
    ///
    /// # Errors
    /// The driver's: what it made is gone all the same.
    pub fn disconnect(&mut self, joined: Joined) -> Result<()> {
        self.take_back(&joined.operation, &joined.links);
        drop(joined.ports);
        let (network, endpoint) = (joined.network.id.to_string(), joined.endpoint.id.to_string());
        let left = self.tell(Phase::Leave, &joined.network, Some(&joined.endpoint), || {
            D::leave(&network, &endpoint)
        });
        let deleted = self.tell(Phase::DeleteEndpoint, &joined.network, Some(&joined.endpoint), || {
            D::delete_endpoint(&network, &endpoint)
        });
        self.kernel.kill_namespace(joined.sandbox.id());
        left.and(deleted)
    }

    /// Deletes the network.
    ///
    /// # Errors
    /// The driver's: what it made is gone all the same.
    pub fn delete_network(&mut self, network: NetworkHandle) -> Result<()> {
        self.take_back(&network.operation, &network.links);
        let id = network.spec.id.to_string();
        self.tell(Phase::DeleteNetwork, &network.spec, None, || D::delete_network(&id))
    }

    fn tell(
        &self,
        phase: Phase,
        network: &Arc<NetworkSpec>,
        endpoint: Option<&Arc<EndpointSpec>>,
        call: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let ((), operation) = record(self.begin(phase, Some(network), endpoint), call)?;
        self.state.commit(operation.finish().writes);
        Ok(())
    }

    fn begin(&self, phase: Phase, network: Option<&Arc<NetworkSpec>>, endpoint: Option<&Arc<EndpointSpec>>) -> Context {
        Context {
            realm: self.realm.clone(),
            driver: Identity {
                name: self.manifest.name.clone(),
                version: self.manifest.version.clone(),
            },
            grants: self.grants.clone(),
            phase,
            network: network.cloned(),
            endpoint: endpoint.cloned(),
            own_links: Vec::new(),
            deferred: None,
            foreign_sandbox: false,
            state: self.state.clone(),
            ports: self.ports.clone(),
        }
    }

    fn apply(&self, plan: &Plan, sandbox: Option<&Namespace>) -> Result<OperationId> {
        let operation = OperationId::random();
        let sandbox = sandbox.map(|namespace| SandboxAt {
            namespace: namespace.clone(),
            source: None,
        });
        let applied = self
            .realm
            .apply(&operation, plan, sandbox.as_ref())
            .map_err(c::kernel_error)?;
        applied.commit(Vec::new()).map_err(c::kernel_error)?;
        Ok(operation)
    }

    fn keep(&mut self, outcome: Outcome) -> (Vec<OwnLink>, Vec<PortReservation>) {
        self.state.commit(outcome.writes);
        self.labels
            .extend(outcome.links.iter().map(|link| (link.at.index, link.label.clone())));
        (outcome.links, outcome.ports)
    }

    fn take_back(&mut self, operation: &OperationId, links: &[OwnLink]) {
        if let Err(e) = self.realm.release(operation, Vec::new()) {
            panic!("what was made could not be taken back: {e}");
        }
        assert!(self.realm.quiesce(), "the reaper did not finish");
        for link in links {
            self.labels.remove(&link.at.index);
        }
    }
}

impl<D> TestHost<D> {
    /// What stands in the realm, as lines that look like iproute2's, with the driver's labels for its links.
    pub fn lines(&self) -> Vec<String> {
        view::lines(&self.dump(), &self.labels)
    }

    /// A per-link sysctl, as `sysctl("pair", "ipv4/conf/forwarding")`.
    pub fn sysctl(&self, link: &str, key: &str) -> Option<String> {
        view::sysctl(&self.dump(), &self.labels, link, key)
    }

    /// Everything of the realm.
    pub fn dump(&self) -> Dump {
        dump(&self.kernel, self.realm.namespace())
    }

    /// Checks that there is such a line.
    ///
    /// # Panics
    /// When there is none; the message has all there are.
    #[track_caller]
    pub fn assert_has(&self, line: &str) {
        assert_has(&self.lines(), line);
    }

    /// Checks that the realm is as it was before the first network.
    ///
    /// # Panics
    /// When it is not; the message has what is there.
    #[track_caller]
    pub fn assert_clean(&self) {
        let clean = self.before.as_ref().is_none_or(|before| *before == self.dump());
        assert!(clean, "something is left:\n{}", self.lines().join("\n"));
    }
}

impl Joined {
    /// What stands in the sandbox, as lines that look like iproute2's.
    pub fn lines(&self) -> Vec<String> {
        view::lines(&dump(&self.kernel, &self.sandbox), &BTreeMap::new())
    }

    /// Checks that there is such a line.
    ///
    /// # Panics
    /// When there is none; the message has all there are.
    #[track_caller]
    pub fn assert_has(&self, line: &str) {
        assert_has(&self.lines(), line);
    }
}

#[track_caller]
fn assert_has(lines: &[String], line: &str) {
    assert!(
        lines.iter().any(|there| there == line),
        "there is no \"{line}\" among:\n{}",
        lines.join("\n")
    );
}

/// A namespace of the test's own making is there until the test kills it.
#[track_caller]
fn dump(kernel: &Simulated, namespace: &Namespace) -> Dump {
    kernel
        .dump(namespace)
        .unwrap_or_else(|e| panic!("the simulated kernel: {e}"))
}

/// Runs a driver's call on an operation; an error discards it.
fn record<T>(context: Context, call: impl FnOnce() -> Result<T>) -> Result<(T, Operation)> {
    let backend = Box::new(Recording {
        operation: Operation::new(context),
    });
    let (answer, backend) = with_backend(backend, call);
    let recording = backend.and_then(|backend| backend.into_any().downcast::<Recording>().ok());
    let recording = recording.ok_or_else(|| Error::new(ErrorCode::Internal, "the call took the backend away"))?;
    Ok((answer?, recording.operation))
}

fn interface(reply: &JoinReply, prefix: &str, endpoint: &EndpointSpec) -> Result<SandboxInterface> {
    let name: LinkName = format!("{prefix}0").parse().map_err(c::error)?;
    Ok(SandboxInterface {
        name,
        mac: endpoint.mac.unwrap_or_else(MacAddr::random),
        addresses: endpoint.addresses.clone(),
        routes: reply.routes.iter().map(c::static_route).collect::<Result<_>>()?,
        gateways: c::gateways(reply),
    })
}

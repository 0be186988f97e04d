//! A host's insides in this process, on a real kernel that fails when a scenario says so.

use std::{sync::Arc, time::Duration};

use jackfield_controller::{
    Controller,
    builtin::BuiltIns,
    request::{
        Config, CreateEndpoint, CreateNetwork, CreateSandbox, Forwarding, Join, PoolRequest, RealmRef, SandboxKind,
    },
};
use jackfield_driver::{Drivers, grants::GrantsFile};
use jackfield_kernel::{Dump, Kernel, Namespace, NamespaceSource, faulty::Faulty};
use jackfield_lab::{Lab, LabError, component, program};
use jackfield_model::{Error, Options};
use jackfield_wasm::{Allowance, CompileSettings, Engine, Outside, Registry, Settings};

use crate::Kind;

/// The insides.
#[derive(Debug)]
pub struct Inner {
    /// The kernel, which can be told to fail.
    pub kernel: Arc<Faulty>,
    /// The controller on it.
    pub controller: Controller,
}

/// Gives each driver what its section of the grants says.
#[derive(Debug)]
struct Granted(GrantsFile);

impl Outside for Granted {
    fn allowance(&self, driver: &str) -> Result<Allowance, Error> {
        Ok(Allowance {
            grants: self.0.of(driver),
            options: Options::new(),
        })
    }
}

impl Inner {
    /// On the lab's realm and folders, with the driver of that kind loaded.
    ///
    /// # Errors
    /// When a part of it cannot be opened.
    pub fn open(lab: &Lab, kind: &Kind) -> jackfield_lab::Result<Self> {
        let fail = |cause: Error| LabError::new("open a host's insides", cause);
        let kernel = Arc::new(Faulty::new(lab.kernel().clone()));
        let drivers = registry(lab).map_err(fail)?;
        if let Some(name) = kind.component {
            drivers.load(&component::read(name)?).map_err(fail)?;
        }
        let config = Config {
            run_dir: lab.path("run"),
            state_dir: lab.path("state"),
            default_pools: Vec::new(),
            forwarding: Forwarding::Off,
        };
        let controller = Controller::open(
            config,
            kernel.clone(),
            lab.realm().clone(),
            Arc::new(drivers),
            Arc::new(|_| ()),
        )
        .map_err(fail)?;
        Ok(Self { kernel, controller })
    }

    /// Creates network `blue` of that kind.
    pub fn create_network(&self, realm: RealmRef, kind: &Kind) -> Result<(), Error> {
        let request = CreateNetwork {
            id: None,
            name: "blue".parse()?,
            driver: Some(kind.driver.to_owned()),
            pools: vec![pool("10.77.9.0/24")?, pool("fd00:77:9::/64")?],
            ipv6: true,
            ipv4: None,
            ipam: None,
            allow_overlap: false,
            internal: false,
            options: kind
                .options
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            labels: Options::new(),
            dns: Default::default(),
        };
        self.controller.create_network(realm, request).map(drop)
    }

    /// Has a sandbox made, and opens it.
    pub fn create_sandbox(&self, realm: RealmRef, name: &str) -> Result<Namespace, Error> {
        let request = CreateSandbox {
            id: None,
            name: Some(name.parse()?),
            kind: SandboxKind::Made,
            labels: Options::new(),
            dns: Default::default(),
        };
        let made = self.controller.create_sandbox(realm, request)?.into_inner();
        let path = made.path.ok_or_else(|| Error::internal("a made sandbox has a path"))?;
        Ok(self.kernel.open_namespace(&NamespaceSource::Path(path))?)
    }

    /// Connects a sandbox to `blue`, with these ports published.
    pub fn connect(&self, realm: RealmRef, sandbox: &str, ports: &[&str]) -> Result<(), Error> {
        let join = Join {
            publish: ports.iter().map(|port| port.parse()).collect::<Result<_, _>>()?,
            ..Join::default()
        };
        self.controller
            .connect(realm, "blue", sandbox, CreateEndpoint::default(), join)
            .map(drop)
    }

    /// The state of realm and sandbox, when nothing is left to reap.
    pub fn settled(&self, lab: &Lab, sandbox: Option<&Namespace>) -> jackfield_lab::Result<(Dump, Option<Dump>)> {
        if !self.controller.quiesce() {
            return Err(LabError::new(
                "wait until nothing is left to reap",
                "the reaper does not come to an end",
            ));
        }
        Ok((lab.dump()?, sandbox.map(|s| lab.dump_of(s)).transpose()?))
    }
}

fn pool(subnet: &str) -> Result<PoolRequest, Error> {
    Ok(PoolRequest {
        subnet: Some(jackfield_model::parse_subnet(subnet)?),
        ..PoolRequest::default()
    })
}

fn registry(lab: &Lab) -> Result<Registry, Error> {
    let settings = Settings {
        state: lab.path("state/drivers"),
        cache: lab.path("cache"),
        compile: CompileSettings {
            program: program(),
            arguments: vec!["compile-component".into()],
            deadline: Duration::from_secs(60),
        },
    };
    let granted = Arc::new(Granted(GrantsFile::parse(component::GRANTS)?));
    let registry = Registry::open(&Engine::new()?, settings, granted)?;
    let built_ins = BuiltIns::new();
    let drivers = built_ins.names().into_iter().filter_map(|name| built_ins.find(&name));
    Ok(drivers.fold(registry, Registry::with_builtin))
}

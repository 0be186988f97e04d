//! Puts the host together: controller and registry over the kernel.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use jackfield_controller::{Controller, builtin::BuiltIns, names::NameService, request::Config};
use jackfield_driver::Drivers;
use jackfield_kernel::{Kernel, Linux, Namespace, NamespaceSource};
use jackfield_model::{Error, ErrorCode, Result};
use jackfield_names::Server;
use jackfield_remote::RemoteDrivers;
use jackfield_wasm::{CompileSettings, Engine, Registry, Settings};

use super::{Options, names::Names, outside::Operator};
use crate::{
    api::{About, Host},
    drivers::{DriverAdmin, Starting},
    events::Events,
    plugins::WithPlugins,
};

/// What a host is made of.
pub(crate) struct Parts {
    pub config: Config,
    pub kernel: Arc<dyn Kernel>,
    /// The namespace that serves as host.
    pub own: Namespace,
    /// None: sandboxes have no names.
    pub names: Option<Arc<dyn NameService>>,
}

#[cfg(test)]
impl Parts {
    /// Of a host on a simulated kernel that keeps everything in `folder`, and makes its subnets of `pool`, 24 bits each.
    pub(crate) fn simulated(
        kernel: &Arc<jackfield_kernel::Simulated>,
        folder: &Path,
        pool: jackfield_model::IpNetwork,
    ) -> Self {
        let config = Config {
            run_dir: folder.join("run"),
            state_dir: folder.join("state"),
            default_pools: vec![(pool, 24)],
            forwarding: jackfield_controller::request::Forwarding::Off,
        };
        std::fs::create_dir_all(&config.run_dir).unwrap();
        std::fs::create_dir_all(&config.state_dir).unwrap();
        Self {
            config,
            own: kernel.open_namespace(&NamespaceSource::Own).unwrap(),
            kernel: kernel.clone(),
            names: None,
        }
    }
}

/// The host of this machine: the real kernel, this process's namespace, and components.
pub(super) fn open(options: &Options) -> Result<(Host, Server)> {
    let kernel: Arc<dyn Kernel> = Arc::new(Linux::new()?);
    let own = kernel.open_namespace(&NamespaceSource::Own)?;
    let config = Config {
        run_dir: options.run_dir.clone(),
        state_dir: options.state_dir.clone(),
        default_pools: options.default_pools.clone(),
        forwarding: options.forwarding.clone(),
    };
    let server = Server::new(kernel.clone(), options.resolv_conf.clone())?;
    let names = Names::new(server.clone(), kernel.clone(), options.run_dir.join("sandboxes"));
    let parts = Parts {
        config,
        kernel,
        own,
        names: Some(Arc::new(names)),
    };
    let host = assemble(parts, |controller| drivers(options, controller))?;
    Ok((host, server))
}

/// Opens the controller over these parts, then the drivers over the controller.
pub(crate) fn assemble(
    parts: Parts,
    drivers: impl FnOnce(&Controller) -> Result<Arc<dyn DriverAdmin>>,
) -> Result<Host> {
    let Parts {
        config,
        kernel,
        own,
        names,
    } = parts;
    let about = About {
        started: now(),
        run_dir: config.run_dir.clone(),
        state_dir: config.state_dir.clone(),
    };
    let (events, starting) = (Events::new(), Arc::new(Starting::default()));
    let sink = events.clone();
    let publish = Arc::new(move |event: jackfield_controller::request::Event| sink.publish(event.into()));
    let controller = Controller::open_with_names(config, kernel, own, starting.clone(), publish, names)?;
    let drivers = drivers(&controller)?;
    starting.started(drivers.clone());
    Ok(Host {
        controller,
        drivers,
        events,
        about: Arc::new(about),
        docker: None,
    })
}

fn drivers(options: &Options, controller: &Controller) -> Result<Arc<dyn DriverAdmin>> {
    let plugins = RemoteDrivers::new(options.plugins.clone(), controller.own_realm().id());
    let registry = registry(options, controller)?;
    Ok(Arc::new(WithPlugins { registry, plugins }))
}

fn registry(options: &Options, controller: &Controller) -> Result<Registry> {
    let settings = Settings {
        state: options.state_dir.join("drivers"),
        cache: options.state_dir.join("cache"),
        compile: CompileSettings::this_program(["compile-component"]),
    };
    let operator = Operator::new(options.grants.clone(), controller.clone());
    let registry = Registry::open(&Engine::new()?, settings, Arc::new(operator))?;
    let built_in = BuiltIns::new();
    let drivers = built_in.names().into_iter().filter_map(|name| built_in.find(&name));
    Ok(drivers.fold(registry, Registry::with_builtin))
}

/// The run folder can be walked through, for the socket in it.
pub(super) fn make_folders(options: &Options) -> Result<()> {
    make_folder(&options.run_dir, 0o755)?;
    make_folder(&options.state_dir, 0o700)
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|cause| {
            Error::new(
                ErrorCode::Unavailable,
                format!("the folder {} cannot be made", path.display()),
            )
            .caused_by(cause)
        })
}

/// Seconds since 1970; zero on a machine whose clock is before that.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

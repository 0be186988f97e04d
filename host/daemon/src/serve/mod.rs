//! The host process: opens the controller, serves the API on a unix socket, and stops when it is told to.
//!
//! ```text
//!   check that nobody serves there -> open controller and drivers -> listen ("serving on") -> SIGTERM or SIGINT
//!      -> no new connections, event streams end -> calls in flight end -> the socket goes -> what was taken down is gone -> exit
//! ```
//! Stopping takes nothing down: what was made stays, and the next start finds it by the journal.

mod caller;
pub(crate) mod connections;
mod links;
mod names;
mod outside;
mod pools;
mod shims;
pub(crate) mod socket;
pub(crate) mod stop;
mod systemd;
mod wiring;

pub(crate) use pools::default_pools;
pub(crate) use stop::Stop;
#[cfg(test)]
pub(crate) use stop::Word;
#[cfg(test)]
pub(crate) use wiring::{Parts, assemble};

use std::{io, os::unix::net::UnixListener, path::PathBuf, time::Duration};

use jackfield_controller::request::Forwarding;
use jackfield_model::{Error, IpNetwork, Result, Scope};
use jackfield_names::Server;
use jackfield_remote::Folders;
use nix::sys::stat::{Mode, umask};
use tracing_subscriber::EnvFilter;

use crate::{
    api::{self, Host},
    docker, shim,
};

/// How long a call in flight may hold up the end of the process after its connection was given up.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// Threads for what blocks besides connections.
const OTHER_THREADS: usize = 16;

/// Threads for connections of dockerd's: more than a busy one has.
const DOCKER_CONNECTIONS: u32 = 256;

/// Where the host serves and keeps things.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub socket: PathBuf,
    pub shim_socket: PathBuf,
    pub run_dir: PathBuf,
    pub state_dir: PathBuf,
    pub grants: PathBuf,
    pub resolv_conf: PathBuf,
    pub default_pools: Vec<(IpNetwork, u8)>,
    pub forwarding: Forwarding,
    pub plugins: Folders,
    /// Components that are loaded at the start.
    pub load: Vec<PathBuf>,
    /// Docker's plugin folder; None: Docker is not served.
    pub docker_plugins: Option<PathBuf>,
    /// How far Docker's networks reach; None: as their driver says.
    pub docker_scope: Option<Scope>,
}

/// Serves until SIGTERM or SIGINT.
///
/// The host is opened before there is a runtime and closed after it is gone: both block, and the engine has a runtime of its own, which may
/// neither be used nor dropped inside another.
pub(crate) fn run(options: Options) -> Result<()> {
    log();
    let mut inherited = systemd::Inherited::of_this_process();
    let [open, open_shims] = [&options.socket, &options.shim_socket].map(|path| (path, inherited.take(path)));
    for (path, open) in [&open, &open_shims] {
        if open.is_none() {
            socket::refuse_living(path)?;
        }
    }
    wiring::make_folders(&options)?;
    // Whatever is written from here on is for this user's eyes alone; the socket's file says its own permissions.
    umask(Mode::from_bits_truncate(0o077));
    raise_open_files();
    let (host, names) = wiring::open(&options)?;
    load(&options.load, &host);
    let failed = |cause| Error::internal("the host cannot start its threads").caused_by(cause);
    // This thread accepts; connections have threads of their own, and what else blocks now and then has a few.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(
            (connections::CONNECTIONS + shim::CONNECTIONS + DOCKER_CONNECTIONS) as usize + OTHER_THREADS,
        )
        .build()
        .map_err(failed)?;
    let result = runtime.block_on(serve(&options, open, open_shims, host.clone(), names));
    runtime.shutdown_timeout(LAST_CALLS);
    // What was taken down in the last moments is half gone; a successor would finish it, but there may be none.
    if !host.controller.quiesce() {
        tracing::warn!("links that were taken down are not deleted yet: the next start deletes them");
    }
    drop(host);
    result
}

/// Loads components that no driver has been loaded from yet. The host serves without one that it refuses.
fn load(files: &[PathBuf], host: &Host) {
    for file in files {
        let unreadable = |cause| Error::invalid(format!("it cannot be read: {cause}")).caused_by(cause);
        let bytes = std::fs::read(file).map_err(unreadable);
        match bytes.and_then(|bytes| host.drivers.load(&bytes)) {
            Ok(change) => tracing::info!("driver {} is loaded from {}", change.identity(), file.display()),
            Err(error) => tracing::error!("the component {} is not loaded: {error}", file.display()),
        }
    }
}

/// A sandbox with names costs a handful of descriptors, and the soft limit of most systems is 1,024, for the sake of programs that use
/// select(2): this one does not.
fn raise_open_files() {
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};
    let raised = getrlimit(RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as low as it is");
    }
}

/// To standard error, `info` and above; JACKFIELD_LOG chooses otherwise, as in `JACKFIELD_LOG=jackfield=debug`.
fn log() {
    let filter = EnvFilter::try_from_env("JACKFIELD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    format
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .init();
}

/// A socket's path, and the socket where it was listened on before.
type At<'a> = (&'a PathBuf, Option<UnixListener>);

async fn serve(
    options: &Options,
    (path, open): At<'_>,
    (shim_path, open_shims): At<'_>,
    host: Host,
    names: Server,
) -> Result<()> {
    let stop = stop::on_signals(host.events.clone())?;
    let listener = match open {
        Some(open) => socket::inherit(open)?,
        None => socket::listen(path)?,
    };
    let host = with_docker(options, host)?;
    let shims = shims::Shims::open(shim_path, open_shims, host.controller.clone()).await?;
    tokio::spawn(links::watch(host.controller.clone()));
    tokio::spawn(names::serve(names));
    tracing::info!("serving on {}", path.display());
    systemd::ready();
    tokio::join!(
        connections::serve(
            listener.accepts,
            api::router(host.clone()),
            stop.clone(),
            connections::CONNECTIONS
        ),
        shims.serve(stop.clone()),
        close_docker(&host, stop)
    );
    listener.guard.remove();
    tracing::info!("stopped; networks and sandboxes stay as they are");
    Ok(())
}

/// Serves Docker too, where that is wanted.
fn with_docker(options: &Options, host: Host) -> Result<Host> {
    let Some(folder) = &options.docker_plugins else {
        return Ok(host);
    };
    let docker = docker::Plugins::open(folder, &options.run_dir, options.docker_scope, host.clone())?;
    tokio::spawn(docker::sweep(host.controller.clone()));
    tracing::info!("Docker finds the drivers in {}", folder.display());
    Ok(Host {
        docker: Some(docker),
        ..host
    })
}

async fn close_docker(host: &Host, mut stop: stop::Stop) {
    if let Some(docker) = &host.docker {
        stop.wait().await;
        docker.close().await;
    }
}

/// Serves at that path until the test says so.
#[cfg(test)]
pub(crate) fn serve_for_test(path: &std::path::Path, router: axum::Router) -> (Word, tokio::task::JoinHandle<()>) {
    let (word, stop) = Word::new();
    let socket::Listener { accepts, guard } = socket::listen(path).unwrap();
    let served = tokio::spawn(async move {
        connections::serve(accepts, router, stop, connections::CONNECTIONS).await;
        guard.remove();
    });
    (word, served)
}

//! Docker's plugin folder: a socket for each name, there as long as its driver is loaded and the host runs.
//!
//! ```text
//!   open: what a dead host left is removed --> follow: names that came are listened on, names that went are closed --> close
//!                                                ^                                                           |
//!                                                +----------- a driver was loaded or unloaded ---------------+
//! ```
//! A living socket of somebody else's is left to him, and said so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jackfield_controller::builtin::BuiltIns;
use jackfield_driver::Drivers;
use jackfield_model::{Error, ErrorCode, Result, Scope};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Plugin, http, method,
    names::{self, Names},
    record::Record,
};
use crate::{
    api::Host,
    serve::{
        connections,
        socket::{self, Guard},
        stop::Word,
    },
};

/// Connections of dockerd's to one name at once: a container that starts has one, and the rest wait in the kernel's queue.
const CONNECTIONS: u32 = 64;

/// The sockets.
pub(crate) struct Plugins {
    folder: PathBuf,
    record: Record,
    scope: Option<Scope>,
    host: Host,
    runtime: Handle,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    closed: bool,
    sockets: BTreeMap<String, Socket>,
    /// What was said already.
    told: BTreeSet<String>,
}

struct Socket {
    guard: Guard,
    word: Word,
    served: JoinHandle<()>,
}

impl Socket {
    /// The file goes at once; calls in flight end by themselves.
    fn close(self) -> JoinHandle<()> {
        self.guard.remove();
        self.word.stop();
        self.served
    }
}

impl Plugins {
    /// Serves what is loaded, in that folder. Within the runtime that is to accept.
    ///
    /// # Errors
    /// unavailable, when the folder cannot be made.
    pub fn open(folder: &Path, run_dir: &Path, scope: Option<Scope>, host: Host) -> Result<Arc<Self>> {
        let failed = |cause| {
            let message = format!("Docker's plugin folder {} cannot be made", folder.display());
            Error::new(ErrorCode::Unavailable, message).caused_by(cause)
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(failed)?;
        let record = Record::within(run_dir);
        record.clear();
        let plugins = Self {
            folder: folder.to_owned(),
            record,
            scope,
            host,
            runtime: Handle::current(),
            open: Mutex::default(),
        };
        plugins.follow();
        Ok(Arc::new(plugins))
    }

    /// Makes the sockets those of the drivers that are loaded now. May be called from any thread.
    pub fn follow(&self) {
        let mut open = self.lock();
        if open.closed {
            return;
        }
        let (names, clashes) = self.names();
        clashes.into_iter().for_each(|words| tell(&mut open, words));
        let gone: Vec<String> = open
            .sockets
            .keys()
            .filter(|n| !names.contains_key(*n))
            .cloned()
            .collect();
        for name in gone {
            drop(open.sockets.remove(&name).map(Socket::close));
        }
        let paths: Vec<PathBuf> = names.keys().map(|name| self.path(name)).collect();
        if let Err(error) = self.record.write(&paths) {
            tracing::warn!("{error}: should the host be killed, its sockets may stay behind");
        }
        for (name, driver) in names {
            self.appear(&mut open, name, driver);
        }
    }

    /// Names for what is loaded, and in words which drivers have none. One that is absent for now has networks all the same, which Docker may
    /// want to delete; a plugin Docker finds by itself.
    fn names(&self) -> (Names, Vec<String>) {
        let built_in = BuiltIns::new().names();
        let all = self.host.drivers.list().into_iter().map(|driver| driver.identity.name);
        let is_component = |name: &String| !built_in.contains(name) && self.host.drivers.plugin(name).is_none();
        let components: Vec<String> = all.filter(is_component).collect();
        names::assign(&built_in, &components)
    }

    fn appear(&self, open: &mut Open, name: String, driver: Option<String>) {
        if open.sockets.contains_key(&name) {
            return;
        }
        match self.listen(&name, driver) {
            Ok(socket) => drop(open.sockets.insert(name, socket)),
            Err(error) => tell(open, format!("Docker does not find {name}: {error}")),
        }
    }

    /// Closes all of them, and waits for calls in flight.
    pub async fn close(&self) {
        let sockets = {
            let mut open = self.lock();
            open.closed = true;
            std::mem::take(&mut open.sockets)
        };
        let served: Vec<JoinHandle<()>> = sockets.into_values().map(Socket::close).collect();
        for one in served {
            // One that panicked has ended too.
            let _ = one.await;
        }
    }

    fn listen(&self, name: &str, driver: Option<String>) -> Result<Socket> {
        let path = self.path(name);
        socket::refuse_living(&path).map_err(|refusal| taken(&path, refusal))?;
        let _inside = self.runtime.enter();
        let listener = socket::listen(&path)?;
        let plugin = Plugin {
            name: name.to_owned(),
            driver,
            scope: self.scope,
            patience: method::PATIENCE,
            controller: self.host.controller.clone(),
            drivers: self.host.drivers.clone(),
        };
        let (word, stop) = Word::new();
        let serving = connections::serve(listener.accepts, http::router(plugin), stop, CONNECTIONS);
        Ok(Socket {
            guard: listener.guard,
            word,
            served: self.runtime.spawn(serving),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.sock"))
    }

    /// A panic of another thread leaves the list whole: each change of it is one call.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody else's socket is left to him.
fn taken(path: &Path, refusal: Error) -> Error {
    let message = match refusal.code {
        ErrorCode::InUse => format!(
            "another plugin answers at {} already, so that one of the two needs another name",
            path.display()
        ),
        _ => format!("{} is no socket: move it away", path.display()),
    };
    Error::new(refusal.code, message).caused_by(refusal)
}

/// Once is enough.
fn tell(open: &mut Open, words: String) {
    if open.told.insert(words.clone()) {
        tracing::warn!("{words}");
    }
}

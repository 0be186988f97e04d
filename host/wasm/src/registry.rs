//! The drivers of this host: built in, or loaded, replaced and unloaded while calls are under way.
//!
//! ```text
//!   (none) --load--> loaded --upgrade, rollback--> loaded (another version) --unload--> (none)
//!                      |                             the old one ends with its last call
//!                      +--restart--> loaded, from the kept bytes and the cache
//!                                    or absent: it is said why, and an upgrade or a load brings it back
//! ```
//!
//! A new version is checked, compiled, linked, instantiated and configured beside the old one before anything changes; then its bytes are
//! kept, the list of drivers is written, and the entry is swapped. A failure anywhere leaves the old one in place. Callers hold what they
//! found by an [`Arc`], so a call ends on the version that it began on. Changes are made one after the other; nobody who looks a driver up
//! waits for one.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use jackfield_driver::{Drivers, Identity, LoadedDriver, Operation, Outcome, grants::Grants, missing, snippet};
use jackfield_model::{Error, ErrorCode, Options, Result};

use crate::{
    check::{Checked, Digest, check},
    compile::{CompileSettings, Compiler},
    driver::WasmDriver,
    engine::Engine,
    entry::{Entry, Inspection, inspection},
    output::one_line,
    shelf::{Kept, Record, Shelf},
};

/// Where a registry keeps things, and how it compiles.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Components and the list of drivers: durable.
    pub state: PathBuf,
    /// Compiled code: may be lost.
    pub cache: PathBuf,
    /// How the compile process is started.
    pub compile: CompileSettings,
}

/// What an operator gives a driver.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    /// What it may do.
    pub grants: Grants,
    /// What its `config` is told.
    pub options: Options,
}

/// What the registry asks of the rest of the host.
pub trait Outside: fmt::Debug + Send + Sync {
    /// What the operator gives the driver of that name; asked at each load, upgrade and start.
    fn allowance(&self, driver: &str) -> Result<Allowance>;

    /// An operation for `config`. By default one in which every call of the host is refused.
    fn config_operation(&self, _driver: &Identity, _grants: &Arc<Grants>) -> Operation {
        Operation::detached()
    }

    /// Keeps what `config` wrote, before the driver is taken.
    fn configured(&self, _driver: &Identity, _outcome: Outcome) -> Result<()> {
        Ok(())
    }
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is done, and this is the driver now.
    Done(Identity),
    /// It was so already.
    AlreadySo(Identity),
}

impl Change {
    /// The driver as it is now.
    pub fn identity(&self) -> &Identity {
        let (Self::Done(identity) | Self::AlreadySo(identity)) = self;
        identity
    }
}

/// The registry.
pub struct Registry {
    engine: Arc<Engine>,
    compiler: Compiler,
    shelf: Shelf,
    outside: Arc<dyn Outside>,
    /// Held for a look or a swap, never over a driver's call.
    entries: RwLock<BTreeMap<String, Entry>>,
    /// Held for the length of a change.
    changing: Mutex<()>,
}

impl Registry {
    /// Brings back every driver that was loaded. One that cannot be brought back is absent, not an error: the others serve.
    ///
    /// # Errors
    /// When its folders cannot be used, or the list of drivers cannot be read.
    pub fn open(engine: &Arc<Engine>, settings: Settings, outside: Arc<dyn Outside>) -> Result<Self> {
        let registry = Self {
            engine: engine.clone(),
            compiler: Compiler::new(engine, settings.compile, &settings.cache)?,
            shelf: Shelf::open(&settings.state)?,
            outside,
            entries: RwLock::default(),
            changing: Mutex::default(),
        };
        for record in registry.shelf.records()? {
            let entry = registry.bring_back(record);
            registry.put(entry);
        }
        Ok(registry)
    }

    /// With a driver of the host's own. Its name cannot be taken by a component.
    #[must_use]
    pub fn with_builtin(self, driver: Arc<dyn LoadedDriver>) -> Self {
        self.write()
            .insert(driver.identity().name.clone(), Entry::BuiltIn(driver));
        self
    }

    /// Loads a component.
    ///
    /// # Errors
    /// invalid-argument when it is none or does not fit, denied when it asks for more than it was granted, already-exists when another
    /// version is loaded; and whatever its `config` says.
    pub fn load(&self, bytes: &[u8]) -> Result<Change> {
        let checked = check(bytes)?;
        let _changing = self.change();
        let name = &checked.manifest.name;
        match self.read().get(name) {
            Some(Entry::BuiltIn(_)) => return Err(built_in(name)),
            Some(Entry::Loaded { driver, record }) if record.current.digest == checked.digest => {
                return Ok(Change::AlreadySo(driver.identity().clone()));
            }
            Some(Entry::Loaded { driver, .. }) => return Err(other_version(driver.identity(), &checked)),
            Some(Entry::Absent { .. }) | None => {}
        }
        self.take(checked, bytes)
    }

    /// Puts a component in the place of the loaded driver of that name.
    ///
    /// # Errors
    /// As [`Self::load`], and not-found when no such driver is loaded; the old version goes on.
    pub fn upgrade(&self, name: &str, bytes: &[u8]) -> Result<Change> {
        let checked = check(bytes)?;
        if checked.manifest.name != name {
            let message = format!(
                "the component is the driver {}, not {}: load it under its own name",
                checked.manifest.name,
                shown(name)
            );
            return Err(Error::invalid(message));
        }
        let _changing = self.change();
        self.loaded_record(name)?;
        self.replace(checked, bytes)
    }

    /// Brings the version before the present one back.
    ///
    /// # Errors
    /// As [`Self::upgrade`], and invalid-state when there is none before it.
    pub fn rollback(&self, name: &str) -> Result<Change> {
        let _changing = self.change();
        let previous = self.loaded_record(name)?.previous.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidState,
                format!("the driver {name} has no version before this one to go back to"),
            )
        })?;
        let bytes = self.shelf.take(&previous.digest)?;
        self.replace(check(&bytes)?, &bytes)
    }

    /// Unloads a driver, unless `users` names networks that need it. Calls under way end as they began.
    ///
    /// # Errors
    /// not-found, denied for a built-in driver, in-use.
    pub fn unload(&self, name: &str, users: impl FnOnce() -> Vec<String>) -> Result<()> {
        let _changing = self.change();
        self.loaded_record(name)?;
        let users = users();
        if !users.is_empty() {
            let message = format!(
                "the driver {name} is used by {}: remove these networks first",
                users.join(", ")
            );
            return Err(Error::new(ErrorCode::InUse, message).object(format!("driver {name}")));
        }
        self.record(
            self.records()
                .into_iter()
                .filter(|record| record.name != name)
                .collect(),
        )?;
        self.write().remove(name);
        Ok(())
    }

    /// All drivers, by name, absent ones as well.
    pub fn list(&self) -> Vec<Inspection> {
        self.read().values().map(inspection).collect()
    }

    /// One driver.
    ///
    /// # Errors
    /// not-found, with the names that there are.
    pub fn inspect(&self, name: &str) -> Result<Inspection> {
        let found = self.read().get(name).map(inspection);
        found.ok_or_else(|| self.unknown(name))
    }

    /// An upgrade to what runs already changes nothing, unless the operator's grants have changed meanwhile.
    fn replace(&self, checked: Checked, bytes: &[u8]) -> Result<Change> {
        let grants = self.outside.allowance(&checked.manifest.name)?.grants;
        if let Some(Entry::Loaded { driver, record }) = self.read().get(&checked.manifest.name)
            && record.current.digest == checked.digest
            && **driver.grants() == grants
        {
            return Ok(Change::AlreadySo(driver.identity().clone()));
        }
        self.take(checked, bytes)
    }

    /// Tries a component, keeps it, and makes it the driver of its name.
    fn take(&self, checked: Checked, bytes: &[u8]) -> Result<Change> {
        let current = Kept {
            version: checked.manifest.version.clone(),
            size: bytes.len() as u64,
            digest: checked.digest.clone(),
        };
        let name = checked.manifest.name.clone();
        let driver = self
            .prepare(checked, bytes)
            .inspect_err(|_| self.tidy(&self.records()))?;
        let identity = driver.identity().clone();
        let before = self.read().get(&name).and_then(Entry::record).cloned();
        let previous = before.and_then(|old| {
            if old.current.digest == current.digest {
                old.previous
            } else {
                Some(old.current)
            }
        });
        let record = Record {
            name,
            current,
            previous,
        };
        self.shelf.keep(&record.current.digest, bytes)?;
        let others = self.records().into_iter().filter(|other| other.name != record.name);
        self.record(others.chain([record.clone()]).collect())?;
        self.put(Entry::Loaded {
            driver: Arc::new(driver),
            record,
        });
        Ok(Change::Done(identity))
    }

    /// A driver that has shown that it can be compiled, linked, instantiated and configured.
    fn prepare(&self, checked: Checked, bytes: &[u8]) -> Result<WasmDriver> {
        let allowance = self.outside.allowance(&checked.manifest.name)?;
        check_grants(&checked, &allowance.grants)?;
        let named = |error: Error| error.driver(format!("{} {}", checked.manifest.name, checked.manifest.version));
        let component = self.compiler.compile(&checked.digest, bytes).map_err(named)?;
        let mut driver = WasmDriver::new(&self.engine, &component, checked.manifest, allowance.grants)?;
        let mut operation = self.outside.config_operation(driver.identity(), driver.grants());
        driver.configure(&mut operation, &allowance.options)?;
        self.outside.configured(driver.identity(), operation.finish())?;
        Ok(driver)
    }

    fn bring_back(&self, record: Record) -> Entry {
        let bytes = self.shelf.take(&record.current.digest);
        let driver = bytes.and_then(|bytes| self.prepare(check(&bytes)?, &bytes));
        match driver {
            Ok(driver) => Entry::Loaded {
                driver: Arc::new(driver),
                record,
            },
            Err(error) => {
                tracing::error!(driver = %record.name, %error, "a driver cannot be brought back");
                Entry::Absent {
                    record,
                    why: error.message,
                }
            }
        }
    }

    /// Writes the list of drivers down and lets go of what none of them needs.
    fn record(&self, records: Vec<Record>) -> Result<()> {
        self.shelf.record(&records)?;
        self.tidy(&records);
        Ok(())
    }

    /// Forgets the compiled code of all but these, a refused component's as well: it would fill the disk.
    fn tidy(&self, records: &[Record]) {
        let digests: Vec<&Digest> = records.iter().flat_map(Record::digests).collect();
        if let Err(error) = self.compiler.cache().keep_only(&digests) {
            tracing::warn!(%error, "compiled code that nobody needs stays");
        }
    }

    fn records(&self) -> Vec<Record> {
        self.read().values().filter_map(Entry::record).cloned().collect()
    }

    fn loaded_record(&self, name: &str) -> Result<Record> {
        let found = self.read().get(name).map(|entry| entry.record().cloned());
        found.ok_or_else(|| self.unknown(name))?.ok_or_else(|| built_in(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.names();
        let known = if names.is_empty() {
            "none is loaded".to_owned()
        } else {
            format!("loaded are {}", names.join(", "))
        };
        Error::not_found(format!("there is no driver \"{}\": {known}", shown(name)))
            .object(format!("driver {}", shown(name)))
    }

    /// A record whose name is a built-in driver's was written by an older host: the built-in one goes before it.
    fn put(&self, entry: Entry) {
        if let Some(name) = entry.record().map(|record| record.name.clone()) {
            self.write().insert(name, entry);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drivers for Registry {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        match self.read().get(name)? {
            Entry::BuiltIn(driver) => Some(driver.clone()),
            Entry::Loaded { driver, .. } => Some(driver.clone()),
            Entry::Absent { .. } => None,
        }
    }

    fn names(&self) -> Vec<String> {
        self.read()
            .iter()
            .filter(|(_, entry)| !matches!(entry, Entry::Absent { .. }))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("drivers", &self.names())
            .finish_non_exhaustive()
    }
}

fn check_grants(checked: &Checked, grants: &Grants) -> Result<()> {
    let lines = missing(&checked.manifest, grants);
    if lines.is_empty() {
        return Ok(());
    }
    let name = &checked.manifest.name;
    let message = format!(
        "the driver {name} asks for more than it is granted: add to the grants file\n{}",
        snippet(name, &lines)
    );
    Err(Error::new(ErrorCode::Denied, message.trim_end().to_owned()).object(format!("driver {name}")))
}

fn built_in(name: &str) -> Error {
    let message =
        format!("the driver {name} is built in: it cannot be replaced or unloaded, give the component another name");
    Error::new(ErrorCode::Denied, message).object(format!("driver {name}"))
}

fn other_version(loaded: &Identity, checked: &Checked) -> Error {
    let name = &loaded.name;
    let message = format!(
        "the driver {loaded} is loaded already: to replace it by {}, upgrade it",
        checked.manifest.version
    );
    Error::new(ErrorCode::AlreadyExists, message).object(format!("driver {name}"))
}

fn shown(name: &str) -> String {
    one_line(name, 60).escape_default().to_string()
}

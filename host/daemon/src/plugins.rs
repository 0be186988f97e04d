//! The registry's drivers and, beside them, the plugins that listen on sockets of their own. Where both have a name, the registry's driver counts:
//! what an operator loaded is not replaced by a file that turns up in a folder.

use std::{collections::BTreeSet, sync::Arc};

use jackfield_driver::{Drivers, LoadedDriver};
use jackfield_model::{Error, ErrorCode, Result};
use jackfield_remote::{RemoteDriver, RemoteDrivers};
use jackfield_wasm::{Change, Inspection, Registry};

use crate::{docker, drivers::DriverAdmin};

/// Both.
#[derive(Debug)]
pub(crate) struct WithPlugins {
    pub registry: Registry,
    pub plugins: RemoteDrivers,
}

impl WithPlugins {
    /// The plugin of that name, where no driver of the registry has it.
    fn unshadowed(&self, name: &str) -> Option<Arc<RemoteDriver>> {
        let shadowed = self.registry.names().iter().any(|taken| taken == name);
        // A host finds its own sockets where Docker does.
        if shadowed || docker::is_own_name(name) {
            None
        } else {
            self.plugins.plugin(name)
        }
    }

    fn refuse_plugin(&self, name: &str, what: &str) -> Result<()> {
        let Some(plugin) = self.unshadowed(name) else {
            return Ok(());
        };
        let message = format!(
            "driver {name} is a plugin that listens at {}, and cannot be {what}: start, replace and stop that process itself",
            plugin.address()
        );
        Err(Error::new(ErrorCode::Unsupported, message))
    }
}

impl Drivers for WithPlugins {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        self.registry.find(name).or_else(|| Some(self.unshadowed(name)? as _))
    }

    fn names(&self) -> Vec<String> {
        let plugins = self
            .plugins
            .names()
            .into_iter()
            .filter(|name| !docker::is_own_name(name));
        let all: BTreeSet<String> = self.registry.names().into_iter().chain(plugins).collect();
        all.into_iter().collect()
    }
}

impl DriverAdmin for WithPlugins {
    fn load(&self, component: &[u8]) -> Result<Change> {
        self.registry.load(component)
    }

    fn upgrade(&self, name: &str, component: &[u8]) -> Result<Change> {
        self.refuse_plugin(name, "upgraded")?;
        self.registry.upgrade(name, component)
    }

    fn rollback(&self, name: &str) -> Result<Change> {
        self.refuse_plugin(name, "rolled back")?;
        self.registry.rollback(name)
    }

    fn unload(&self, name: &str, users: &dyn Fn() -> Vec<String>) -> Result<()> {
        self.refuse_plugin(name, "unloaded")?;
        self.registry.unload(name, users)
    }

    fn list(&self) -> Vec<Inspection> {
        let mut all = self.registry.list();
        let plugins = self
            .plugins
            .names()
            .into_iter()
            .filter_map(|name| self.unshadowed(&name));
        all.extend(plugins.map(|plugin| inspection(&plugin)));
        all.sort_by(|a, b| a.identity.name.cmp(&b.identity.name));
        all
    }

    fn inspect(&self, name: &str) -> Result<Inspection> {
        match self.unshadowed(name) {
            Some(plugin) => Ok(inspection(&plugin)),
            None => self.registry.inspect(name),
        }
    }

    fn plugin(&self, name: &str) -> Option<String> {
        Some(self.unshadowed(name)?.address().to_string())
    }
}

fn inspection(plugin: &RemoteDriver) -> Inspection {
    Inspection {
        identity: plugin.identity().clone(),
        description: None,
        component: None,
        grants: plugin.grants().clone(),
        capabilities: plugin.capabilities(),
        features: plugin.features(),
        statistics: None,
        absent: None,
    }
}

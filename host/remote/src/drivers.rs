//! All plugins that can be found, each known by name and address for as long as the host runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jackfield_driver::{Drivers, LoadedDriver};
use jackfield_kernel::NamespaceId;

use crate::{Folders, RemoteDriver};

/// The plugins in some folders.
#[derive(Debug)]
pub struct RemoteDrivers {
    folders: Folders,
    realm: NamespaceId,
    known: Mutex<BTreeMap<String, Arc<RemoteDriver>>>,
}

impl RemoteDrivers {
    /// Those in these folders, which make their links in that realm.
    pub fn new(folders: Folders, realm: NamespaceId) -> Self {
        Self {
            folders,
            realm,
            known: Mutex::default(),
        }
    }

    /// The plugin of that name, if it is where it was or is found. What is known of its health stays, as long as its address does.
    pub fn plugin(&self, name: &str) -> Option<Arc<RemoteDriver>> {
        let address = match self.folders.find(name) {
            Ok(address) => address?,
            Err(error) => {
                tracing::warn!(%error, plugin = name, "a plugin cannot be used");
                return None;
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = known.get(name).filter(|plugin| *plugin.address() == address) {
            return Some(plugin.clone());
        }
        let plugin = Arc::new(RemoteDriver::new(name, address, self.realm));
        known.insert(name.to_owned(), plugin.clone());
        Some(plugin)
    }
}

impl Drivers for RemoteDrivers {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        self.plugin(name).map(|plugin| plugin as Arc<dyn LoadedDriver>)
    }

    fn names(&self) -> Vec<String> {
        self.folders.names().into_iter().collect()
    }
}

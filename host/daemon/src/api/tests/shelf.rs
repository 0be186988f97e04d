//! Drivers that come as the text `NAME VERSION`: what the API needs of a registry, without components.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jackfield_controller::builtin::BuiltIns;
use jackfield_driver::{Driver, Drivers, Features, Identity, LinkId, LoadedDriver, Operation, grants::Grants};
use jackfield_model::{
    Capabilities, EndpointReply, EndpointSpec, Error, ErrorCode, JoinReply, JoinSpec, NetworkSpec, Result,
};
use jackfield_wasm::{Change, ComponentInfo, Digest, Inspection};

use crate::drivers::DriverAdmin;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    built_in: BuiltIns,
    loaded: Mutex<BTreeMap<String, Vec<Arc<Loaded>>>>,
}

#[derive(Debug)]
struct Loaded {
    identity: Identity,
    grants: Arc<Grants>,
}

impl LoadedDriver for Loaded {
    fn identity(&self) -> &Identity {
        &self.identity
    }
    fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    fn features(&self) -> Features {
        Features::default()
    }
    fn instance(&self) -> Result<Box<dyn Driver + '_>> {
        Ok(Box::new(Idle))
    }
}

/// Takes every network and does nothing.
struct Idle;

impl Driver for Idle {
    fn create_network(&mut self, _: &mut Operation, _: &NetworkSpec) -> Result<()> {
        Ok(())
    }
    fn create_endpoint(&mut self, _: &mut Operation, _: &NetworkSpec, _: &EndpointSpec) -> Result<EndpointReply> {
        Ok(EndpointReply::default())
    }
    fn join(&mut self, _: &mut Operation, _: &JoinSpec) -> Result<JoinReply<LinkId>> {
        Ok(JoinReply {
            interface: None,
            gateway_ipv4: None,
            gateway_ipv6: None,
            metric: None,
            routes: Vec::new(),
        })
    }
}

fn read(component: &[u8]) -> Result<Loaded> {
    let words: Vec<_> = std::str::from_utf8(component)
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned)
        .collect();
    let [name, version] = words
        .try_into()
        .map_err(|_| Error::invalid("the body is no WebAssembly component"))?;
    Ok(Loaded {
        identity: Identity { name, version },
        grants: Arc::default(),
    })
}

impl Shelf {
    fn put(&self, name: &str, change: impl FnOnce(&mut Vec<Arc<Loaded>>)) -> Result<Change> {
        if self.built_in.find(name).is_some() {
            return Err(Error::new(ErrorCode::Denied, format!("the driver {name} is built in")));
        }
        change(self.loaded.lock().unwrap().entry(name.to_owned()).or_default());
        Ok(Change::Done(self.inspect(name)?.identity))
    }
}

impl Drivers for Shelf {
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>> {
        let loaded = self.loaded.lock().unwrap();
        let newest = loaded.get(name).and_then(|versions| versions.last()).cloned();
        newest
            .map(|it| it as Arc<dyn LoadedDriver>)
            .or_else(|| self.built_in.find(name))
    }
    fn names(&self) -> Vec<String> {
        self.built_in
            .names()
            .into_iter()
            .chain(self.loaded.lock().unwrap().keys().cloned())
            .collect()
    }
}

impl DriverAdmin for Shelf {
    fn load(&self, component: &[u8]) -> Result<Change> {
        let loaded = read(component)?;
        if let Some(there) = self.find(&loaded.identity.name) {
            return Ok(Change::AlreadySo(there.identity().clone()));
        }
        self.put(&loaded.identity.name.clone(), |versions| {
            versions.push(Arc::new(loaded))
        })
    }

    fn upgrade(&self, name: &str, component: &[u8]) -> Result<Change> {
        let loaded = read(component)?;
        self.put(name, |versions| versions.push(Arc::new(loaded)))
    }

    fn rollback(&self, name: &str) -> Result<Change> {
        self.put(name, |versions| drop(versions.pop()))
    }

    fn unload(&self, name: &str, users: &dyn Fn() -> Vec<String>) -> Result<()> {
        self.put(name, |_| ())?;
        if !users().is_empty() {
            return Err(Error::new(
                ErrorCode::InUse,
                format!("the driver {name} is used by {}", users().join(", ")),
            ));
        }
        self.loaded.lock().unwrap().remove(name);
        Ok(())
    }

    fn list(&self) -> Vec<Inspection> {
        self.names().iter().map(|name| self.inspect(name).unwrap()).collect()
    }

    fn inspect(&self, name: &str) -> Result<Inspection> {
        let driver = self
            .find(name)
            .ok_or_else(|| Error::not_found(format!("there is no driver {name}")))?;
        let component = self.loaded.lock().unwrap().get(name).map(|versions| ComponentInfo {
            api: "0.1.0".to_owned(),
            digest: Digest::of(name.as_bytes()),
            size: 9,
            previous: versions
                .len()
                .checked_sub(2)
                .map(|it| versions[it].identity.version.clone()),
        });
        Ok(Inspection {
            identity: driver.identity().clone(),
            description: None,
            component,
            grants: driver.grants().clone(),
            capabilities: driver.capabilities(),
            features: driver.features(),
            statistics: None,
            absent: None,
        })
    }
}

//! (to be written: the state diagram)

use std::sync::Arc;

use jackfield_driver::Drivers;
use jackfield_kernel::{Kernel, Namespace};
use jackfield_model::Result;

use crate::request::*;

/// The controller. Cheap to clone; every method blocks and may be called from many threads.
#[derive(Clone)]
pub struct Controller {
    _inner: Arc<()>,
}

/// Every reference (`&str`) is a name, a full id or an unambiguous prefix of one.
#[allow(unused_variables, clippy::missing_errors_doc, missing_docs)]
impl Controller {
    /// Opens the stores, takes the lock on them, recovers, and starts the reaper.
    pub fn open(config: Config, kernel: Arc<dyn Kernel>, own: Namespace, drivers: Arc<dyn Drivers>, events: EventSink) -> Result<Self> { unimplemented!() }
    /// Makes a caller's namespace a realm.
    pub fn open_realm(&self, namespace: Namespace) -> Result<RealmRef> { unimplemented!() }

    pub fn create_network(&self, realm: RealmRef, request: CreateNetwork) -> Result<Done<NetworkInfo>> { unimplemented!() }
    /// Denied while it has endpoints.
    pub fn delete_network(&self, realm: RealmRef, network: &str) -> Result<Done<()>> { unimplemented!() }
    pub fn networks(&self, realm: RealmRef) -> Result<Vec<NetworkInfo>> { unimplemented!() }
    pub fn network(&self, realm: RealmRef, network: &str) -> Result<NetworkInfo> { unimplemented!() }
    /// Deletes the networks that have no endpoints; answers with their names.
    pub fn prune_networks(&self, realm: RealmRef) -> Result<Vec<String>> { unimplemented!() }

    pub fn create_endpoint(&self, realm: RealmRef, network: &str, request: CreateEndpoint) -> Result<Done<EndpointInfo>> { unimplemented!() }
    pub fn delete_endpoint(&self, realm: RealmRef, endpoint: &str) -> Result<Done<()>> { unimplemented!() }
    pub fn endpoints(&self, realm: RealmRef) -> Result<Vec<EndpointInfo>> { unimplemented!() }
    pub fn endpoint(&self, realm: RealmRef, endpoint: &str) -> Result<EndpointInfo> { unimplemented!() }
    pub fn join(&self, realm: RealmRef, endpoint: &str, sandbox: &str, request: Join) -> Result<Done<EndpointInfo>> { unimplemented!() }
    pub fn leave(&self, realm: RealmRef, endpoint: &str) -> Result<Done<()>> { unimplemented!() }
    /// create-endpoint and join in one, on one driver instance; a failure leaves no endpoint.
    pub fn connect(&self, realm: RealmRef, network: &str, sandbox: &str, endpoint: CreateEndpoint, join: Join) -> Result<Done<EndpointInfo>> { unimplemented!() }
    /// leave and delete-endpoint in one.
    pub fn disconnect(&self, realm: RealmRef, network: &str, sandbox: &str) -> Result<Done<()>> { unimplemented!() }

    pub fn create_sandbox(&self, realm: RealmRef, request: CreateSandbox) -> Result<Done<SandboxInfo>> { unimplemented!() }
    /// Its endpoints leave and are deleted.
    pub fn delete_sandbox(&self, realm: RealmRef, sandbox: &str) -> Result<Done<()>> { unimplemented!() }
    pub fn sandboxes(&self, realm: RealmRef) -> Result<Vec<SandboxInfo>> { unimplemented!() }
    pub fn sandbox(&self, realm: RealmRef, sandbox: &str) -> Result<SandboxInfo> { unimplemented!() }

    /// Networks of that driver: it cannot be unloaded while there are any.
    pub fn networks_of_driver(&self, driver: &str) -> Vec<String> { unimplemented!() }
    /// Emits an event on behalf of the daemon (driver loads).
    pub fn emit(&self, object: &str, action: &str, id: &str, name: Option<&str>, attributes: jackfield_model::Options) { unimplemented!() }
    /// The store that drivers' keys live in, for `config` calls made at load.
    pub fn driver_state(&self) -> Arc<dyn jackfield_driver::StateStore> { unimplemented!() }
    /// The realm that the daemon itself is in.
    pub fn own_realm(&self) -> Arc<jackfield_kernel::Realm> { unimplemented!() }
}

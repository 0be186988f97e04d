//! The calls of a driver, and how the host gets at one.

use std::{fmt, sync::Arc};

use jackfield_model::{
    Capabilities, EndpointId, EndpointReply, EndpointSpec, Error, ErrorCode, JoinReply, JoinSpec, NetworkId,
    NetworkSpec, Options, PortMapping, Result,
};
use serde::{Deserialize, Serialize};

use crate::{LinkId, Operation, grants::Grants};

/// A driver's calls, on an instance that lives for one operation: create-endpoint and join of one connect share it, nothing else is remembered.
///
/// Calls block and are made without any lock held. Whatever they do to the kernel they record in the [`Operation`]; an error, a panic or a trap
/// discards it. The ways down (`delete_*`, `leave`) exist so that a driver can tell its own controller: the host cleans up by itself.
pub trait Driver: Send {
    /// Once when the driver is loaded, and again when its configuration changes.
    fn config(&mut self, _op: &mut Operation, _options: &Options) -> Result<Capabilities> {
        Ok(Capabilities::default())
    }
    /// A network comes.
    fn create_network(&mut self, op: &mut Operation, spec: &NetworkSpec) -> Result<()>;
    /// A network goes.
    fn delete_network(&mut self, _op: &mut Operation, _network: &NetworkId) -> Result<()> {
        Ok(())
    }
    /// An endpoint comes. Steps recorded here are applied with the first join.
    fn create_endpoint(
        &mut self,
        op: &mut Operation,
        network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply>;
    /// An endpoint goes.
    fn delete_endpoint(&mut self, _op: &mut Operation, _network: &NetworkId, _endpoint: &EndpointId) -> Result<()> {
        Ok(())
    }
    /// An endpoint joins a sandbox.
    fn join(&mut self, op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>>;
    /// An endpoint leaves its sandbox.
    fn leave(&mut self, _op: &mut Operation, _network: &NetworkId, _endpoint: &EndpointId) -> Result<()> {
        Ok(())
    }
    /// All of an endpoint's published ports; only with [`Features::external_connectivity`].
    fn program(
        &mut self,
        _op: &mut Operation,
        _network: &NetworkId,
        _endpoint: &EndpointId,
        _ports: &[PortMapping],
    ) -> Result<()> {
        Err(Error::new(
            ErrorCode::Unsupported,
            "this driver publishes no ports itself",
        ))
    }
    /// None of them any more.
    fn revoke(&mut self, _op: &mut Operation, _network: &NetworkId, _endpoint: &EndpointId) -> Result<()> {
        Ok(())
    }
}

/// Which driver, and which build of it: what errors, events and lists show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name that networks are created with.
    pub name: String,
    /// Its version, as semver writes it.
    pub version: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Which optional interfaces a driver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// It programs published ports itself.
    pub external_connectivity: bool,
    /// It is told of peers on other hosts.
    pub discovery: bool,
    /// It manages addresses.
    pub ipam: bool,
}

/// A driver that is ready. Whoever holds one goes on with this very version while another takes its place.
pub trait LoadedDriver: fmt::Debug + Send + Sync {
    /// Which.
    fn identity(&self) -> &Identity;
    /// What it may do.
    fn grants(&self) -> &Arc<Grants>;
    /// What it said of itself when it was configured.
    fn capabilities(&self) -> Capabilities;
    /// What else it can do.
    fn features(&self) -> Features;
    /// A fresh instance, for one operation.
    ///
    /// # Errors
    /// exhausted, when too many instances are at work.
    fn instance(&self) -> Result<Box<dyn Driver + '_>>;
}

/// The drivers of this host, by name.
pub trait Drivers: fmt::Debug + Send + Sync {
    /// The current version of that driver.
    fn find(&self, name: &str) -> Option<Arc<dyn LoadedDriver>>;
    /// All names, sorted.
    fn names(&self) -> Vec<String>;
}

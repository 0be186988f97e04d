//! A call on the way down that a driver still has to get, as it is kept until the driver hears it.

use jackfield_driver::{Driver, Operation, Phase};
use jackfield_kernel::NamespaceId;
use jackfield_model::{EndpointId, NetworkId, OperationId, Result};
use serde::{Deserialize, Serialize};

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// An endpoint has no published ports any more.
    Revoke,
    /// An endpoint left its sandbox.
    Leave,
    /// An endpoint is deleted.
    DeleteEndpoint,
    /// A network is deleted.
    DeleteNetwork,
}

/// A call that a driver still has to get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its own id.
    pub id: String,
    /// In which realm it happened.
    pub realm: NamespaceId,
    /// Which driver, by name.
    pub driver: String,
    /// Which call.
    pub call: Call,
    /// Which network.
    pub network: NetworkId,
    /// Which endpoint.
    pub endpoint: Option<EndpointId>,
    /// Times that it was tried.
    pub attempts: u32,
}

impl Letter {
    /// With an id of its own, not tried yet.
    pub fn new(
        realm: NamespaceId,
        driver: &str,
        call: Call,
        network: &NetworkId,
        endpoint: Option<&EndpointId>,
    ) -> Self {
        let id = OperationId::random().as_str().to_owned();
        Self {
            id,
            realm,
            driver: driver.to_owned(),
            call,
            network: network.clone(),
            endpoint: endpoint.cloned(),
            attempts: 0,
        }
    }

    /// The phase of its call.
    pub fn phase(&self) -> Phase {
        match self.call {
            Call::Revoke => Phase::Revoke,
            Call::Leave => Phase::Leave,
            Call::DeleteEndpoint => Phase::DeleteEndpoint,
            Call::DeleteNetwork => Phase::DeleteNetwork,
        }
    }

    /// Makes the call.
    pub fn make(&self, driver: &mut dyn Driver, operation: &mut Operation) -> Result<()> {
        match (self.call, &self.endpoint) {
            (Call::Revoke, Some(endpoint)) => driver.revoke(operation, &self.network, endpoint),
            (Call::Leave, Some(endpoint)) => driver.leave(operation, &self.network, endpoint),
            (Call::DeleteEndpoint, Some(endpoint)) => driver.delete_endpoint(operation, &self.network, endpoint),
            (Call::DeleteNetwork, _) => driver.delete_network(operation, &self.network),
            (Call::Revoke | Call::Leave | Call::DeleteEndpoint, None) => Ok(()),
        }
    }
}

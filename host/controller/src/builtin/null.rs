//! `null`: no connectivity. A sandbox on it keeps its loopback and nothing else.

use jackfield_driver::{Driver, LinkId, Operation};
use jackfield_model::{EndpointReply, EndpointSpec, Error, JoinReply, JoinSpec, NetworkSpec, Result};

use super::options::refuse_all;

/// The driver.
#[derive(Debug, Default)]
pub struct Null;

impl Driver for Null {
    fn create_network(&mut self, _op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        refuse_pools("null", spec)?;
        refuse_all("option of a null network", &spec.options)
    }

    fn create_endpoint(
        &mut self,
        _op: &mut Operation,
        _network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        refuse_all("option of a null endpoint", &spec.options)?;
        Ok(EndpointReply::default())
    }

    fn join(&mut self, _op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        refuse_all("join option of a null endpoint", &spec.options)?;
        Ok(JoinReply::default())
    }
}

/// A network without interfaces has no use for addresses.
pub fn refuse_pools(driver: &str, spec: &NetworkSpec) -> Result<()> {
    match spec.pools.first() {
        Some(pool) => Err(Error::invalid(format!(
            "a {driver} network has no addresses: leave out the subnet {}",
            pool.subnet
        ))),
        None => Ok(()),
    }
}

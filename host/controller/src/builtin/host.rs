//! `host`: the endpoint is the realm's own network stack. Nothing is made; who runs a sandbox on it runs it in the realm.

use jackfield_driver::{Driver, LinkId, Operation};
use jackfield_model::{EndpointReply, EndpointSpec, Error, JoinReply, JoinSpec, NetworkSpec, Result};

use super::{null::refuse_pools, options::refuse_all};

/// The driver.
#[derive(Debug, Default)]
pub struct Host;

impl Driver for Host {
    fn create_network(&mut self, _op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        if spec.internal {
            return Err(Error::invalid(
                "a host network cannot be internal: it is the host's own",
            ));
        }
        refuse_pools("host", spec)?;
        refuse_all("option of a host network", &spec.options)
    }

    fn create_endpoint(
        &mut self,
        _op: &mut Operation,
        _network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        if let Some(mac) = spec.mac {
            return Err(Error::invalid(format!(
                "an endpoint of a host network has no MAC address of its own: leave out {mac}"
            )));
        }
        refuse_all("option of a host endpoint", &spec.options)?;
        Ok(EndpointReply::default())
    }

    fn join(&mut self, _op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        refuse_all("join option of a host endpoint", &spec.options)?;
        Ok(JoinReply::default())
    }
}

//! What a driver is.

use crate::{Capabilities, EndpointReply, EndpointSpec, JoinReply, JoinSpec, NetworkSpec, Pairs, PortMapping, Result};

/// A network driver. The functions take no `self`: an instance lives for one operation, and what has to last goes into [`crate::state`].
///
/// Steps may be taken in `create_network`, `create_endpoint` and `join`. Those of `create_endpoint` are carried out with the join, and links are
/// best made there: it is the host that knows where they will live. The ways down exist so that a driver can tell a controller of its own:
/// whatever it made, the host takes back by itself.
pub trait Driver: 'static {
    /// Once when the driver is loaded, and again when its configuration changes.
    fn config(options: &Pairs) -> Result<Capabilities> {
        crate::Options::read(options, &[])?;
        Ok(Capabilities::default())
    }

    /// A network comes.
    fn create_network(network: &NetworkSpec) -> Result<()>;

    /// A network goes.
    fn delete_network(_network: &str) -> Result<()> {
        Ok(())
    }

    /// An endpoint comes.
    fn create_endpoint(_network: &NetworkSpec, _endpoint: &EndpointSpec) -> Result<EndpointReply> {
        Ok(EndpointReply::default())
    }

    /// An endpoint goes.
    fn delete_endpoint(_network: &str, _endpoint: &str) -> Result<()> {
        Ok(())
    }

    /// An endpoint joins a sandbox: answers with what the sandbox gets.
    fn join(join: &JoinSpec) -> Result<JoinReply>;

    /// An endpoint leaves its sandbox.
    fn leave(_network: &str, _endpoint: &str) -> Result<()> {
        Ok(())
    }
}

/// Optional: a driver that programs published ports itself. Without it the host publishes them.
pub trait PublishesPorts: Driver {
    /// All the endpoint's published ports, after join and whenever they change: what was programmed before and is not in the list goes.
    fn program(network: &str, endpoint: &str, ports: &[PortMapping]) -> Result<()>;

    /// None of them any more.
    fn revoke(_network: &str, _endpoint: &str) -> Result<()> {
        Ok(())
    }
}

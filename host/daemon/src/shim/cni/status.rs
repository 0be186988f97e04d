//! STATUS: whether an ADD could be served.

use jackfield_controller::{
    Controller,
    request::{NetworkInfo, RealmRef},
};
use jackfield_shims::cni::{Config, Failure, Network};

use crate::shim::network::find;

/// Code 50 where no ADD can be served, 51 where its network waits for something, so that those who are in it have no connectivity either.
pub fn status(controller: &Controller, realm: RealmRef, config: &Config) -> Result<(), Failure> {
    let network = match &config.network {
        Network::Named(name) => {
            let found = controller.network_without_leases(realm, name);
            Some(found.map_err(|error| Failure::not_available(error.message))?)
        }
        Network::Described(description) => {
            let found = find(controller, realm, config.name.as_str())?;
            let driver = description.driver.as_deref();
            found.is_none().then(|| loaded(controller, driver)).transpose()?;
            found
        }
    };
    network.map_or(Ok(()), |network| ready(&network))
}

/// A network that is yet to be made needs its driver.
fn loaded(controller: &Controller, driver: Option<&str>) -> Result<(), Failure> {
    match driver {
        Some(driver) if !controller.has_driver(driver) => Err(Failure::not_available(format!(
            "the driver \"{}\" is not loaded",
            driver.escape_default()
        ))),
        _ => Ok(()),
    }
}

fn ready(network: &NetworkInfo) -> Result<(), Failure> {
    if network.state != "ready" {
        return Err(Failure::limited(format!(
            "network {} is {}",
            network.name, network.state
        )));
    }
    let full = network
        .pools
        .iter()
        .find(|pool| pool.capacity > 0 && pool.used + pool.reserved >= pool.capacity);
    match full {
        Some(pool) => Err(Failure::not_available(format!(
            "network {} has no free address in {}",
            network.name, pool.pool.subnet
        ))),
        None => Ok(()),
    }
}

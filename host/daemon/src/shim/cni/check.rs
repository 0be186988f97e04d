//! CHECK: the kernel is asked, and what it has is compared with what the runtime was told.

use jackfield_controller::Controller;
use jackfield_kernel::{Dump, Ifindex, LinkInfo, plan::RouteKind};
use jackfield_model::{ErrorCode, IpNetwork};
use jackfield_shims::{
    cni::{Attachment, Failure, result::Expected},
    protocol::CniCall,
};
use serde_json::Value;

use super::{key, read};
use crate::shim::{caller::Caller, labels::sandbox_id};

/// Whether the attachment is as it should be.
pub fn check(
    controller: &Controller,
    caller: Caller,
    call: &CniCall,
    attachment: &Attachment,
    config: Value,
) -> Result<(), Failure> {
    let config = read(call, config)?;
    let previous = config
        .previous
        .as_ref()
        .ok_or_else(|| Failure::config("CHECK needs \"prevResult\", and the configuration has none"))?;
    let interface = config.interface.as_ref().unwrap_or(&attachment.interface);
    let expected = Expected::of(previous, interface.as_str())?;
    known(controller, &caller, attachment, config.name.as_str())?;
    let namespace = caller.sandbox.ok_or_else(|| {
        Failure::environment(format!(
            "CNI_NETNS: there is no network namespace at \"{}\"",
            call.netns.escape_default()
        ))
    })?;
    let realm = controller.own_realm();
    let kernel = realm.kernel();
    let namespace = kernel
        .adopt_namespace(namespace)
        .map_err(jackfield_model::Error::from)?;
    let dump = kernel.dump(&namespace).map_err(jackfield_model::Error::from);
    kernel.forget(&namespace);
    match difference(&dump?, interface.as_str(), &expected) {
        None => Ok(()),
        Some(what) => Err(Failure::not_as_it_should_be(format!(
            "interface {interface} of container {}: {what}",
            attachment.container
        ))),
    }
}

/// The host has it on record.
fn known(controller: &Controller, caller: &Caller, attachment: &Attachment, network: &str) -> Result<(), Failure> {
    let unknown = || {
        Failure::unknown_container(format!(
            "container {} is not attached to {network}",
            attachment.container
        ))
    };
    let id = sandbox_id(caller.namespace, &attachment.container)?;
    let sandbox = controller
        .sandbox(caller.realm, id.as_str())
        .map_err(|error| match error.code {
            ErrorCode::NotFound => unknown(),
            _ => error.into(),
        })?;
    let key = key(attachment, network);
    let mut endpoints = sandbox
        .endpoints
        .iter()
        .filter_map(|id| controller.endpoint(caller.realm, id.as_str()).ok());
    endpoints
        .find(|endpoint| key.is(&endpoint.labels))
        .map(drop)
        .ok_or_else(unknown)
}

/// The first thing that is otherwise, in words.
fn difference(dump: &Dump, interface: &str, expected: &Expected) -> Option<String> {
    let Some(link) = dump.links.iter().find(|link| link.name.as_str() == interface) else {
        return Some("it is gone".to_owned());
    };
    of_link(link, expected)
        .or_else(|| missing_address(dump, link.index, &expected.addresses))
        .or_else(|| missing_route(dump, expected))
}

fn of_link(link: &LinkInfo, expected: &Expected) -> Option<String> {
    if !link.up {
        return Some("it is down".to_owned());
    }
    let mac = expected.mac.filter(|mac| link.mac != Some(*mac))?;
    let has = link.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    Some(format!("its MAC address is {has}, and was {mac}"))
}

fn missing_address(dump: &Dump, index: Ifindex, addresses: &[IpNetwork]) -> Option<String> {
    let there = |address: &&IpNetwork| {
        dump.addresses
            .iter()
            .any(|a| a.index == index && a.address == **address)
    };
    let missing = addresses.iter().find(|address| !there(address))?;
    Some(format!("its address {missing} is gone"))
}

fn missing_route(dump: &Dump, expected: &Expected) -> Option<String> {
    let routes = dump.routes.iter().map(|info| &info.route);
    let unicast: Vec<_> = routes.filter(|route| route.kind == RouteKind::Unicast).collect();
    let missing = expected.routes.iter().find(|(destination, gateway)| {
        let is = |route: &&&jackfield_kernel::plan::Route| {
            route.destination == *destination && gateway.is_none_or(|gateway| route.gateway == Some(gateway))
        };
        unicast.iter().find(is).is_none()
    })?;
    Some(match missing.1 {
        Some(gateway) => format!("the route to {} via {gateway} is gone", missing.0),
        None => format!("the route to {} is gone", missing.0),
    })
}

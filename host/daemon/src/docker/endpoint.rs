//! Docker's calls about endpoints. The module's head says what stands after each.

use std::{net::IpAddr, path::PathBuf};

use jackfield_controller::{
    Controller,
    request::{CreateEndpoint, CreateSandbox, Done, EndpointInfo, Join, RealmRef, SandboxKind},
};
use jackfield_model::{
    DnsSettings, EndpointId, Error, ErrorCode, Family, NetworkId, NextHop, Options, Result, SandboxId, StaticRoute,
};
use serde_json::{Value, json};

use super::{
    Plugin,
    down::{LABEL, drop_empty, take_down},
    fields::{Fields, address},
    ids,
    options::of_endpoint,
    ports,
    reply::{Reply, Undo},
};

const OWN: RealmRef = RealmRef::Own;
/// Times that a join is tried whose sandbox somebody took away as empty meanwhile.
const TRIES: usize = 8;

/// Which endpoint a call is about.
struct Which {
    network: NetworkId,
    endpoint: EndpointId,
}

impl Which {
    fn read(request: &Fields<'_>) -> Result<Self> {
        Ok(Self {
            network: request.required("NetworkID", ids::network)?,
            endpoint: request.required("EndpointID", ids::endpoint)?,
        })
    }

    /// The endpoint, where it is one that Docker made in that network.
    fn find(&self, plugin: &Plugin) -> Result<EndpointInfo> {
        plugin.check_network(&self.network)?;
        let found = plugin.controller.endpoint(OWN, self.endpoint.as_str());
        let info = found.map_err(|error| match error.code {
            ErrorCode::NotFound => Error::not_found(format!("jackfield has no endpoint {}", self.endpoint.short())),
            _ => error,
        })?;
        if info.network != self.network || !info.labels.contains_key(LABEL) {
            let message = format!(
                "endpoint {} is not one that Docker made in network {}",
                self.endpoint.short(),
                self.network.short()
            );
            return Err(Error::new(ErrorCode::Denied, message));
        }
        Ok(info)
    }

    /// The same on the way down, where what is gone is no error.
    fn find_if_there(&self, plugin: &Plugin) -> Result<Option<EndpointInfo>> {
        match self.find(plugin) {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.code == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `NetworkDriver.CreateEndpoint`: answers with what was left open, and with nothing else.
pub fn create(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let which = Which::read(&request)?;
    plugin.check_network(&which.network)?;
    let asked = asked(&which, &request)?;
    let controller = &plugin.controller;
    let attempt = || controller.create_endpoint(OWN, which.network.as_str(), asked.clone());
    let done = match attempt() {
        Err(refusal)
            if refusal.code == ErrorCode::AlreadyExists && make_room(controller, &which, &asked.addresses)? =>
        {
            attempt()?
        }
        done => done?,
    };
    let made = matches!(done, Done::Done(_)).then_some(Undo::Endpoint(which.endpoint));
    let filled_in = filled_in(&asked, &done.into_inner());
    Ok(Reply::of(json!({ "Interface": filled_in })).undone_by(made))
}

fn asked(which: &Which, request: &Fields<'_>) -> Result<CreateEndpoint> {
    let mut addresses = Vec::new();
    let mut mac = None;
    if let Some(interface) = request.object("Interface")? {
        addresses.extend(interface.parsed("Address", |text| of_family(text, Family::Ipv4))?);
        addresses.extend(interface.parsed("AddressIPv6", |text| of_family(text, Family::Ipv6))?);
        mac = interface.parsed("MacAddress", str::parse)?;
    }
    Ok(CreateEndpoint {
        id: Some(which.endpoint.clone()),
        addresses,
        mac,
        options: of_endpoint(request.object("Options")?)?,
        labels: Options::from([(LABEL.to_owned(), which.endpoint.short().to_owned())]),
        ..CreateEndpoint::default()
    })
}

fn of_family(text: &str, family: Family) -> Result<IpAddr> {
    let address = address(text)?;
    if Family::of(address) != family {
        return Err(Error::invalid(format!("{address} is an address of the other family")));
    }
    Ok(address)
}

fn filled_in(asked: &CreateEndpoint, made: &EndpointInfo) -> Value {
    let mut open = serde_json::Map::new();
    if let Some(mac) = made.mac.filter(|_| asked.mac.is_none()) {
        open.insert("MacAddress".to_owned(), json!(mac.to_string()));
    }
    for (key, family) in [("Address", Family::Ipv4), ("AddressIPv6", Family::Ipv6)] {
        let given = asked.addresses.iter().any(|a| Family::of(*a) == family);
        let filled = made.addresses.iter().find(|a| Family::of(a.ip()) == family && !given);
        open.extend(filled.map(|address| (key.to_owned(), json!(address.to_string()))));
    }
    Value::Object(open)
}

/// Docker gives these addresses to a new endpoint, and it is Docker who manages them: endpoints of its that have them are gone. Answers whether
/// there were any.
fn make_room(controller: &Controller, which: &Which, addresses: &[IpAddr]) -> Result<bool> {
    let leases = controller
        .network(OWN, which.network.as_str())?
        .pools
        .into_iter()
        .flat_map(|p| p.leases);
    let holders = leases
        .filter(|lease| addresses.contains(&lease.address))
        .filter_map(|lease| lease.endpoint);
    let mut made = false;
    for holder in holders.filter(|id| *id != which.endpoint) {
        if controller.endpoint(OWN, holder.as_str())?.labels.contains_key(LABEL) {
            tracing::warn!(endpoint = %holder, "Docker has given its address away: it is gone, and deleted");
            take_down(controller, &holder)?;
            made = true;
        }
    }
    Ok(made)
}

/// `NetworkDriver.Join`
pub fn join(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let which = Which::read(&request)?;
    let before = which.find(plugin)?;
    let key = request.text("SandboxKey")?;
    if key.is_empty() {
        return Err(Error::invalid("the request has no SandboxKey"));
    }
    let sandbox = ids::sandbox(key)?;
    let controller = &plugin.controller;
    if before.sandbox.as_ref().is_some_and(|there| *there != sandbox) {
        // It has left that one: what Leave does is done by now.
        controller.leave(OWN, which.endpoint.as_str())?;
        before
            .sandbox
            .iter()
            .try_for_each(|left| drop_empty(controller, left))?;
    }
    let done = enter(controller, &which.endpoint, &sandbox, key).inspect_err(|_| {
        drop_empty(controller, &sandbox).unwrap_or_else(|error| tracing::warn!(%sandbox, "{error}"));
    })?;
    let made = matches!(done, Done::Done(_)).then_some(Undo::Stay(which.endpoint.clone()));
    let internal = plugin.check_network(&which.network)?.internal;
    Ok(Reply::of(joined(&done.into_inner(), internal)).undone_by(made))
}

/// Into the sandbox of that key, which is made where it is not there. An endpoint that joined it with ports keeps them.
fn enter(controller: &Controller, endpoint: &EndpointId, sandbox: &SandboxId, key: &str) -> Result<Done<EndpointInfo>> {
    let mut last = Error::internal("a sandbox is taken away over and over");
    for _ in 0..TRIES {
        make_sandbox(controller, sandbox, key)?;
        let there = controller.endpoint(OWN, endpoint.as_str())?;
        if there.sandbox.as_ref() == Some(sandbox) && there.state == "joined" {
            return Ok(Done::AlreadySo(there));
        }
        match controller.join(OWN, endpoint.as_str(), sandbox.as_str(), Join::default()) {
            Err(error) if error.code == ErrorCode::NotFound => last = error,
            joined => return joined,
        }
    }
    Err(last)
}

fn make_sandbox(controller: &Controller, id: &SandboxId, key: &str) -> Result<()> {
    let request = |name| CreateSandbox {
        id: Some(id.clone()),
        name,
        kind: SandboxKind::Foreign(PathBuf::from(key)),
        labels: Options::new(),
        dns: DnsSettings::default(),
    };
    match controller.create_sandbox(OWN, request(ids::sandbox_name(key))) {
        // Another dockerd's sandbox has that name: this one goes by its id.
        Err(error) if error.code == ErrorCode::AlreadyExists => controller.create_sandbox(OWN, request(None)).map(drop),
        made => made.map(drop),
    }
}

/// Never by docker_gwbridge: what a network has no gateway for is not to be reached; and an internal one has none.
fn joined(info: &EndpointInfo, internal: bool) -> Value {
    let gateway = |family| {
        let mut of_family = info
            .gateways
            .iter()
            .filter(|gateway| Family::of(**gateway) == family && !internal);
        of_family.next().map(ToString::to_string).unwrap_or_default()
    };
    let mut answer = json!({
        "Gateway": gateway(Family::Ipv4),
        "GatewayIPv6": gateway(Family::Ipv6),
        "StaticRoutes": [],
        "DisableGatewayService": true,
    });
    if let (Some(interface), Some(handover)) = (&info.interface, &info.handover) {
        answer["InterfaceName"] = json!({ "SrcName": interface, "DstPrefix": handover.prefix });
        answer["StaticRoutes"] = handover.routes.iter().map(route).collect();
    }
    answer
}

/// Docker has no metrics and sources of routes.
fn route(route: &StaticRoute) -> Value {
    let destination = route.destination.to_string();
    match route.next_hop {
        NextHop::Gateway(gateway) => json!({ "Destination": destination, "RouteType": 0, "NextHop": gateway }),
        NextHop::Connected => json!({ "Destination": destination, "RouteType": 1, "NextHop": "" }),
    }
}

/// `NetworkDriver.EndpointOperInfo`: what `docker inspect` may want to know. Of an endpoint that is gone there is nothing to say.
pub fn info(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let Some(info) = Which::read(&request)?.find_if_there(plugin)? else {
        return Ok(Reply::of(json!({ "Value": {} })));
    };
    let addresses: Vec<String> = info.addresses.iter().map(ToString::to_string).collect();
    Ok(Reply::of(json!({ "Value": {
        "jackfield.addresses": addresses,
        "jackfield.driver": info.driver,
        "jackfield.interface": info.interface,
        "jackfield.state": info.state,
        ports::PORT_MAP: ports::list(&info.ports),
    } })))
}

/// `NetworkDriver.ProgramExternalConnectivity`
pub fn publish(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let which = Which::read(&request)?;
    let asked = ports::read(request.object("Options")?)?;
    let before = which.find(plugin)?;
    if asked.is_empty() && before.ports.is_empty() {
        return Ok(Reply::empty());
    }
    let done = plugin.controller.set_ports(OWN, which.endpoint.as_str(), &asked)?;
    let made = matches!(done, Done::Done(_)).then_some(Undo::Ports(which.endpoint));
    Ok(Reply::empty().undone_by(made))
}

/// `NetworkDriver.RevokeExternalConnectivity`
pub fn revoke(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    unpublish(plugin, &Which::read(&request)?)
}

/// `NetworkDriver.Leave`: dockerd has yet to move the interface back; it leaves when it is deleted.
pub fn leave(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    unpublish(plugin, &Which::read(&request)?)
}

fn unpublish(plugin: &Plugin, which: &Which) -> Result<Reply> {
    if which.find_if_there(plugin)?.is_some_and(|info| !info.ports.is_empty()) {
        plugin.controller.set_ports(OWN, which.endpoint.as_str(), &[])?;
    }
    Ok(Reply::empty())
}

/// `NetworkDriver.DeleteEndpoint`
pub fn delete(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let which = Which::read(&request)?;
    if which.find_if_there(plugin)?.is_some() {
        take_down(&plugin.controller, &which.endpoint)?;
    }
    Ok(Reply::empty())
}

//! Docker's calls about networks.

use std::sync::Arc;

use jackfield_controller::request::{CreateNetwork, Done, PoolRequest, RealmRef};
use jackfield_model::{Error, ErrorCode, NetworkDns, NetworkId, NetworkSpec, Options, Result, Scope, parse_subnet};
use serde_json::{Value, json};

use super::{
    Plugin, down,
    fields::{Fields, address},
    ids,
    options::{self, of_network},
    reply::{Reply, Undo},
};

const OWN: RealmRef = RealmRef::Own;
/// The label of every network that Docker made, with its id there.
pub const LABEL: &str = "docker.network";
/// Options by which a bridge network says that the host is no gateway of it.
const GATEWAY_MODES: [(&str, [&str; 2]); 2] = [
    (
        "SkipIPv4",
        ["com.docker.network.bridge.gateway_mode_ipv4", "gateway-mode-ipv4"],
    ),
    (
        "SkipIPv6",
        ["com.docker.network.bridge.gateway_mode_ipv6", "gateway-mode-ipv6"],
    ),
];
/// A node of a swarm (NodeDiscovery of moby's discoverapi).
const NODES: u64 = 1;

impl Plugin {
    /// The driver's name.
    pub fn driver(&self) -> Result<&str> {
        let none = || Error::internal("this name has addresses alone");
        self.driver.as_deref().ok_or_else(none)
    }

    /// Makes sure that the network is Docker's, and of this driver.
    ///
    /// # Errors
    /// not-found, or denied for somebody else's.
    pub fn check_network(&self, id: &NetworkId) -> Result<Arc<NetworkSpec>> {
        let Some((driver, network)) = self.controller.network_in_brief(OWN, id)? else {
            let message = format!(
                "jackfield has no network {}: it was deleted here, delete it in Docker too",
                id.short()
            );
            return Err(Error::not_found(message));
        };
        if driver != self.driver()? || !network.labels.contains_key(LABEL) {
            let message = format!("network {} is not one that Docker made with {}", id.short(), self.name);
            return Err(Error::new(ErrorCode::Denied, message));
        }
        Ok(network)
    }
}

/// `NetworkDriver.GetCapabilities`
pub fn capabilities(plugin: &Plugin) -> Result<Reply> {
    // Of a driver that is absent for now what is most likely: dockerd asks once in its life.
    let said = plugin.drivers.find(plugin.driver()?);
    let said = said.map(|driver| driver.capabilities()).unwrap_or_default();
    let word = |scope| match scope {
        Scope::Local => "local",
        Scope::Global => "global",
    };
    Ok(Reply::of(json!({
        "Scope": word(plugin.scope.unwrap_or(said.scope)),
        "ConnectivityScope": word(said.connectivity_scope),
        "GwAllocChecker": true,
    })))
}

/// `NetworkDriver.GwAllocCheck`: whether a gateway's address would be wasted.
pub fn check_gateway(_plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let given = of_network(request.object("Options")?)?.driver;
    let isolated = |names: [&str; 2]| {
        names
            .iter()
            .any(|name| given.get(*name).is_some_and(|mode| mode == "isolated"))
    };
    let answer = GATEWAY_MODES
        .iter()
        .map(|(key, names)| ((*key).to_owned(), json!(isolated(*names))));
    Ok(Reply::of(Value::Object(answer.collect())))
}

/// `NetworkDriver.AllocateNetwork`, on a swarm's manager: what it answers takes the place of the options. No driver asks for that yet, so that
/// each node gets what the user said.
pub fn allocate(_plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    request.required("NetworkID", ids::network)?;
    pools(&request)?;
    let given = request
        .object("Options")?
        .map_or_else(|| Ok(Options::new()), options::texts)?;
    Ok(Reply::of(json!({ "Options": given })))
}

/// `NetworkDriver.FreeNetwork`: nothing was allocated.
pub fn free(_plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    request.required("NetworkID", ids::network)?;
    Ok(Reply::empty())
}

/// `NetworkDriver.CreateNetwork`
pub fn create(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let text = request.text("NetworkID")?;
    let id = request.required("NetworkID", ids::network)?;
    let said = of_network(request.object("Options")?)?;
    let asked = CreateNetwork {
        id: Some(id.clone()),
        name: ids::network_name(text)?,
        driver: Some(plugin.driver()?.to_owned()),
        pools: pools(&request)?,
        ipv6: false,
        ipv4: None,
        ipam: Some("runtime".to_owned()),
        allow_overlap: false,
        internal: said.internal,
        options: said.driver,
        labels: Options::from([(LABEL.to_owned(), text.to_owned())]),
        dns: NetworkDns::default(),
    };
    let done = plugin.controller.create_network(OWN, asked)?;
    let made = matches!(done, Done::Done(_)).then_some(Undo::Network(id));
    Ok(Reply::empty().undone_by(made))
}

/// `NetworkDriver.DeleteNetwork`. Docker deletes no network that it knows endpoints of: those here were forgotten there.
pub fn delete(plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    let id = request.required("NetworkID", ids::network)?;
    match plugin.check_network(&id) {
        Err(error) if error.code == ErrorCode::NotFound => return Ok(Reply::empty()),
        checked => drop(checked?),
    }
    for forgotten in down::of_docker(&plugin.controller, &id)? {
        down::take_down(&plugin.controller, &forgotten)?;
    }
    plugin.controller.delete_network(OWN, id.as_str())?;
    Ok(Reply::empty())
}

/// `NetworkDriver.DiscoverNew` and `DiscoverDelete`: no driver has to know of a swarm's nodes yet.
pub fn discover(_plugin: &Plugin, request: Fields<'_>) -> Result<Reply> {
    if request.number::<u64>("DiscoveryType")? == NODES {
        let data = request.object("DiscoveryData")?;
        data.map(|node| node.parsed("Address", address)).transpose()?;
    }
    Ok(Reply::empty())
}

fn pools(request: &Fields<'_>) -> Result<Vec<PoolRequest>> {
    let mut pools = Vec::new();
    for list in ["IPv4Data", "IPv6Data"] {
        for data in request.objects(list)? {
            pools.extend(pool(list, data)?);
        }
    }
    Ok(pools)
}

/// None where Docker's null IPAM stands for having no addresses.
fn pool(list: &str, data: Fields<'_>) -> Result<Option<PoolRequest>> {
    let subnet = data.parsed("Pool", parse_subnet)?.filter(|pool| pool.prefix() > 0);
    let Some(subnet) = subnet else { return Ok(None) };
    if subnet.is_ipv4() != (list == "IPv4Data") {
        return Err(Error::invalid(format!(
            "{list} has {subnet}, which is of the other family"
        )));
    }
    let mut auxiliary = Vec::new();
    for (name, value) in data.object("AuxAddresses")?.iter().flat_map(Fields::all) {
        let text = value
            .as_str()
            .ok_or_else(|| super::fields::wrong("an auxiliary address", value, "a string"))?;
        auxiliary.push((name.clone(), address(text)?));
    }
    Ok(Some(PoolRequest {
        subnet: Some(subnet),
        range: None,
        gateway: data.parsed("Gateway", address)?,
        auxiliary,
    }))
}

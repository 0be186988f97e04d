//! CNI's verbs. Parsing and the words of answers are the shims' library's; here a configuration becomes the controller's requests.

mod check;
mod collect;
mod status;

use std::net::IpAddr;

use jackfield_controller::{
    Controller,
    request::{CreateEndpoint, CreateNetwork, Join, NetworkInfo, PoolRequest, RealmRef},
};
use jackfield_model::{DnsLabel, DnsName, DnsSettings, Error, ErrorCode, Options, Result as Done};
use jackfield_shims::{
    cni::{
        Attachment, Config, Description, DnsConfig, Failure, Network, PoolWanted, Verb, Version,
        arguments::{self, Arguments},
        config::{Outline, decode},
        result,
    },
    protocol::{CniCall, Reply},
};
use serde_json::Value;

use super::{
    Spool,
    attach::{self, attach, detach},
    caller::Caller,
    gateways::gateway_of,
    labels::Key,
    network::{Wanted, ensure},
};

/// Who attaches, in labels.
const BY: &str = "cni";
/// The resolver of a sandbox that has names.
const RESOLVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// Nothing to print, or a result.
type Answer = Result<Option<Value>, Failure>;

/// Answers a call. `admit` finds out whose it is.
pub fn answer(controller: &Controller, spool: &Spool, admit: impl FnOnce() -> Done<Caller>, call: &CniCall) -> Reply {
    let config = decode(&call.config);
    let version = config.as_ref().map_or(Ok(Version::default()), Version::of);
    let answered = admit()
        .map_err(Failure::from)
        .and_then(|caller| act(controller, spool, caller, call, config?));
    match answered {
        Ok(value) => Reply::done(value.map(|value| value.to_string()).unwrap_or_default()),
        Err(failure) => Reply::failed(failure.json(version.unwrap_or_default()).to_string()),
    }
}

fn act(controller: &Controller, spool: &Spool, caller: Caller, call: &CniCall, config: Value) -> Answer {
    let verb = Verb::of(call)?;
    verb.check(Version::of(&config)?)?;
    match verb {
        Verb::Add(attachment) => {
            // What was to go before goes before.
            spool.drain(controller);
            add(controller, caller, call, &attachment, config).map(Some)
        }
        Verb::Del(attachment) => {
            let outline = Outline::read(&config)?;
            detach(controller, &caller, &key(&attachment, outline.name.as_str()))?;
            Ok(None)
        }
        Verb::Check(attachment) => check::check(controller, caller, call, &attachment, config).map(|()| None),
        Verb::Gc => collect::collect(controller, &caller, &Outline::read(&config)?).map(|()| None),
        Verb::Status => status::status(controller, caller.realm, &read(call, config)?).map(|()| None),
    }
}

fn read(call: &CniCall, config: Value) -> Result<Config, Failure> {
    Config::read(config, call.driver.as_deref(), call.resolv_conf.as_deref())
}

fn key<'a>(attachment: &'a Attachment, network: &'a str) -> Key<'a> {
    Key {
        container: &attachment.container,
        network,
        interface: attachment.interface.as_str(),
    }
}

fn add(
    controller: &Controller,
    caller: Caller,
    call: &CniCall,
    attachment: &Attachment,
    config: Value,
) -> Result<Value, Failure> {
    let config = read(call, config)?;
    let arguments = arguments::read(&call.arguments)?;
    if caller.sandbox.is_none() {
        return Err(Failure::environment(format!(
            "CNI_NETNS: there is no network namespace at \"{}\"",
            call.netns.escape_default()
        )));
    }
    // A prevResult that cannot be continued is refused before anything is made.
    result::Attached::default().json(config.version, config.previous.as_ref())?;
    let network = network(controller, caller.realm, &config)?;
    let wanted = attach::Attachment {
        by: BY,
        key: key(attachment, config.name.as_str()),
        interface: config.interface.clone().unwrap_or_else(|| attachment.interface.clone()),
        path: &call.netns,
        endpoint: endpoint(&config, arguments),
        join: Join {
            publish: config.runtime.ports.clone(),
            ..Join::default()
        },
        dns: settings(&config)?,
    };
    let attached = attach(controller, caller, &network, wanted)?;
    let attached = told(&attached, &network, &config, &call.netns);
    attached.json(config.version, config.previous.as_ref())
}

/// The network that the configuration means.
fn network(controller: &Controller, realm: RealmRef, config: &Config) -> Result<NetworkInfo, Failure> {
    match &config.network {
        Network::Named(name) => controller
            .network_without_leases(realm, name)
            .map_err(|error| match error.code {
                ErrorCode::NotFound => Failure::config(error.message),
                _ => error.into(),
            }),
        Network::Described(description) => Ok(ensure(controller, realm, &described(config, description))?),
    }
}

/// The network that the configuration describes, as it is asked for.
fn described(config: &Config, description: &Description) -> Wanted {
    let request = CreateNetwork {
        id: None,
        name: config.name.clone(),
        driver: description.driver.clone(),
        pools: description.pools.iter().map(pool).collect(),
        ipv6: description.ipv6,
        ipv4: None,
        ipam: None,
        allow_overlap: false,
        internal: description.internal,
        options: description.options.clone(),
        labels: Options::new(),
        dns: Default::default(),
    };
    Wanted { by: BY, request }
}

fn pool(wanted: &PoolWanted) -> PoolRequest {
    PoolRequest {
        subnet: Some(wanted.subnet),
        range: wanted.range,
        gateway: wanted.gateway,
        auxiliary: wanted
            .aside
            .iter()
            .map(|address| (address.to_string(), *address))
            .collect(),
    }
}

/// What capabilities and arguments ask for; a capability is the newer way and has the last word.
fn endpoint(config: &Config, arguments: Arguments) -> CreateEndpoint {
    let addresses = if config.addresses.is_empty() {
        arguments.addresses
    } else {
        config.addresses.clone()
    };
    let mut aliases = config.runtime.aliases.clone();
    let pod: Option<DnsLabel> = arguments.labels.get("K8S_POD_NAME").and_then(|name| name.parse().ok());
    aliases.extend(pod.filter(|pod| !aliases.contains(pod)));
    CreateEndpoint {
        addresses,
        mac: config.mac().or(arguments.mac),
        options: config.endpoint_options.clone(),
        labels: arguments.labels,
        aliases,
        ..CreateEndpoint::default()
    }
}

/// Names are the runtime's matter unless the configuration asks for ours.
fn settings(config: &Config) -> Result<DnsSettings, Failure> {
    if !config.names {
        return Ok(DnsSettings {
            off: true,
            ..DnsSettings::default()
        });
    }
    let search = config.dns.search.iter().map(|name| name.parse());
    Ok(DnsSettings {
        servers: config.dns.nameservers.clone(),
        search: search.collect::<Result<Vec<DnsName>, Error>>()?,
        options: config.dns.options.clone(),
        ..DnsSettings::default()
    })
}

fn told(attached: &attach::Attached, network: &NetworkInfo, config: &Config, netns: &str) -> result::Attached {
    let endpoint = &attached.endpoint;
    let with_gateway = |address: &jackfield_model::IpNetwork| (*address, gateway_of(address, endpoint, network));
    result::Attached {
        interface: endpoint.interface.as_ref().map(ToString::to_string).unwrap_or_default(),
        mac: endpoint.mac,
        addresses: endpoint.addresses.iter().map(with_gateway).collect(),
        gateways: if attached.is_default {
            endpoint.gateways.clone()
        } else {
            Vec::new()
        },
        sandbox: netns.to_owned(),
        dns: dns(config),
    }
}

fn dns(config: &Config) -> DnsConfig {
    let mut dns = config.dns.clone();
    if config.names {
        dns.nameservers = vec![RESOLVER];
    }
    dns
}

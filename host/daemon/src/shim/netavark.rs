//! netavark's verbs, for Podman. Podman gives out the addresses itself; the network is made on first use, in the realm of whoever calls.

use std::net::IpAddr;

use jackfield_controller::{
    Controller,
    request::{CreateEndpoint, CreateNetwork, Join, NetworkInfo, PoolRequest},
};
use jackfield_model::{DnsSettings, Error, NetworkDns, Options, Result};
use jackfield_shims::{
    fields::Unreadable,
    netavark::{
        Exec, Network, Status, error,
        input::{Outline, decode},
        shim::SOCKET_OPTION,
    },
    protocol::{NetavarkCall, Reply},
};

use super::{
    Spool,
    attach::{Attached, Attachment, attach, detach},
    caller::Caller,
    gateways::gateway_of,
    labels::Key,
    network::{Wanted, ensure},
};

/// Who attaches, in labels.
const BY: &str = "netavark";
/// The resolver of a sandbox that has names.
const RESOLVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// Answers a call. `admit` finds out whose it is; `create` is nobody's, since Podman calls it outside of its namespaces.
pub fn answer(
    controller: &Controller,
    spool: &Spool,
    admit: impl FnOnce() -> Result<Caller>,
    call: &NetavarkCall,
) -> Reply {
    let done = match call.verb.as_str() {
        "create" => create(controller, call),
        "setup" => admit().and_then(|caller| setup(controller, spool, caller, call)),
        "teardown" => admit().and_then(|caller| teardown(controller, &caller, call)),
        other => Err(Error::invalid(format!(
            "there is no verb \"{}\": expected create, setup, teardown or info",
            other.escape_default()
        ))),
    };
    match done {
        Ok(output) => Reply::done(output),
        Err(refusal) => Reply::failed(error(&in_full(&refusal)).to_string()),
    }
}

/// Podman shows this line and nothing else.
fn in_full(error: &Error) -> String {
    match &error.object {
        Some(object) => format!("{object}: {error}"),
        None => error.to_string(),
    }
}

fn unreadable(unreadable: Unreadable) -> Error {
    Error::invalid(unreadable.0)
}

/// Looks whether there could be such a network; it is given back as it came.
fn create(controller: &Controller, call: &NetavarkCall) -> Result<String> {
    let value = decode(&call.input).map_err(unreadable)?;
    let network = Network::read(value).map_err(unreadable)?;
    let driver = network.driver.or_else(|| call.driver.clone());
    match driver {
        Some(driver) if !controller.has_driver(&driver) => Err(Error::not_found(format!(
            "there is no driver \"{}\": load it with \"jackfield driver load\"",
            driver.escape_default()
        ))),
        _ => Ok(call.input.clone()),
    }
}

fn setup(controller: &Controller, spool: &Spool, caller: Caller, call: &NetavarkCall) -> Result<String> {
    let exec = Exec::read(decode(&call.input).map_err(unreadable)?).map_err(unreadable)?;
    // What was to go before goes before.
    spool.drain(controller);
    let wanted = described(&exec.network, call.driver.as_deref())?;
    let network = ensure(controller, caller.realm, &wanted)?;
    let attachment = Attachment {
        by: BY,
        key: Key {
            container: &exec.container,
            network: exec.network.name.as_str(),
            interface: exec.interface.as_str(),
        },
        interface: exec.interface.clone(),
        path: &call.netns,
        endpoint: CreateEndpoint {
            addresses: exec.addresses.clone(),
            mac: exec.mac,
            options: endpoint_options(&exec),
            aliases: exec.aliases.clone(),
            ..CreateEndpoint::default()
        },
        join: Join {
            publish: exec.ports.clone(),
            ..Join::default()
        },
        dns: DnsSettings {
            off: !exec.network.dns,
            ..DnsSettings::default()
        },
    };
    let attached = attach(controller, caller, &network, attachment)?;
    Ok(told(&attached, &network, &exec).json().to_string())
}

fn endpoint_options(exec: &Exec) -> Options {
    let translated = exec.options.iter().map(|(key, value)| (translate(key), value.clone()));
    translated.collect()
}

/// netavark writes its options with underscores.
fn translate(key: &str) -> String {
    match key {
        "no_default_route" => "no-default-route".to_owned(),
        other => other.to_owned(),
    }
}

/// The network as it is asked for.
fn described(network: &Network, program: Option<&str>) -> Result<Wanted> {
    let driver = network.driver.clone().or_else(|| program.map(str::to_owned));
    let is_bridge = driver.as_deref().is_none_or(|driver| driver == "bridge");
    let mut options = network.options.clone();
    options.remove(SOCKET_OPTION);
    let options = if is_bridge { bridge(network, options)? } else { options };
    let pool = |subnet: &jackfield_shims::netavark::Subnet| PoolRequest {
        subnet: Some(subnet.subnet),
        gateway: subnet.gateway,
        ..PoolRequest::default()
    };
    let request = CreateNetwork {
        id: Some(network.id.clone()),
        name: network.name.clone(),
        driver,
        pools: network.subnets.iter().map(pool).collect(),
        ipv6: network.ipv6 && !network.without_addresses,
        ipv4: None,
        ipam: network.without_addresses.then(|| "null".to_owned()),
        allow_overlap: false,
        internal: network.internal,
        options,
        labels: Options::new(),
        dns: NetworkDns {
            servers: network.dns_servers.clone(),
            off: !network.dns,
        },
    };
    Ok(Wanted { by: BY, request })
}

/// The options of netavark's own bridge in our bridge's words. Its `isolate` keeps networks apart, which ours always are.
fn bridge(network: &Network, given: Options) -> Result<Options> {
    let mut options: Options = given
        .into_iter()
        .filter(|(key, _)| key != "isolate")
        .map(|(key, value)| (translate(&key), value))
        .collect();
    if options.get("mode").is_some_and(|mode| mode == "managed") {
        options.remove("mode");
    }
    if let Some(interface) = &network.interface {
        options
            .entry("bridge".to_owned())
            .or_insert_with(|| interface.to_string());
    }
    let route = |(destination, gateway, metric): &(_, _, Option<u32>)| match metric {
        Some(metric) => format!("{destination} via {gateway} metric {metric}"),
        None => format!("{destination} via {gateway}"),
    };
    let routes: Vec<String> = network.routes.iter().map(route).collect();
    if !routes.is_empty() {
        options.insert("route".to_owned(), routes.join(","));
    }
    Ok(options)
}

fn told(attached: &Attached, network: &NetworkInfo, exec: &Exec) -> Status {
    let endpoint = &attached.endpoint;
    let addresses = endpoint.addresses.iter();
    // A sandbox that the host cannot find again has no names: nobody could tell when its resolver has to go.
    let names = exec.network.dns && attached.has_path;
    Status {
        interface: exec.interface.to_string(),
        mac: endpoint.mac,
        addresses: addresses
            .map(|address| (*address, gateway_of(address, endpoint, network)))
            .collect(),
        dns_servers: if names { vec![RESOLVER] } else { Vec::new() },
    }
}

fn teardown(controller: &Controller, caller: &Caller, call: &NetavarkCall) -> Result<String> {
    let value = decode(&call.input).map_err(unreadable)?;
    let outline = Outline::read(&value).map_err(unreadable)?;
    let key = Key {
        container: &outline.container,
        network: outline.network.as_str(),
        interface: outline.interface.as_str(),
    };
    detach(controller, caller, &key)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn network(driver: &str, options: serde_json::Value) -> Network {
        Network::read(json!({
            "name": "sp1", "id": "1".repeat(64), "driver": driver, "network_interface": "podman1", "options": options,
            "subnets": [{"subnet": "10.90.0.0/24"}], "routes": [{"destination": "10.1.0.0/16", "gateway": "10.90.0.9", "metric": 7}],
        }))
        .unwrap()
    }

    #[test]
    fn podmans_bridge_options_are_translated_and_another_drivers_are_left() {
        let given = json!({"mtu": "1400", "isolate": "true", "no_default_route": "true", "mode": "managed", "jackfield.socket": "/x"});
        let bridge = described(&network("jackfield", given.clone()), None).unwrap().request;
        let expected = [
            ("bridge", "podman1"),
            ("mtu", "1400"),
            ("no-default-route", "true"),
            ("route", "10.1.0.0/16 via 10.90.0.9 metric 7"),
        ];
        assert_eq!(
            bridge.options,
            Options::from(expected.map(|(k, v)| (k.to_owned(), v.to_owned())))
        );
        let ptp = described(&network("ptp", json!({"mtu": "1400"})), None)
            .unwrap()
            .request;
        assert_eq!((ptp.driver.as_deref(), ptp.options.len()), (Some("ptp"), 1));
        assert_eq!(ptp.id.unwrap().as_str(), "1".repeat(64));
    }
}

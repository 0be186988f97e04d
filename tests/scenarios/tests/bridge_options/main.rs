//! Each option of the built-in bridge, with packets where packets tell.

mod adopted;
mod border;
mod interface;

use std::net::IpAddr;

use jackfield_kernel::{Dump, Ifindex, Kernel, LinkInfo, LinkQuery, Namespace, NamespaceSource, plan};
use jackfield_lab::{Client, Host, Joined, Lab, LabError, Result, Sandbox};
use jackfield_model::{IpNetwork, LinkName};
use jackfield_scenarios::{expect_as_before, host};
use serde_json::{Value, json};

/// An index of somebody else's, far from the kernel's own and from the host's.
const FOREIGN: u32 = 3000;
const GATEWAY: &str = "10.77.1.1";
const GATEWAY_IPV6: &str = "fd00:77:1::1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

fn net(text: &str) -> Result<IpNetwork> {
    text.parse().map_err(|cause| LabError::new(text, cause))
}

fn name(text: &str) -> Result<LinkName> {
    text.parse().map_err(|cause| LabError::new(text, cause))
}

fn index(number: u32) -> Result<Ifindex> {
    Ifindex::new(number).ok_or_else(|| LabError::new("an index", number.to_string()))
}

/// Network `blue`, in both families, with these options.
fn blue(options: Value) -> Value {
    json!({
        "name": "blue", "options": options, "ipv6": true,
        "pools": [{ "subnet": "10.77.1.0/24" }, { "subnet": "fd00:77:1::/64" }],
    })
}

/// A lab with a host in it, and what the realm held before that.
fn with_host(
    scenario: &str,
    prepare: impl FnOnce(&Lab) -> Result<()>,
    run: impl FnOnce(&Lab, &mut Client) -> Result<()>,
) -> Result<()> {
    let lab = Lab::new(&format!("bridge-{scenario}"))?;
    prepare(&lab)?;
    let before = lab.dump()?;
    let host: Host<'_> = host(&lab)?;
    let mut client = host.client()?;
    run(&lab, &mut client)?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

/// Takes sandboxes and the network away.
fn clear(client: &mut Client, sandboxes: &[&Sandbox]) -> Result<()> {
    for sandbox in sandboxes {
        sandbox.delete(client)?;
    }
    client.delete("/v1/networks/blue")?.ok("delete network").map(drop)
}

fn link(lab: &Lab, namespace: &Namespace, called: &str) -> Result<LinkInfo> {
    let found = lab.kernel().link(namespace, LinkQuery::Name(&name(called)?));
    found
        .map_err(|cause| LabError::new(format!("look at link {called}"), cause))?
        .ok_or_else(|| LabError::new("look", format!("there is no link {called}")))
}

fn addresses_of(dump: &Dump, link: &LinkInfo) -> Vec<String> {
    let of_link = dump.addresses.iter().filter(|a| a.index == link.index);
    of_link.map(|a| a.address.to_string()).collect()
}

/// A namespace that a test's preparation made.
fn open(lab: &Lab, called: &str) -> Result<Namespace> {
    let source = NamespaceSource::Path(lab.namespace_path(called));
    let opened = lab.kernel().open_namespace(&source);
    opened.map_err(|cause| LabError::new(format!("open namespace {called}"), cause))
}

/// Routes of a sandbox as `DESTINATION via GATEWAY metric METRIC`.
fn routes(lab: &Lab, sandbox: &Sandbox) -> Result<Vec<String>> {
    let shown = |r: &plan::Route| {
        let via = r.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
        let metric = r.metric.map(|m| format!(" metric {m}")).unwrap_or_default();
        format!("{}{via}{metric}", r.destination)
    };
    Ok(lab
        .dump_of(&sandbox.namespace)?
        .routes
        .iter()
        .map(|r| shown(&r.route))
        .collect())
}

fn pair(lab: &Lab, client: &mut Client) -> Result<[(Sandbox, Joined); 2]> {
    let a = Sandbox::create(lab, client, "a")?;
    let b = Sandbox::create(lab, client, "b")?;
    let (in_a, in_b) = (a.connect(client, "blue")?, b.connect(client, "blue")?);
    Ok([(a, in_a), (b, in_b)])
}

#[test]
fn an_unknown_option_is_answered_with_the_known_ones_and_the_nearest() -> Result<()> {
    with_host(
        "unknown",
        |_| Ok(()),
        |_, client| {
            for (options, words) in [
                (
                    json!({ "isolate": "true" }),
                    vec!["isolate", "did you mean \"isolated\"?", "bandwidth-in"],
                ),
                (
                    json!({ "com.docker.network.driver.mtuu": "1400" }),
                    vec!["did you mean \"com.docker.network.driver.mtu\"?"],
                ),
                (
                    json!({ "mtu": "1400", "com.docker.network.driver.mtu": "1500" }),
                    vec!["mtu is \"1400\"", "it is \"1500\""],
                ),
            ] {
                let refused = client.post("/v1/networks", &blue(options))?;
                assert_eq!(refused.status, 400, "{}", refused.body);
                for word in words {
                    assert!(refused.detail().contains(word), "{word} in {}", refused.detail());
                }
            }
            Ok(())
        },
    )
}

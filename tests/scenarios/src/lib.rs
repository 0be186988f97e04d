//! What the scenarios share: a host with every driver loaded, and the networks that they are tried with.
//!
//! A scenario may know the host's programs and sockets only, and the kernel as a reader. Each runs in a realm of its own, side by side with the
//! others, and leaves that realm as it was.
#![forbid(unsafe_code)]

mod inner;
pub mod runtimes;

pub use inner::Inner;

use jackfield_lab::{Client, Host, HostOptions, Lab, LabError, Result, component};
use serde_json::{Value, json};

/// A kind of network that scenarios are run on.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its driver.
    pub driver: &'static str,
    /// Folder of drivers/ that it is built from; None for a built-in one.
    pub component: Option<&'static str>,
    /// Its options.
    pub options: &'static [(&'static str, &'static str)],
    /// The host reaches its sandboxes: it is the gateway.
    pub host_is_gateway: bool,
}

/// Every kind that connects sandboxes.
pub const KINDS: [Kind; 4] = [
    Kind {
        driver: "bridge",
        component: None,
        options: &[],
        host_is_gateway: true,
    },
    Kind {
        driver: "ptp",
        component: Some("ptp"),
        options: &[],
        host_is_gateway: true,
    },
    Kind {
        driver: "bridge-component",
        component: Some("bridge"),
        options: &[],
        host_is_gateway: true,
    },
    Kind {
        driver: "macvlan",
        component: Some("macvlan"),
        options: &[("parent", "up0"), ("mode", "bridge")],
        host_is_gateway: false,
    },
];

impl Kind {
    /// The request that creates a network of this kind, in both families; `number` keeps its subnets apart from others'.
    pub fn network(&self, name: &str, number: u8) -> Value {
        let options: serde_json::Map<String, Value> =
            self.options.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        json!({
            "name": name,
            "driver": self.driver,
            "options": options,
            "ipv6": true,
            "pools": [{ "subnet": format!("10.77.{number}.0/24") }, { "subnet": format!("fd00:77:{number}::/64") }],
        })
    }
}

/// A host with the grants above.
///
/// # Errors
/// When it does not start.
pub fn host(lab: &Lab) -> Result<Host<'_>> {
    Host::start(
        lab,
        HostOptions {
            grants: component::GRANTS.to_owned(),
            ..HostOptions::default()
        },
    )
}

/// Loads a kind's driver, where it is a component.
///
/// # Errors
/// When the host refuses it.
pub fn load(client: &mut Client, kind: &Kind) -> Result<()> {
    let Some(name) = kind.component else { return Ok(()) };
    client
        .component("POST", "/v1/drivers", &component::read(name)?)?
        .ok(&format!("load {name}"))
        .map(drop)
}

/// Fails a scenario when the realm is not as it was.
///
/// # Errors
/// With both dumps.
pub fn expect_as_before(lab: &Lab, before: &jackfield_kernel::Dump) -> Result<()> {
    let after = lab.dump()?;
    if &after == before {
        return Ok(());
    }
    Err(LabError::new(
        "compare the realm with what it was",
        difference(before, &after),
    ))
}

/// The lines that only one of two values has, as their debug form writes them.
pub fn difference(before: &impl std::fmt::Debug, after: &impl std::fmt::Debug) -> String {
    let (before, after) = (format!("{before:#?}"), format!("{after:#?}"));
    let gone = before
        .lines()
        .filter(|l| !after.lines().any(|m| m == *l))
        .map(|l| format!("- {l}"));
    let new = after
        .lines()
        .filter(|l| !before.lines().any(|m| m == *l))
        .map(|l| format!("+ {l}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

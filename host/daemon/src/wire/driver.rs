//! Drivers.

use jackfield_driver::Features;
use jackfield_model::Scope;
use jackfield_wasm::{ComponentInfo, Inspection, Statistics};
use serde::{Deserialize, Serialize};

/// A driver: built in, a component that was loaded, or a plugin that runs by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// The name that networks are created with.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in its vendor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where its networks' state lives.
    pub scope: Scope,
    /// Optional interfaces that it has.
    pub features: Vec<String>,
    /// None: it is part of the host, or a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
    /// Where it listens, if it is a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Why it cannot be used, when it was loaded once and could not be brought back at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// What it may do, as in the file of grants.
    pub grants: serde_json::Value,
    /// Names of the networks that use it.
    pub networks: Vec<String>,
}

/// The component that a driver was loaded from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Version of the driver API that it was built for.
    pub api: String,
    /// SHA-256, in hexadecimal digits.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// The version that a rollback brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// How it fares since this version was loaded.
    pub calls: Calls,
}

/// A driver's calls, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// That began.
    pub begun: u64,
    /// That the driver itself answered with an error.
    pub refused: u64,
    /// That ended in a trap.
    pub trapped: u64,
    /// That were stopped at their deadline.
    pub timed_out: u64,
    /// What it asked the host beyond its grants.
    pub denied: u64,
}

impl Driver {
    /// A driver and the networks that use it.
    pub(crate) fn new(
        inspection: Inspection,
        plugin: Option<String>,
        networks: Vec<String>,
    ) -> serde_json::Result<Self> {
        let Inspection {
            identity,
            description,
            component,
            grants,
            capabilities,
            features,
            statistics,
            absent,
        } = inspection;
        Ok(Self {
            name: identity.name,
            version: identity.version,
            description,
            scope: capabilities.scope,
            features: names(features),
            component: component.map(|it| Component::new(it, statistics.unwrap_or_default())),
            plugin,
            absent,
            grants: serde_json::to_value(grants.as_ref())?,
            networks,
        })
    }
}

impl Component {
    fn new(info: ComponentInfo, statistics: Statistics) -> Self {
        let ComponentInfo {
            api,
            digest,
            size,
            previous,
        } = info;
        Self {
            api,
            digest: digest.as_str().to_owned(),
            size,
            previous,
            calls: statistics.into(),
        }
    }
}

impl From<Statistics> for Calls {
    fn from(statistics: Statistics) -> Self {
        let Statistics {
            calls,
            refusals,
            traps,
            timeouts,
            denials,
        } = statistics;
        Self {
            begun: calls,
            refused: refusals,
            trapped: traps,
            timed_out: timeouts,
            denied: denials,
        }
    }
}

fn names(features: Features) -> Vec<String> {
    let Features {
        external_connectivity,
        discovery,
        ipam,
    } = features;
    let all = [
        ("external-connectivity", external_connectivity),
        ("discovery", discovery),
        ("ipam", ipam),
    ];
    all.iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

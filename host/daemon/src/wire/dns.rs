//! What is asked of the name service.

use std::net::IpAddr;

use jackfield_model::{DnsName, DnsSettings, NetworkDns};
use serde::{Deserialize, Serialize};

use super::text;

/// What a sandbox wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxNames {
    /// Servers that are asked what no network of the sandbox knows; empty: those of its networks, then the host's.
    #[serde(deserialize_with = "text::addresses", skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// Search domains; empty: the host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<DnsName>,
    /// Options of its resolv.conf.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Its host name; None: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<DnsName>,
    /// No name service at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

impl SandboxNames {
    /// Nothing in particular.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<SandboxNames> for DnsSettings {
    fn from(wire: SandboxNames) -> Self {
        let SandboxNames {
            servers,
            search,
            options,
            hostname,
            off,
        } = wire;
        Self {
            servers,
            search,
            options,
            hostname,
            off,
        }
    }
}

impl From<DnsSettings> for SandboxNames {
    fn from(settings: DnsSettings) -> Self {
        let DnsSettings {
            servers,
            search,
            options,
            hostname,
            off,
        } = settings;
        Self {
            servers,
            search,
            options,
            hostname,
            off,
        }
    }
}

/// What a network wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkNames {
    /// Servers that its sandboxes ask which have none of their own; empty: the host's.
    #[serde(deserialize_with = "text::addresses", skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
    /// Its endpoints have no names.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
}

impl NetworkNames {
    /// Nothing in particular.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<NetworkNames> for NetworkDns {
    fn from(wire: NetworkNames) -> Self {
        let NetworkNames { servers, off } = wire;
        Self { servers, off }
    }
}

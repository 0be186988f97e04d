//! Endpoints, and what attaches them to a sandbox.

use std::net::IpAddr;

use jackfield_controller::request::{self, EndpointInfo};
use jackfield_model::{
    DnsLabel, EndpointId, IpNetwork, LinkName, MacAddr, Name, NetworkId, Options, PortMapping, Publish, SandboxId,
    Service,
};
use serde::{Deserialize, Serialize};

use super::text;

/// `POST /v1/networks/{network}/endpoints`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateEndpoint {
    /// None: a random one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EndpointId>,
    /// None: no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Empty: the host chooses one of each family that the network has.
    #[serde(deserialize_with = "text::addresses", skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Its addresses stay reserved for its name when it is gone.
    pub reserve: bool,
    /// None: the driver or the host chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Driver options.
    #[serde(skip_serializing_if = "Options::is_empty")]
    pub options: Options,
    /// Labels.
    #[serde(skip_serializing_if = "Options::is_empty")]
    pub labels: Options,
    /// Further names in its network; others may have the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<DnsLabel>,
    /// Services that are found by each of its names, as `http:8080/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
}

/// `POST /v1/endpoints/{endpoint}/join`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Name, id or unambiguous beginning of an id.
    pub sandbox: String,
    /// The sandbox's default route goes by the endpoint of the highest priority.
    #[serde(default)]
    pub priority: i32,
    /// None: the driver's prefix and the first free number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<LinkName>,
    /// The name of a service that the endpoint is one of: its virtual address spreads connections over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Name>,
    /// Join options.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub options: Options,
    /// Ports that others reach on the host's addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<Publish>,
}

/// `POST /v1/networks/{network}/connect`: an endpoint is created and joins, or nothing is left of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Name, id or unambiguous beginning of an id.
    pub sandbox: String,
    /// The endpoint's id; None: a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EndpointId>,
    /// The endpoint's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Empty: the host chooses one of each family that the network has.
    #[serde(default, deserialize_with = "text::addresses", skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// The addresses stay reserved for the endpoint's name, or else the sandbox's, when it is gone.
    #[serde(default)]
    pub reserve: bool,
    /// None: the driver or the host chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The sandbox's default route goes by the endpoint of the highest priority.
    #[serde(default)]
    pub priority: i32,
    /// None: the driver's prefix and the first free number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<LinkName>,
    /// Driver options of the endpoint.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub options: Options,
    /// The name of a service that the endpoint is one of: its virtual address spreads connections over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Name>,
    /// Options of the join.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub join_options: Options,
    /// Labels of the endpoint.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub labels: Options,
    /// Ports that others reach on the host's addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<Publish>,
    /// Further names in its network; others may have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<DnsLabel>,
    /// Services that are found by each of its names, as `http:8080/tcp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
}

/// `PUT /v1/endpoints/{endpoint}/ports`: these and no others, all of them or as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// Ports that others reach on the host's addresses.
    pub publish: Vec<Publish>,
}

/// `POST /v1/networks/{network}/disconnect`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// Name, id or unambiguous beginning of an id.
    pub sandbox: String,
}

impl From<CreateEndpoint> for request::CreateEndpoint {
    fn from(wire: CreateEndpoint) -> Self {
        let CreateEndpoint {
            id,
            name,
            addresses,
            reserve,
            mac,
            options,
            labels,
            aliases,
            services,
        } = wire;
        Self {
            id,
            name,
            addresses,
            reserve,
            mac,
            options,
            labels,
            aliases,
            services,
        }
    }
}

impl Join {
    /// The sandbox, and the rest as the controller takes it.
    pub fn into_parts(self) -> (String, request::Join) {
        let Self {
            sandbox,
            priority,
            interface,
            behind,
            options,
            publish,
        } = self;
        (
            sandbox,
            request::Join {
                priority,
                interface,
                behind,
                options,
                publish,
            },
        )
    }
}

impl Connect {
    /// The sandbox, the endpoint and the join, as the controller takes them.
    pub fn into_parts(self) -> (String, request::CreateEndpoint, request::Join) {
        let Self {
            sandbox,
            id,
            name,
            addresses,
            reserve,
            mac,
            priority,
            interface,
            behind,
            options,
            join_options,
            labels,
            publish,
            aliases,
            services,
        } = self;
        let endpoint = request::CreateEndpoint {
            id,
            name,
            addresses,
            reserve,
            mac,
            options,
            labels,
            aliases,
            services,
        };
        (
            sandbox,
            endpoint,
            request::Join {
                priority,
                interface,
                behind,
                options: join_options,
                publish,
            },
        )
    }
}

/// An endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its network.
    pub network: NetworkId,
    /// The sandbox that it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// Its MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Its addresses.
    pub addresses: Vec<IpNetwork>,
    /// Its interface in the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<LinkName>,
    /// Default gateways that its driver gave.
    pub gateways: Vec<IpAddr>,
    /// Its published ports, with the host's ports that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMapping>,
    /// Name and version of the driver that answered its join.
    pub driver: String,
    /// Driver options.
    pub options: Options,
    /// Further names in its network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<DnsLabel>,
    /// Labels.
    pub labels: Options,
    /// `created` or `joined`.
    pub state: String,
}

impl From<EndpointInfo> for Endpoint {
    fn from(info: EndpointInfo) -> Self {
        let EndpointInfo {
            id,
            name,
            network,
            sandbox,
            mac,
            addresses,
            interface,
            gateways,
            // The runtime's business.
            handover: _,
            ports,
            driver,
            options,
            aliases,
            labels,
            state,
        } = info;
        Self {
            id,
            name,
            network,
            sandbox,
            mac,
            addresses,
            interface,
            gateways,
            ports,
            driver,
            options,
            aliases,
            labels,
            state,
        }
    }
}

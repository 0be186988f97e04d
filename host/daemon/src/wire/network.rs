//! Networks.

use std::net::IpAddr;

use jackfield_controller::request::{self, LeaseInfo, NetworkInfo, PoolInfo};
use jackfield_model::{EndpointId, IpNetwork, Name, NetworkId, Options, SandboxId};
use serde::{Deserialize, Serialize};

use super::{NetworkNames, text};

/// `POST /v1/networks`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateNetwork {
    /// None: a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<NetworkId>,
    /// Unique on this host.
    pub name: Name,
    /// None: `bridge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Empty: the host chooses one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolRequest>,
    /// Whether there is to be an IPv6 pool where none is given.
    #[serde(default)]
    pub ipv6: bool,
    /// Whether there is to be an IPv4 pool where none is given. None: when no pool at all is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<bool>,
    /// Who manages the addresses, `default` or `null`. None: the driver where it does that, else `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<String>,
    /// The subnets may overlap what the host has routes to.
    #[serde(default)]
    pub allow_overlap: bool,
    /// No way in or out.
    #[serde(default)]
    pub internal: bool,
    /// Driver options.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub options: Options,
    /// Labels.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub labels: Options,
    /// What it wants of the name service.
    #[serde(default, skip_serializing_if = "NetworkNames::is_default")]
    pub dns: NetworkNames,
}

/// A pool as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolRequest {
    /// None: the host chooses one.
    #[serde(default, deserialize_with = "text::subnet", skip_serializing_if = "Option::is_none")]
    pub subnet: Option<IpNetwork>,
    /// Addresses are given out from this part of the subnet only.
    #[serde(default, deserialize_with = "text::subnet", skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNetwork>,
    /// None: the first address.
    #[serde(default, deserialize_with = "text::address", skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Set aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<Auxiliary>,
}

/// An address that is set aside, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auxiliary {
    /// What it is for.
    pub name: String,
    /// The address.
    #[serde(deserialize_with = "text::one_address")]
    pub address: IpAddr,
}

impl From<CreateNetwork> for request::CreateNetwork {
    fn from(wire: CreateNetwork) -> Self {
        let CreateNetwork {
            id,
            name,
            driver,
            pools,
            ipv6,
            ipv4,
            ipam,
            allow_overlap,
            internal,
            options,
            labels,
            dns,
        } = wire;
        Self {
            id,
            name,
            driver,
            pools: pools.into_iter().map(Into::into).collect(),
            ipv6,
            ipv4,
            ipam,
            allow_overlap,
            internal,
            options,
            labels,
            dns: dns.into(),
        }
    }
}

impl From<PoolRequest> for request::PoolRequest {
    fn from(wire: PoolRequest) -> Self {
        let PoolRequest {
            subnet,
            range,
            gateway,
            auxiliary,
        } = wire;
        Self {
            subnet,
            range,
            gateway,
            auxiliary: auxiliary.into_iter().map(|a| (a.name, a.address)).collect(),
        }
    }
}

/// A network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: Name,
    /// Its driver.
    pub driver: String,
    /// Its pools.
    pub pools: Vec<Pool>,
    /// No way in or out.
    pub internal: bool,
    /// Driver options.
    pub options: Options,
    /// Labels.
    pub labels: Options,
    /// `ready`, or `waiting: WHY`.
    pub state: String,
    /// When, in seconds since 1970.
    pub created: u64,
    /// Its endpoints.
    pub endpoints: Vec<EndpointId>,
}

/// A pool and its use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: IpNetwork,
    /// Addresses are given out from this part only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNetwork>,
    /// The gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Set aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<Auxiliary>,
    /// Addresses that endpoints can get unasked: those of the range, without gateway and auxiliary ones; saturates.
    pub capacity: u64,
    /// Those of them that endpoints have.
    pub used: u64,
    /// Those of them that are reserved, and that nobody has.
    pub reserved: u64,
    /// Addresses beside the range that endpoints have, or that are reserved.
    pub beside: u64,
    /// Who has which. Only where one network is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<Lease>,
}

/// An address that an endpoint has, or that is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which.
    pub address: IpAddr,
    /// Who has it; none for one that is only reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// The sandbox that the endpoint is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// The name that it is kept for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<Name>,
    /// The service that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
}

impl From<LeaseInfo> for Lease {
    fn from(info: LeaseInfo) -> Self {
        let LeaseInfo {
            address,
            endpoint,
            sandbox,
            reserved_for,
            service,
        } = info;
        Self {
            address,
            endpoint,
            sandbox,
            reserved_for,
            service,
        }
    }
}

impl From<NetworkInfo> for Network {
    fn from(info: NetworkInfo) -> Self {
        let NetworkInfo {
            id,
            name,
            driver,
            pools,
            internal,
            options,
            labels,
            state,
            created,
            endpoints,
        } = info;
        let pools = pools.into_iter().map(Into::into).collect();
        Self {
            id,
            name,
            driver,
            pools,
            internal,
            options,
            labels,
            state,
            created,
            endpoints,
        }
    }
}

impl From<PoolInfo> for Pool {
    fn from(info: PoolInfo) -> Self {
        let PoolInfo {
            pool,
            range,
            capacity,
            used,
            reserved,
            beside,
            leases,
        } = info;
        let auxiliary = pool
            .auxiliary
            .into_iter()
            .map(|(name, address)| Auxiliary { name, address })
            .collect();
        Self {
            subnet: pool.subnet,
            range,
            gateway: pool.gateway,
            auxiliary,
            capacity,
            used,
            reserved,
            beside,
            leases: leases.into_iter().map(Into::into).collect(),
        }
    }
}

/// The answer to `POST /v1/networks/prune`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Names of the networks that were deleted.
    pub networks: Vec<String>,
}

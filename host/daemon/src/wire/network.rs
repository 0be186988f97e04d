//! Networks.

use std::net::IpAddr;

use jackfield_controller::request::{self, NetworkInfo, PoolInfo};
use jackfield_model::{EndpointId, IpNetwork, Name, NetworkId, Options};
use serde::{Deserialize, Serialize};

use super::text;

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
    /// No way in or out.
    #[serde(default)]
    pub internal: bool,
    /// Driver options.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub options: Options,
    /// Labels.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub labels: Options,
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
            internal,
            options,
            labels,
        } = wire;
        Self {
            id,
            name,
            driver,
            pools: pools.into_iter().map(Into::into).collect(),
            ipv6,
            internal,
            options,
            labels,
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
    /// Addresses given out, gateway and auxiliary ones included.
    pub used: u64,
    /// Addresses that can be given out in all; saturates.
    pub capacity: u64,
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
            used,
            capacity,
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
            used,
            capacity,
        }
    }
}

/// The answer to `POST /v1/networks/prune`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Names of the networks that were deleted.
    pub networks: Vec<String>,
}

//! Addresses: which subnets a realm's networks have, and which of their addresses are given out.
//!
//! Pure: it asks nobody and remembers nothing beyond its own value; what must outlive the process is told to it again by `restore_*`.
//! It may not know drivers, endpoints or the kernel. It promises that no two pools of a realm overlap, that a pool never overlaps a route
//! the realm had when it was made, that an address is given to one holder at a time, and that every request is met whole or not at all.
//!
//! ```text
//!   pool:     (chosen | asked for) --request_pools--> in use --release_pools--> (free)
//!   address:  free --request--> given out --release--> free, and the last to be given out again
//! ```

mod bitmap;
mod error;
mod pool;
mod subnet;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::IpAddr};

use jackfield_model::{Family, IpNetwork, NetworkId};

pub use error::IpamError;
pub use pool::{PoolPlan, Usage};

use crate::request::PoolRequest;
use pool::AddressPool;

/// What manages a network's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// This module: a network that asks for no pool gets a default one.
    #[default]
    BuiltIn,
    /// The network's own driver, or nobody: there are no pools but those asked for.
    Driver,
}

/// The pools of one realm.
#[derive(Clone, Debug, Default)]
pub struct Ipam {
    defaults: Vec<(IpNetwork, u8)>,
    networks: BTreeMap<NetworkId, Vec<AddressPool>>,
}

impl Ipam {
    /// With the pools that networks get which ask for none, each cut into subnets of that prefix length.
    pub fn new(defaults: Vec<(IpNetwork, u8)>) -> Self {
        Self {
            defaults,
            networks: BTreeMap::new(),
        }
    }

    /// Finds the pools of a new network, all or none. `families` get a default pool where `asked` has none of theirs; `routes` are the
    /// realm's own, which no pool may overlap.
    pub fn request_pools(
        &mut self,
        network: &NetworkId,
        asked: &[PoolRequest],
        families: &[Family],
        routes: &[IpNetwork],
    ) -> Result<Vec<PoolPlan>, IpamError> {
        let mut plans: Vec<PoolPlan> = Vec::new();
        for request in asked {
            let subnet = match request.subnet {
                Some(subnet) => self.check_free(subnet, &plans, routes)?,
                None => self.choose(family_of(request), &plans, routes)?,
            };
            plans.push(PoolPlan::new(subnet, request)?);
        }
        for family in families {
            if plans.iter().all(|p| Family::of(p.subnet.ip()) != *family) {
                let subnet = self.choose(*family, &plans, routes)?;
                plans.push(PoolPlan::new(subnet, &PoolRequest::default())?);
            }
        }
        self.restore_pools(network, &plans);
        Ok(plans)
    }

    /// Takes up pools that were found before.
    pub fn restore_pools(&mut self, network: &NetworkId, plans: &[PoolPlan]) {
        self.networks
            .insert(network.clone(), plans.iter().cloned().map(AddressPool::new).collect());
    }

    /// Gives a network's pools back.
    pub fn release_pools(&mut self, network: &NetworkId) {
        self.networks.remove(network);
    }

    /// Gives out one address of each family that the network has a pool of; those in `asked` where there are any. All or none.
    pub fn request(&mut self, network: &NetworkId, asked: &[IpAddr]) -> Result<Vec<IpNetwork>, IpamError> {
        let Some(pools) = self.networks.get_mut(network) else {
            return refuse_all(asked);
        };
        let mut given = Vec::new();
        let result = give(pools, asked, &mut given);
        if result.is_err() {
            given.iter().for_each(|address| take_back(pools, address.ip()));
        }
        result.map(|()| given)
    }

    /// Marks addresses that were given out before, as far as they are in a pool.
    pub fn restore(&mut self, network: &NetworkId, addresses: &[IpNetwork]) {
        let pools = self.networks.entry(network.clone()).or_default();
        for address in addresses {
            if let Some(pool) = pools.iter_mut().find(|p| p.contains(address.ip())) {
                pool.mark(address.ip());
            }
        }
    }

    /// Takes addresses back; what was not given out is no error.
    pub fn release(&mut self, network: &NetworkId, addresses: &[IpNetwork]) {
        if let Some(pools) = self.networks.get_mut(network) {
            addresses.iter().for_each(|address| take_back(pools, address.ip()));
        }
    }

    /// How full a network's pools are, in the order of its pools.
    pub fn usage(&self, network: &NetworkId) -> Vec<Usage> {
        self.networks
            .get(network)
            .into_iter()
            .flatten()
            .map(AddressPool::usage)
            .collect()
    }

    fn check_free(
        &self,
        subnet: IpNetwork,
        planned: &[PoolPlan],
        routes: &[IpNetwork],
    ) -> Result<IpNetwork, IpamError> {
        if let Some(other) = self.pool_over(subnet, planned) {
            return Err(IpamError::PoolOverlap { subnet, other });
        }
        match routes.iter().find(|r| subnet::overlap(subnet, **r)) {
            Some(route) => Err(IpamError::RouteOverlap { subnet, route: *route }),
            None => Ok(subnet),
        }
    }

    fn pool_over(&self, subnet: IpNetwork, planned: &[PoolPlan]) -> Option<IpNetwork> {
        let in_use = self.networks.values().flatten().map(AddressPool::subnet);
        in_use
            .chain(planned.iter().map(|p| p.subnet))
            .find(|other| subnet::overlap(subnet, *other))
    }

    /// The first default subnet of that family that overlaps nothing.
    fn choose(&self, family: Family, planned: &[PoolPlan], routes: &[IpNetwork]) -> Result<IpNetwork, IpamError> {
        let in_use = self.networks.values().flatten().map(AddressPool::subnet);
        let taken: Vec<IpNetwork> = in_use
            .chain(planned.iter().map(|p| p.subnet))
            .chain(routes.iter().copied())
            .collect();
        let mut tried = 0u128;
        for (base, prefix) in self.defaults.iter().filter(|(b, _)| Family::of(b.ip()) == family) {
            if let Some(free) = subnet::first_free(*base, *prefix, &taken) {
                return Ok(free);
            }
            tried = tried.saturating_add(subnet::count(*base, *prefix));
        }
        Err(if tried == 0 {
            IpamError::NoDefaultPool { family }
        } else {
            IpamError::DefaultPoolsExhausted { family, subnets: tried }
        })
    }
}

/// The family that a request without subnet means: that of whatever else it names.
fn family_of(request: &PoolRequest) -> Family {
    let named = request
        .range
        .map(|r| r.ip())
        .or(request.gateway)
        .or_else(|| request.auxiliary.first().map(|(_, a)| *a));
    named.map_or(Family::Ipv4, Family::of)
}

fn refuse_all(asked: &[IpAddr]) -> Result<Vec<IpNetwork>, IpamError> {
    asked.first().map_or(Ok(Vec::new()), |address| {
        Err(IpamError::OutsidePools {
            address: *address,
            pools: Vec::new(),
        })
    })
}

fn take_back(pools: &mut [AddressPool], address: IpAddr) {
    if let Some(pool) = pools.iter_mut().find(|p| p.contains(address)) {
        pool.release(address);
    }
}

fn give(pools: &mut [AddressPool], asked: &[IpAddr], given: &mut Vec<IpNetwork>) -> Result<(), IpamError> {
    for address in asked {
        let subnets = || pools.iter().map(AddressPool::subnet).collect();
        let Some(at) = pools.iter().position(|p| p.contains(*address)) else {
            return Err(IpamError::OutsidePools {
                address: *address,
                pools: subnets(),
            });
        };
        given.push(pools[at].take(*address)?);
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        let wanted = pools.iter().any(|p| p.family() == family) && asked.iter().all(|a| Family::of(*a) != family);
        if wanted {
            given.push(next_of(pools, family)?);
        }
    }
    Ok(())
}

/// The next address of that family: of the first pool that has one.
fn next_of(pools: &mut [AddressPool], family: Family) -> Result<IpNetwork, IpamError> {
    let mut full = Vec::new();
    for pool in pools.iter_mut().filter(|p| p.family() == family) {
        match pool.next() {
            Some(address) => return Ok(address),
            None => full.push(pool.usage()),
        }
    }
    Err(IpamError::Exhausted { pools: full })
}

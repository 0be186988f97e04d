//! Addresses: which subnets a realm's networks have, and which of their addresses are given out.
//!
//! Pure: it asks nobody and remembers nothing beyond its own value; what must outlive the process is told to it again by `restore_*`.
//! It may not know drivers, endpoints or the kernel. It promises that no two pools of a realm overlap, that a pool never overlaps a route
//! the realm had when it was made unless that was asked for, that an address is given to one holder at a time, that one which is reserved for a
//! name goes to nobody else, and that every request is met whole or not at all. A request costs the same in an empty pool as in a full /16.
//!
//! ```text
//!   pool:     (chosen | asked for) --request_pools--> in use --release_pools--> (free)
//!   address:  free --request--> given out --release--> free, and the last to be given out again
//!             given out --reserve--> given out, and kept for a name when it is released, until --unreserve-->
//! ```

mod error;
mod leased;
mod plan;
mod pool;
mod resting;
mod runs;
mod subnet;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::IpAddr};

use jackfield_model::{Family, IpNetwork, Name, NetworkId};

pub use error::IpamError;
pub use leased::LeasedPlan;
pub use plan::PoolPlan;
pub use pool::Usage;

use crate::request::PoolRequest;
use leased::LeasedPools;
use pool::AddressPool;

/// What manages a network's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// This module: a network that asks for no pool gets a default one.
    #[default]
    BuiltIn,
    /// The network's own driver: there are no pools but those asked for.
    Driver,
    /// Nobody: there are no pools, and endpoints get no addresses but what their driver gives them.
    Null,
    /// The runtime, which asks for each address: the pools are those that it names, with the gateways that it names.
    Runtime,
}

/// Addresses that the realm reaches already, by a route or because they are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub subnet: IpNetwork,
    /// By which link, for people.
    pub by: String,
}

/// Pools for a new network.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolsWanted<'a> {
    /// As asked for.
    pub asked: &'a [PoolRequest],
    /// Families that get a default pool where none of theirs is asked for.
    pub families: &'a [Family],
    /// What the realm reaches: no pool may overlap it.
    pub reached: &'a [Reached],
    /// But one that was asked for may. One that is chosen never does.
    pub allow_overlap: bool,
    /// The runtime manages their addresses: it may have leased them here before, or have them from elsewhere.
    pub by_runtime: bool,
}

/// The pools of one realm.
#[derive(Clone, Debug, Default)]
pub struct Ipam {
    defaults: Vec<(IpNetwork, u8)>,
    networks: BTreeMap<NetworkId, Vec<AddressPool>>,
    leased: LeasedPools,
}

impl Ipam {
    /// With the pools that networks get which ask for none, each cut into subnets of that prefix length.
    pub fn new(defaults: Vec<(IpNetwork, u8)>) -> Self {
        Self {
            defaults,
            networks: BTreeMap::new(),
            leased: LeasedPools::default(),
        }
    }

    /// Finds the pools of a new network, all or none.
    pub fn request_pools(&mut self, network: &NetworkId, wanted: &PoolsWanted<'_>) -> Result<Vec<PoolPlan>, IpamError> {
        let mut plans: Vec<PoolPlan> = Vec::new();
        for request in wanted.asked {
            let subnet = match request.subnet {
                Some(subnet) => self.check_free(subnet, &plans, wanted)?,
                None => self.choose(request.family(), &plans, wanted.reached)?,
            };
            plans.push(if wanted.by_runtime {
                PoolPlan::by_runtime(subnet, request)?
            } else {
                PoolPlan::new(subnet, request)?
            });
        }
        for family in wanted.families {
            if plans.iter().all(|p| Family::of(p.subnet.ip()) != *family) {
                let subnet = self.choose(*family, &plans, wanted.reached)?;
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

    /// Gives out one address of each family that the network has a pool of: those in `asked` where there are any, else those that are reserved
    /// for one of the names that the endpoint goes by, else the next ones. All or none.
    pub fn request(
        &mut self,
        network: &NetworkId,
        asked: &[IpAddr],
        names: &[&Name],
    ) -> Result<Vec<IpNetwork>, IpamError> {
        let Some(pools) = self.networks.get_mut(network) else {
            return refuse_all(asked);
        };
        let mut given = Vec::new();
        let result = give(pools, asked, names, &mut given);
        if result.is_err() {
            given.iter().for_each(|address| take_back(pools, address.ip()));
        }
        result.map(|()| given)
    }

    /// Marks addresses that were given out before, as far as they are in a pool. Those that were given out in their turn (`in_turn`), and not
    /// asked for, say where the search goes on.
    pub fn restore(&mut self, network: &NetworkId, addresses: &[IpNetwork], in_turn: impl Fn(IpAddr) -> bool) {
        let pools = self.networks.entry(network.clone()).or_default();
        for address in addresses.iter().map(IpNetwork::ip) {
            if let Some(pool) = pool_of(pools, address) {
                pool.mark(address, in_turn(address));
            }
        }
    }

    /// Keeps addresses for a name, whether anybody has them or not, until they are unreserved. Answers with those that were not kept before.
    /// None of them when the name has others of their family already.
    pub fn reserve(
        &mut self,
        network: &NetworkId,
        name: &Name,
        addresses: &[IpAddr],
    ) -> Result<Vec<IpAddr>, IpamError> {
        let pools = self.networks.entry(network.clone()).or_default();
        let mut new = Vec::new();
        for address in addresses {
            let same = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
            let earlier = pools.iter().filter_map(|pool| pool.reserved_for(name)).find(same);
            match earlier.or_else(|| new.iter().copied().find(same)) {
                Some(reserved) if reserved == *address => {}
                Some(reserved) => {
                    return Err(IpamError::HasReservation {
                        name: name.to_string(),
                        reserved,
                    });
                }
                None => new.push(*address),
            }
        }
        for address in &new {
            if let Some(pool) = pool_of(pools, *address) {
                pool.reserve(*address, name.clone());
            }
        }
        Ok(new)
    }

    /// Keeps an address no longer; answers for whom it was kept. Whoever has it keeps having it.
    pub fn unreserve(&mut self, network: &NetworkId, address: IpAddr) -> Option<Name> {
        pool_of(self.networks.get_mut(network)?, address)?.unreserve(address)
    }

    /// What is kept for whom, in the order of the pools and then of the addresses.
    pub fn reservations(&self, network: &NetworkId) -> impl Iterator<Item = (IpAddr, &Name)> {
        self.networks
            .get(network)
            .into_iter()
            .flatten()
            .flat_map(AddressPool::reservations)
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
        wanted: &PoolsWanted<'_>,
    ) -> Result<IpNetwork, IpamError> {
        if let Some(other) = self.pool_over(subnet, planned, wanted.by_runtime) {
            return Err(IpamError::PoolOverlap { subnet, other });
        }
        let mut over = wanted.reached.iter().filter(|r| subnet::overlap(subnet, r.subnet));
        match over.next() {
            Some(route) if !wanted.allow_overlap => Err(IpamError::RouteOverlap {
                subnet,
                route: route.clone(),
            }),
            _ => Ok(subnet),
        }
    }

    /// A runtime may make a network of a pool that it leased.
    fn pool_over(&self, subnet: IpNetwork, planned: &[PoolPlan], by_runtime: bool) -> Option<IpNetwork> {
        let leased = self.leased.subnets().filter(|other| !by_runtime || *other != subnet);
        self.of_networks()
            .chain(leased)
            .chain(planned.iter().map(|p| p.subnet))
            .find(|other| subnet::overlap(subnet, *other))
    }

    fn of_networks(&self) -> impl Iterator<Item = IpNetwork> {
        self.networks.values().flatten().map(AddressPool::subnet)
    }

    /// The first default subnet of that family that overlaps nothing.
    fn choose(&self, family: Family, planned: &[PoolPlan], reached: &[Reached]) -> Result<IpNetwork, IpamError> {
        let taken: Vec<IpNetwork> = self
            .of_networks()
            .chain(self.leased.subnets())
            .chain(planned.iter().map(|p| p.subnet))
            .chain(reached.iter().map(|r| r.subnet))
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

fn refuse_all(asked: &[IpAddr]) -> Result<Vec<IpNetwork>, IpamError> {
    asked.first().map_or(Ok(Vec::new()), |address| {
        Err(IpamError::OutsidePools {
            address: *address,
            pools: Vec::new(),
        })
    })
}

fn pool_of(pools: &mut [AddressPool], address: IpAddr) -> Option<&mut AddressPool> {
    pools.iter_mut().find(|p| p.contains(address))
}

fn take_back(pools: &mut [AddressPool], address: IpAddr) {
    if let Some(pool) = pool_of(pools, address) {
        pool.release(address);
    }
}

fn give(
    pools: &mut [AddressPool],
    asked: &[IpAddr],
    names: &[&Name],
    given: &mut Vec<IpNetwork>,
) -> Result<(), IpamError> {
    for address in asked {
        let Some(at) = pools.iter().position(|p| p.contains(*address)) else {
            return Err(IpamError::OutsidePools {
                address: *address,
                pools: pools.iter().map(AddressPool::subnet).collect(),
            });
        };
        given.push(pools[at].take(*address, names)?);
    }
    for family in [Family::Ipv4, Family::Ipv6] {
        let wanted = pools.iter().any(|p| p.family() == family && !p.only_asked())
            && asked.iter().all(|a| Family::of(*a) != family);
        if wanted {
            let reserved = reserved_of(pools, family, names);
            given.push(reserved.map_or_else(|| next_of(pools, family), Ok)?);
        }
    }
    Ok(())
}

/// The address of that family that is kept for the first of these names that has one.
fn reserved_of(pools: &mut [AddressPool], family: Family, names: &[&Name]) -> Option<IpNetwork> {
    names.iter().find_map(|name| {
        let mut of_family = pools.iter_mut().filter(|p| p.family() == family);
        of_family.find_map(|pool| pool.take_reserved(name))
    })
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

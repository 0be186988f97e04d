//! One pool: what was decided of it once, and which of its addresses are given out.

use std::net::IpAddr;

use jackfield_model::{Family, IpNetwork, Pool};
use serde::{Deserialize, Serialize};

use super::{
    IpamError,
    bitmap::Bitmap,
    subnet::{address, bounds, number, within},
};
use crate::request::PoolRequest;

/// A pool as decided: nothing is left open. What the store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPlan {
    /// No host bits.
    pub subnet: IpNetwork,
    /// The part that addresses are given out from unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNetwork>,
    /// None only where the subnet has a single address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Set aside, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<(String, IpAddr)>,
}

/// How full a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which.
    pub subnet: IpNetwork,
    /// Given out, gateway and auxiliary addresses included.
    pub used: u64,
    /// That can be given out in all; saturates.
    pub capacity: u64,
}

/// First and last address that an interface may have, as numbers: the network's and the broadcast address are left out where there are any
/// (RFC 3021 and RFC 6164 do without in /31 and /127; for IPv6 the first is the routers' anycast address, RFC 4291 2.6.1).
fn usable(subnet: IpNetwork) -> (u128, u128) {
    let (first, last) = bounds(subnet);
    let host_bits = Family::of(subnet.ip()).host_prefix() - subnet.prefix();
    match (host_bits, subnet.is_ipv4()) {
        (0 | 1, _) => (first, last),
        (_, true) => (first + 1, last - 1),
        (_, false) => (first + 1, last),
    }
}

impl PoolPlan {
    /// Decides what the request leaves open, and checks what it does not.
    pub fn new(subnet: IpNetwork, request: &PoolRequest) -> Result<Self, IpamError> {
        let subnet = without_host_bits(subnet)?;
        let range = request.range.map(without_host_bits).transpose()?;
        if let Some(range) = range.filter(|r| !within(*r, subnet)) {
            return Err(IpamError::RangeOutside { range, subnet });
        }
        let mut plan = Self {
            subnet,
            range,
            gateway: request.gateway,
            auxiliary: request.auxiliary.clone(),
        };
        plan.check()?;
        plan.gateway = plan.gateway.or_else(|| plan.default_gateway());
        Ok(plan)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.subnet.contains(address)
    }

    fn check(&self) -> Result<(), IpamError> {
        let subnet = self.subnet;
        if let Some(gateway) = self.gateway.filter(|g| !self.contains(*g)) {
            return Err(IpamError::GatewayOutside { gateway, subnet });
        }
        if let Some((name, address)) = self.auxiliary.iter().find(|(_, a)| !self.contains(*a)) {
            return Err(IpamError::AuxiliaryOutside {
                name: name.clone(),
                address: *address,
                subnet,
            });
        }
        let mut seen = Bitmap::default();
        for address in self.reserved() {
            refuse_unusable(address, subnet)?;
            if !seen.insert(number(address)) {
                return Err(IpamError::Twice { address, subnet });
            }
        }
        Ok(())
    }

    /// Gateway and auxiliary addresses.
    fn reserved(&self) -> impl Iterator<Item = IpAddr> {
        self.gateway.into_iter().chain(self.auxiliary.iter().map(|(_, a)| *a))
    }

    /// The first address that is not set aside. A subnet of one address has none: that one is for an endpoint.
    fn default_gateway(&self) -> Option<IpAddr> {
        let (first, last) = self.assignable();
        let auxiliary: Vec<u128> = self.auxiliary.iter().map(|(_, a)| number(*a)).collect();
        let free = (first..=last)
            .take(auxiliary.len() + 1)
            .find(|n| !auxiliary.contains(n))?;
        (bounds(self.subnet).0 != bounds(self.subnet).1).then(|| address(Family::of(self.subnet.ip()), free))
    }

    /// First and last address given out unasked.
    fn assignable(&self) -> (u128, u128) {
        let (first, last) = usable(self.subnet);
        let (range_first, range_last) = self.range.map_or((first, last), bounds);
        (first.max(range_first), last.min(range_last))
    }

    /// As drivers see it.
    pub fn pool(&self) -> Pool {
        Pool {
            subnet: self.subnet,
            gateway: self.gateway,
            auxiliary: self.auxiliary.clone(),
        }
    }
}

fn without_host_bits(given: IpNetwork) -> Result<IpNetwork, IpamError> {
    match IpNetwork::new(given.network(), given.prefix()) {
        Ok(meant) if meant != given => Err(IpamError::HostBits { given, meant }),
        _ => Ok(given),
    }
}

fn refuse_unusable(address: IpAddr, subnet: IpNetwork) -> Result<(), IpamError> {
    let (first, last) = usable(subnet);
    let what = match number(address) {
        n if n < first => "network",
        n if n > last => "broadcast",
        _ => return Ok(()),
    };
    Err(IpamError::Unusable { address, what, subnet })
}

/// A pool in use.
#[derive(Clone, Debug)]
pub struct AddressPool {
    plan: PoolPlan,
    taken: Bitmap,
    /// The number that the search begins at: after the one given out last, so that an address rests as long as others are free.
    cursor: u128,
}

impl AddressPool {
    /// With nothing given out but what is set aside.
    pub fn new(plan: PoolPlan) -> Self {
        let mut taken = Bitmap::default();
        for address in plan.reserved() {
            taken.insert(number(address));
        }
        let cursor = plan.assignable().0;
        Self { plan, taken, cursor }
    }

    pub fn subnet(&self) -> IpNetwork {
        self.plan.subnet
    }

    pub fn family(&self) -> Family {
        Family::of(self.plan.subnet.ip())
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.plan.contains(address)
    }

    /// Gives out the next free address; None when there is none.
    pub fn next(&mut self) -> Option<IpNetwork> {
        let (first, last) = self.plan.assignable();
        let cursor = self.cursor.clamp(first, last.max(first));
        let wrapped = || {
            if cursor > first {
                self.taken.next_free(first, cursor - 1)
            } else {
                None
            }
        };
        let found = self.taken.next_free(cursor, last).or_else(wrapped)?;
        self.taken.insert(found);
        self.cursor = if found >= last { first } else { found + 1 };
        self.with_prefix(address(self.family(), found))
    }

    /// Gives out that very address; it may be outside the range, but not outside the subnet.
    pub fn take(&mut self, address: IpAddr) -> Result<IpNetwork, IpamError> {
        let subnet = self.plan.subnet;
        let outside = || IpamError::OutsidePools {
            address,
            pools: vec![subnet],
        };
        let given = self
            .with_prefix(address)
            .filter(|_| self.contains(address))
            .ok_or_else(outside)?;
        refuse_unusable(address, subnet)?;
        if self.plan.gateway == Some(address) {
            return Err(IpamError::IsGateway { address, subnet });
        }
        if let Some((name, _)) = self.plan.auxiliary.iter().find(|(_, a)| *a == address) {
            return Err(IpamError::IsAuxiliary {
                address,
                name: name.clone(),
                subnet,
            });
        }
        if !self.taken.insert(number(address)) {
            return Err(IpamError::Taken { address, subnet });
        }
        Ok(given)
    }

    /// Marks an address that was given out before.
    pub fn mark(&mut self, address: IpAddr) {
        self.taken.insert(number(address));
    }

    /// Takes an address back; what is set aside stays so.
    pub fn release(&mut self, address: IpAddr) {
        if self.plan.reserved().all(|r| r != address) {
            self.taken.remove(number(address));
        }
    }

    pub fn usage(&self) -> Usage {
        let (first, last) = self.plan.assignable();
        let capacity = last.saturating_sub(first).saturating_add(1);
        Usage {
            subnet: self.plan.subnet,
            used: self.taken.len(),
            capacity: u64::try_from(capacity).unwrap_or(u64::MAX),
        }
    }

    fn with_prefix(&self, address: IpAddr) -> Option<IpNetwork> {
        IpNetwork::new(address, self.plan.subnet.prefix()).ok()
    }
}

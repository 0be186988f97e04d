//! What is decided of a pool once, when its network is made.

use std::net::IpAddr;

use jackfield_model::{Family, IpNetwork, Pool};
use serde::{Deserialize, Serialize};

use super::{
    IpamError,
    runs::Runs,
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
    /// A runtime says which address goes to whom: none is given out unasked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_asked: bool,
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
        let mut plan = Self::checked(subnet, request)?;
        plan.gateway = plan.gateway.or_else(|| plan.default_gateway());
        plan.refuse_no_room()?;
        Ok(plan)
    }

    /// The same where a runtime manages the addresses: nothing is left open.
    pub fn by_runtime(subnet: IpNetwork, request: &PoolRequest) -> Result<Self, IpamError> {
        let only_asked = true;
        Self::checked(subnet, request).map(|plan| Self { only_asked, ..plan })
    }

    fn checked(subnet: IpNetwork, request: &PoolRequest) -> Result<Self, IpamError> {
        let subnet = without_host_bits(subnet)?;
        let range = request.range.map(without_host_bits).transpose()?;
        if let Some(range) = range.filter(|r| !within(*r, subnet)) {
            return Err(IpamError::RangeOutside { range, subnet });
        }
        let plan = Self {
            subnet,
            range,
            gateway: request.gateway,
            auxiliary: request.auxiliary.clone(),
            only_asked: false,
        };
        plan.check()?;
        Ok(plan)
    }

    /// Whether it is of the subnet.
    pub fn contains(&self, address: IpAddr) -> bool {
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
        let mut seen = Runs::default();
        for address in self.set_aside() {
            refuse_unusable(address, subnet)?;
            if !seen.insert(number(address)) {
                return Err(IpamError::Twice { address, subnet });
            }
        }
        Ok(())
    }

    /// Gateway and auxiliary addresses.
    pub fn set_aside(&self) -> impl Iterator<Item = IpAddr> {
        self.gateway.into_iter().chain(self.auxiliary.iter().map(|(_, a)| *a))
    }

    /// How many of those are in the part that addresses are given out from.
    fn set_aside_inside(&self) -> u64 {
        let (first, last) = self.assignable();
        let inside = self.set_aside().filter(|a| (first..=last).contains(&number(*a)));
        inside.count() as u64
    }

    /// How many addresses endpoints can get unasked; saturates.
    pub fn capacity(&self) -> u64 {
        let (first, last) = self.assignable();
        let all = if first > last {
            0
        } else {
            (last - first).saturating_add(1)
        };
        let room = all.saturating_sub(u128::from(self.set_aside_inside()));
        u64::try_from(room).unwrap_or(u64::MAX)
    }

    fn refuse_no_room(&self) -> Result<(), IpamError> {
        if self.capacity() > 0 {
            return Ok(());
        }
        Err(IpamError::NoRoom {
            part: self.range.unwrap_or(self.subnet),
            set_aside: self.set_aside_inside(),
        })
    }

    /// The first address that is not set aside: of the range, unless that has only one, which is for an endpoint; then of the rest of the
    /// subnet. A subnet of one address has no gateway for the same reason.
    fn default_gateway(&self) -> Option<IpAddr> {
        let (all, inside) = (usable(self.subnet), self.assignable());
        if all.0 == all.1 {
            return None;
        }
        let beside = self.range.is_some() && self.capacity() < 2;
        let (first, last) = if beside { all } else { inside };
        let auxiliary = |n: u128| self.auxiliary.iter().any(|(_, a)| number(*a) == n);
        let avoided = |n: u128| auxiliary(n) || beside && (inside.0..=inside.1).contains(&n);
        // No more than the auxiliary ones and that single one are in the way.
        let free = (first..=last).take(self.auxiliary.len() + 2).find(|n| !avoided(*n))?;
        Some(address(Family::of(self.subnet.ip()), free))
    }

    /// First and last number given out unasked; the first is the greater one where there are none.
    pub fn assignable(&self) -> (u128, u128) {
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

/// Refuses what no interface can have.
pub fn refuse_unusable(address: IpAddr, subnet: IpNetwork) -> Result<(), IpamError> {
    let (first, last) = usable(subnet);
    let what = match number(address) {
        n if n < first => "network",
        n if n > last => "broadcast",
        _ => return Ok(()),
    };
    Err(IpamError::Unusable { address, what, subnet })
}

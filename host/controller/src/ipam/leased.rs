//! Pools that a runtime has from here and that no network of ours need have: it makes the networks, and asks for their addresses one by one.
//!
//! ```text
//!   pool:     (chosen | asked for) --lease_pool--> leased --return_pool--> (free)
//!   address:  free --lease_address--> given out --return_address--> free
//!
//!   a runtime that starts again asks for all it has again:
//!             leased, given out --replay--> unsettled --asked for again--> leased, given out
//!                                               \--in the way of another pool, and no network's--> (free)
//! ```
//! What is leased is never leased a second time; but what is unsettled is its owner's for the asking, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jackfield_model::{Family, IpNetwork};
use serde::{Deserialize, Serialize};

use super::{Ipam, IpamError, PoolPlan, PoolsWanted, Reached, pool::AddressPool, subnet};
use crate::request::{LeasePool, PoolRequest};

/// What the store keeps of a leased pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasedPlan {
    /// Who asked for it.
    pub owner: String,
    /// What it is.
    pub plan: PoolPlan,
}

/// A leased pool in use.
#[derive(Clone, Debug)]
struct Leased {
    plan: LeasedPlan,
    pool: AddressPool,
    given: BTreeSet<IpAddr>,
    /// To be asked for again.
    unsettled: bool,
    /// Those of `given` that are.
    unsettled_addresses: BTreeSet<IpAddr>,
}

/// All of them, by subnet: they do not overlap.
#[derive(Clone, Debug, Default)]
pub struct LeasedPools(BTreeMap<IpNetwork, Leased>);

impl LeasedPools {
    pub fn subnets(&self) -> impl Iterator<Item = IpNetwork> {
        self.0.keys().copied()
    }
}

impl Leased {
    fn new(plan: LeasedPlan) -> Self {
        Self {
            pool: AddressPool::new(plan.plan.clone()),
            plan,
            given: BTreeSet::new(),
            unsettled: false,
            unsettled_addresses: BTreeSet::new(),
        }
    }

    fn is_meant_by(&self, request: &LeasePool) -> bool {
        self.unsettled && self.plan.owner == request.owner && self.plan.plan.range == request.range
    }
}

impl Ipam {
    /// Whether any pool is leased.
    pub fn has_leased(&self) -> bool {
        !self.leased.0.is_empty()
    }

    /// Leases a pool. Answers with it, and whether it is a new one.
    ///
    /// # Errors
    /// As for the pools of a network.
    pub fn lease_pool(&mut self, request: &LeasePool, reached: &[Reached]) -> Result<(LeasedPlan, bool), IpamError> {
        let again = request.subnet.and_then(|subnet| self.leased.0.get_mut(&subnet));
        if let Some(again) = again.filter(|leased| leased.is_meant_by(request)) {
            again.unsettled = false;
            return Ok((again.plan.clone(), false));
        }
        let asked = PoolRequest {
            subnet: request.subnet,
            range: request.range,
            ..PoolRequest::default()
        };
        let subnet = match request.subnet {
            Some(subnet) => self.check_lease(subnet, reached)?,
            None => self.choose_lease(request.family, reached)?,
        };
        let plan = LeasedPlan {
            owner: request.owner.clone(),
            plan: PoolPlan::by_runtime(subnet, &asked)?,
        };
        self.restore_lease(plan.clone());
        Ok((plan, true))
    }

    fn check_lease(&mut self, subnet: IpNetwork, reached: &[Reached]) -> Result<IpNetwork, IpamError> {
        let wanted = |reached| PoolsWanted {
            reached,
            ..PoolsWanted::default()
        };
        match self.check_free(subnet, &[], &wanted(reached)) {
            Err(IpamError::PoolOverlap { .. }) if self.drop_unsettled(|other| subnet::overlap(subnet, other)) => {
                self.check_free(subnet, &[], &wanted(reached))
            }
            other => other,
        }
    }

    fn choose_lease(&mut self, family: Family, reached: &[Reached]) -> Result<IpNetwork, IpamError> {
        match self.choose(family, &[], reached) {
            Err(IpamError::DefaultPoolsExhausted { .. }) if self.drop_unsettled(|_| true) => {
                self.choose(family, &[], reached)
            }
            other => other,
        }
    }

    /// Forgets the pools that their owner has not asked for again and that no network has. Answers whether there were any.
    fn drop_unsettled(&mut self, meant: impl Fn(IpNetwork) -> bool) -> bool {
        let in_use: BTreeSet<IpNetwork> = self.of_networks().collect();
        let before = self.leased.0.len();
        self.leased
            .0
            .retain(|subnet, leased| !(leased.unsettled && meant(*subnet) && !in_use.contains(subnet)));
        self.leased.0.len() < before
    }

    /// Takes up a pool that was leased before.
    pub fn restore_lease(&mut self, plan: LeasedPlan) {
        self.leased.0.insert(plan.plan.subnet, Leased::new(plan));
    }

    /// Takes up an address that was given out before. One of no pool is none.
    pub fn restore_leased_address(&mut self, address: IpAddr) {
        if let Some(leased) = self.leased_over(address) {
            leased.pool.mark(address, true);
            leased.given.insert(address);
        }
    }

    /// From here on what the owner asks for is what he has, once for each.
    pub fn replay_leases(&mut self, owner: &str) {
        for leased in self.leased.0.values_mut().filter(|l| l.plan.owner == owner) {
            leased.unsettled = true;
            leased.unsettled_addresses = leased.given.clone();
        }
    }

    /// Gives a pool back, with the addresses that are given out of it; None: it is not leased.
    pub fn return_pool(&mut self, subnet: IpNetwork) -> Option<(LeasedPlan, Vec<IpAddr>)> {
        let leased = self.leased.0.remove(&subnet)?;
        Some((leased.plan, leased.given.into_iter().collect()))
    }

    /// Gives out an address of a leased pool: that one, or the next. None: the pool is not leased. Answers whether it is given out anew.
    ///
    /// # Errors
    /// As for an address of a network.
    pub fn lease_address(
        &mut self,
        subnet: IpNetwork,
        asked: Option<IpAddr>,
    ) -> Option<Result<(IpNetwork, bool), IpamError>> {
        let leased = self.leased.0.get_mut(&subnet)?;
        let again = asked.filter(|address| leased.unsettled_addresses.remove(address));
        if let Some(given) = again.and_then(|address| IpNetwork::new(address, subnet.prefix()).ok()) {
            return Some(Ok((given, false)));
        }
        let given = match asked {
            Some(address) => leased.pool.take(address, &[]),
            None => leased.pool.next().ok_or_else(|| IpamError::Exhausted {
                pools: vec![leased.pool.usage()],
            }),
        };
        Some(given.map(|given| {
            leased.given.insert(given.ip());
            (given, true)
        }))
    }

    /// Takes an address back; false when it was not given out.
    pub fn return_address(&mut self, address: IpAddr) -> bool {
        let Some(leased) = self.leased_over(address).filter(|l| l.given.contains(&address)) else {
            return false;
        };
        leased.pool.release(address);
        leased.unsettled_addresses.remove(&address);
        leased.given.remove(&address)
    }

    fn leased_over(&mut self, address: IpAddr) -> Option<&mut Leased> {
        self.leased.0.values_mut().find(|l| l.pool.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_model::NetworkId;

    fn ipam() -> Ipam {
        Ipam::new(vec![("10.64.0.0/22".parse().unwrap(), 24)])
    }

    fn asked(owner: &str, subnet: Option<&str>) -> LeasePool {
        LeasePool {
            owner: owner.to_owned(),
            subnet: subnet.map(|s| s.parse().unwrap()),
            range: None,
            family: Family::Ipv4,
        }
    }

    fn lease(ipam: &mut Ipam, subnet: Option<&str>) -> Result<(String, bool), IpamError> {
        let leased = ipam.lease_pool(&asked("acme", subnet), &[]);
        leased.map(|(plan, new)| (plan.plan.subnet.to_string(), new))
    }

    #[test]
    fn the_same_pool_is_never_leased_twice() {
        let mut ipam = ipam();
        assert_eq!(lease(&mut ipam, None).unwrap(), ("10.64.0.0/24".to_owned(), true));
        assert_eq!(lease(&mut ipam, None).unwrap().0, "10.64.1.0/24");
        for overlapping in ["10.64.0.0/24", "10.64.0.128/25", "10.64.0.0/16"] {
            assert!(lease(&mut ipam, Some(overlapping)).is_err(), "{overlapping}");
        }
        let network = PoolRequest {
            subnet: Some("10.64.0.0/24".parse().unwrap()),
            ..PoolRequest::default()
        };
        let of_network = |by_runtime| PoolsWanted {
            asked: std::slice::from_ref(&network),
            by_runtime,
            ..PoolsWanted::default()
        };
        let (blue, green) = (NetworkId::random(), NetworkId::random());
        assert!(ipam.request_pools(&blue, &of_network(false)).is_err(), "it is leased");
        let plans = ipam.request_pools(&blue, &of_network(true)).unwrap();
        assert_eq!(plans[0].gateway, None, "the runtime says which address is the gateway");
        assert!(
            ipam.request_pools(&green, &of_network(true)).is_err(),
            "one network has it"
        );
        assert!(ipam.return_pool("10.64.0.0/24".parse().unwrap()).is_some());
        assert!(
            lease(&mut ipam, Some("10.64.0.0/24")).is_err(),
            "the network still has it"
        );
        ipam.release_pools(&blue);
        assert!(lease(&mut ipam, Some("10.64.0.0/24")).unwrap().1);
    }

    #[test]
    fn a_runtime_that_starts_again_gets_what_it_has_once() {
        let mut ipam = ipam();
        let (subnet, gateway) = ("10.9.0.0/24".parse().unwrap(), "10.9.0.1".parse().unwrap());
        let address = |ipam: &mut Ipam| ipam.lease_address(subnet, Some(gateway)).unwrap();
        lease(&mut ipam, Some("10.9.0.0/24")).unwrap();
        assert!(address(&mut ipam).unwrap().1);
        assert!(address(&mut ipam).is_err(), "somebody has it");
        ipam.replay_leases("another");
        assert!(lease(&mut ipam, Some("10.9.0.0/24")).is_err());
        ipam.replay_leases("acme");
        assert_eq!(
            lease(&mut ipam, Some("10.9.0.0/24")).unwrap(),
            ("10.9.0.0/24".into(), false)
        );
        assert!(!address(&mut ipam).unwrap().1);
        assert!(lease(&mut ipam, Some("10.9.0.0/24")).is_err(), "once");
        assert!(address(&mut ipam).is_err(), "once");
    }

    #[test]
    fn what_is_not_asked_for_again_gives_way() {
        let mut ipam = ipam();
        (0..4).for_each(|_| drop(lease(&mut ipam, None).unwrap()));
        assert!(lease(&mut ipam, None).is_err());
        ipam.replay_leases("acme");
        lease(&mut ipam, Some("10.64.1.0/24")).unwrap();
        assert_eq!(lease(&mut ipam, None).unwrap(), ("10.64.0.0/24".to_owned(), true));
        assert!(
            lease(&mut ipam, Some("10.64.1.128/25")).is_err(),
            "asked for again, and in use"
        );
    }

    #[test]
    fn an_address_is_given_out_once_and_taken_back_any_number_of_times() {
        let mut ipam = ipam();
        let subnet = "10.9.0.0/30".parse().unwrap();
        lease(&mut ipam, Some("10.9.0.0/30")).unwrap();
        let mut next = || ipam.lease_address(subnet, None).unwrap().map(|(a, _)| a.to_string());
        assert_eq!(next().unwrap(), "10.9.0.1/30");
        assert_eq!(next().unwrap(), "10.9.0.2/30");
        assert!(matches!(next(), Err(IpamError::Exhausted { .. })));
        let second = "10.9.0.2".parse().unwrap();
        assert!(ipam.return_address(second));
        assert!(!ipam.return_address(second));
        assert!(ipam.lease_address("10.10.0.0/24".parse().unwrap(), None).is_none());
        assert!(!ipam.return_address("10.10.0.1".parse().unwrap()));
    }
}

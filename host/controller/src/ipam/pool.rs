//! One pool in use: which of its addresses are given out, to whom they are reserved, and which is next.
//!
//! ```text
//!   never used --next--> held --release--> resting --next, when nothing else is left--> held
//!        \------- take -----^                 |  ^
//!                                             |  \-- unreserve, when nobody has it
//!   held --reserve--> held and reserved --release--> reserved --take, by its name--> held and reserved
//! ```

use std::{collections::BTreeMap, net::IpAddr};

use jackfield_model::{Family, IpNetwork, Name};

use super::{
    IpamError, PoolPlan,
    plan::refuse_unusable,
    resting::Resting,
    runs::Runs,
    subnet::{address, number},
};

/// How full a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which.
    pub subnet: IpNetwork,
    /// The part that addresses are given out from, where it is not all of it.
    pub range: Option<IpNetwork>,
    /// Addresses that endpoints can get unasked: those of the part, without gateway and auxiliary ones; saturates.
    pub capacity: u64,
    /// Those of them that endpoints have.
    pub used: u64,
    /// Those of them that are kept for an endpoint that is not there.
    pub reserved: u64,
    /// Given out or reserved on request, from beside that part.
    pub beside: u64,
}

/// How an address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Free,
    Used,
    Reserved,
    Beside,
}

/// A pool in use.
#[derive(Clone, Debug)]
pub struct AddressPool {
    plan: PoolPlan,
    usage: Usage,
    /// What cannot be given out as new: held, reserved, set aside or resting.
    taken: Runs,
    /// What endpoints have.
    held: Runs,
    /// What is kept for a name, held or not.
    reserved: BTreeMap<u128, Name>,
    /// The same, the other way round: a name has one address of a pool at most.
    names: BTreeMap<Name, u128>,
    resting: Resting,
    /// The search for one that was never given out goes on here.
    cursor: u128,
}

impl AddressPool {
    /// With nothing given out but what is set aside.
    pub fn new(plan: PoolPlan) -> Self {
        let mut taken = Runs::default();
        for address in plan.set_aside() {
            taken.insert(number(address));
        }
        let usage = Usage {
            subnet: plan.subnet,
            range: plan.range,
            capacity: plan.capacity(),
            used: 0,
            reserved: 0,
            beside: 0,
        };
        Self {
            cursor: plan.assignable().0,
            plan,
            usage,
            taken,
            held: Runs::default(),
            reserved: BTreeMap::new(),
            names: BTreeMap::new(),
            resting: Resting::default(),
        }
    }

    pub fn subnet(&self) -> IpNetwork {
        self.plan.subnet
    }

    pub fn family(&self) -> Family {
        Family::of(self.plan.subnet.ip())
    }

    /// Addresses are given out when they are asked for, and not else.
    pub fn only_asked(&self) -> bool {
        self.plan.only_asked
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.plan.contains(address)
    }

    /// Gives out the next address: one that was never given out, or else the one that rests longest; None when all are in use.
    pub fn next(&mut self) -> Option<IpNetwork> {
        let number = self.fresh().or_else(|| self.resting.pop())?;
        self.hold(number);
        self.with_prefix(number)
    }

    fn fresh(&mut self) -> Option<u128> {
        let (first, last) = self.plan.assignable();
        let before = self.cursor.checked_sub(1).filter(|n| *n >= first);
        let found = self
            .taken
            .next_free(self.cursor, last)
            .or_else(|| self.taken.next_free(first, before?))?;
        self.move_behind(found);
        Some(found)
    }

    fn move_behind(&mut self, number: u128) {
        let (first, last) = self.plan.assignable();
        self.cursor = if (first..last).contains(&number) {
            number + 1
        } else {
            first
        };
    }

    /// Gives out the address that is kept for that name, if there is one and nobody has it.
    pub fn take_reserved(&mut self, name: &Name) -> Option<IpNetwork> {
        let number = self.names.get(name).copied().filter(|n| !self.held.contains(*n))?;
        self.hold(number);
        self.with_prefix(number)
    }

    /// Gives out that very address to whoever goes by one of these names; it may be outside the range, but not outside the subnet.
    pub fn take(&mut self, address: IpAddr, names: &[&Name]) -> Result<IpNetwork, IpamError> {
        let subnet = self.plan.subnet;
        let outside = || IpamError::OutsidePools {
            address,
            pools: vec![subnet],
        };
        let number = number(address);
        let given = self
            .with_prefix(number)
            .filter(|_| self.contains(address))
            .ok_or_else(outside)?;
        refuse_unusable(address, subnet)?;
        self.refuse_set_aside(address)?;
        match self.reserved.get(&number).filter(|name| !names.contains(name)) {
            _ if self.held.contains(number) => Err(IpamError::Taken {
                address,
                subnet,
                holder: None,
            }),
            Some(name) => Err(IpamError::ReservedFor {
                address,
                name: name.to_string(),
            }),
            None => {
                self.hold(number);
                Ok(given)
            }
        }
    }

    fn refuse_set_aside(&self, address: IpAddr) -> Result<(), IpamError> {
        let subnet = self.plan.subnet;
        if self.plan.gateway == Some(address) {
            return Err(IpamError::IsGateway { address, subnet });
        }
        match self.plan.auxiliary.iter().find(|(_, a)| *a == address) {
            Some((name, _)) => Err(IpamError::IsAuxiliary {
                address,
                name: name.clone(),
                subnet,
            }),
            None => Ok(()),
        }
    }

    /// Marks an address that was given out before. Where it was this one's turn (`in_turn`), the search goes on behind it.
    pub fn mark(&mut self, address: IpAddr, in_turn: bool) {
        if self.is_set_aside(address) {
            return;
        }
        self.hold(number(address));
        if in_turn {
            self.move_behind(number(address));
        }
    }

    fn hold(&mut self, number: u128) {
        self.change(number, |pool| {
            pool.held.insert(number);
        });
    }

    /// Takes an address back. One that is reserved is kept for its name, another one rests.
    pub fn release(&mut self, address: IpAddr) {
        let number = number(address);
        self.change(number, |pool| {
            pool.held.remove(number);
        });
    }

    /// Keeps an address for a name from now on, whether somebody has it or not. Not one that is set aside.
    pub fn reserve(&mut self, address: IpAddr, name: Name) {
        if self.is_set_aside(address) {
            return;
        }
        let number = number(address);
        self.change(number, |pool| {
            pool.names.insert(name.clone(), number);
            pool.reserved.insert(number, name);
        });
    }

    /// Keeps it no longer; answers for whom it was kept. Whoever has it keeps having it.
    pub fn unreserve(&mut self, address: IpAddr) -> Option<Name> {
        let number = number(address);
        let name = self.reserved.get(&number)?.clone();
        self.change(number, |pool| {
            pool.names.remove(&name);
            pool.reserved.remove(&number);
        });
        Some(name)
    }

    /// The address that is kept for that name.
    pub fn reserved_for(&self, name: &Name) -> Option<IpAddr> {
        self.names.get(name).map(|number| address(self.family(), *number))
    }

    /// What is kept, and for whom.
    pub fn reservations(&self) -> impl Iterator<Item = (IpAddr, &Name)> {
        self.reserved
            .iter()
            .map(|(number, name)| (address(self.family(), *number), name))
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What memory and search take.
    #[cfg(test)]
    pub fn runs(&self) -> usize {
        self.taken.runs()
    }

    /// Changes who has an address, and counts it as what it is then. One that nobody has any more rests.
    fn change(&mut self, number: u128, change: impl FnOnce(&mut Self)) {
        let before = self.standing(number);
        change(self);
        let after = self.standing(number);
        self.count(before, |n| n.saturating_sub(1));
        self.count(after, |n| n + 1);
        match (before, after) {
            (Standing::Free, Standing::Free) => {}
            (_, Standing::Free) => self.rest(number),
            _ => {
                self.taken.insert(number);
                self.resting.take(number);
            }
        }
    }

    fn rest(&mut self, number: u128) {
        let (first, last) = self.plan.assignable();
        let forgotten = if (first..=last).contains(&number) {
            self.resting.push(number)
        } else {
            Some(number)
        };
        if let Some(forgotten) = forgotten {
            self.taken.remove(forgotten);
        }
    }

    fn standing(&self, number: u128) -> Standing {
        let (first, last) = self.plan.assignable();
        let inside = (first..=last).contains(&number);
        match (self.held.contains(number), self.reserved.contains_key(&number)) {
            (false, false) => Standing::Free,
            _ if !inside => Standing::Beside,
            (true, _) => Standing::Used,
            (false, true) => Standing::Reserved,
        }
    }

    fn count(&mut self, standing: Standing, change: impl FnOnce(u64) -> u64) {
        let counter = match standing {
            Standing::Free => return,
            Standing::Used => &mut self.usage.used,
            Standing::Reserved => &mut self.usage.reserved,
            Standing::Beside => &mut self.usage.beside,
        };
        *counter = change(*counter);
    }

    fn is_set_aside(&self, address: IpAddr) -> bool {
        self.plan.set_aside().any(|a| a == address)
    }

    fn with_prefix(&self, number: u128) -> Option<IpNetwork> {
        IpNetwork::new(address(self.family(), number), self.plan.subnet.prefix()).ok()
    }
}

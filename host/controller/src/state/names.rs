//! Which names an endpoint has, and when a sandbox has a resolver.
//!
//! ```text
//!   the host's own:      resolver with the sandbox --the sandbox is deleted--> none
//!   of somebody else's:  none --the first endpoint with names is in--> resolver --the last one left, or the sandbox is deleted--> none
//! ```
//! In one of the host's own the namespace takes it along. Where it could not be opened there, that is tried again with each endpoint.

use jackfield_model::{DnsName, EndpointId, Member, NetworkNames, SandboxId};

use super::{Endpoint, Ground, Network, RealmState, Sandbox, SandboxPhase, SandboxRecord, Stay};

/// What is to be done about a sandbox's resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// It needs one.
    Open(SandboxRecord),
    /// It needs none any more.
    Close(SandboxRecord),
}

impl RealmState {
    /// What is to be done about a sandbox's resolver, if anything; the caller does it and calls [`RealmState::end_naming`]. While somebody is at
    /// it already there is nothing to be done: he looks again when he is through.
    pub fn begin_naming(&mut self, id: &SandboxId) -> Option<Naming> {
        let sandbox = self.sandboxes.get(id).filter(|s| !s.naming)?;
        let wanted = sandbox.may_have_resolver() && self.has_names(sandbox);
        let record = sandbox.record.clone();
        let naming = match (&record.resolver, wanted) {
            (None, true) if sandbox.phase == SandboxPhase::Ready => Naming::Open(record),
            (Some(_), false) if !matches!(record.ground, Ground::Made { .. }) => Naming::Close(record),
            _ => return None,
        };
        self.sandboxes.get_mut(id)?.naming = true;
        Some(naming)
    }

    /// That is how its resolver is now.
    pub fn end_naming(&mut self, id: &SandboxId, resolver: Option<super::Resolver>) {
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.record.resolver = resolver;
            sandbox.naming = false;
        }
    }

    fn has_names(&self, sandbox: &Sandbox) -> bool {
        let mut there = sandbox.endpoints.iter().filter_map(|id| self.endpoints.get(id));
        there.any(|endpoint| self.member(endpoint).is_some())
    }

    /// An endpoint as the name service is to know it; None where it has no place in a sandbox, no address, or a network without names.
    pub fn member_of(&self, id: &EndpointId) -> Option<Member> {
        self.member(self.endpoints.get(id)?)
    }

    fn member(&self, endpoint: &Endpoint) -> Option<Member> {
        let stay = endpoint.record.stay.as_ref()?;
        let network = self.networks.get(&endpoint.record.spec.network)?;
        let sandbox = self.sandboxes.get(&stay.sandbox)?;
        let addresses: Vec<_> = endpoint.record.spec.addresses.iter().map(|a| a.ip()).collect();
        if addresses.is_empty() || network.record.asked.dns.off {
            return None;
        }
        Some(Member {
            endpoint: endpoint.record.spec.id.clone(),
            network: network.names(),
            sandbox: stay.sandbox.clone(),
            names: names(endpoint, sandbox),
            addresses,
            services: endpoint.record.asked.services.clone(),
            order: stay.order(),
        })
    }
}

/// The sandbox's name first: nothing else in the realm has it. Names that are none in DNS are left out; the short id always is one.
fn names(endpoint: &Endpoint, sandbox: &Sandbox) -> Vec<DnsName> {
    let asked = &endpoint.record.asked;
    let given = [
        Some(sandbox.record.name.as_str()),
        asked.name.as_ref().map(|n| n.as_str()),
    ];
    let short = sandbox.record.id.short().parse().ok();
    let given = given.into_iter().flatten().filter_map(|name| name.parse().ok());
    given
        .chain(asked.aliases.iter().map(|a| a.as_name().clone()))
        .chain(short)
        .collect()
}

impl Stay {
    /// Whoever has a default route is asked first, then by age. Ages count joins, and never reach the highest bit.
    fn order(&self) -> u64 {
        let behind = u64::from(self.defaults.is_empty()) << 63;
        self.age | behind
    }
}

impl Network {
    pub(super) fn names(&self) -> NetworkNames {
        NetworkNames {
            id: self.record.spec.id.clone(),
            name: self.record.spec.name.clone(),
            subnets: self.record.pools.iter().map(|p| p.pool().subnet).collect(),
            servers: self.record.asked.dns.servers.clone(),
            internal: self.record.spec.internal,
        }
    }
}

impl Sandbox {
    /// Not a foreign one, whose runtime resolves; and none of somebody else's that nothing tells the end of: a socket would keep it alive.
    fn may_have_resolver(&self) -> bool {
        !self.record.dns.off && self.record.ground.source().is_some()
    }
}

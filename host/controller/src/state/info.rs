//! What is shown of each object.

use std::{collections::BTreeMap, net::IpAddr};

use jackfield_model::EndpointId;

use super::{Endpoint, EndpointPhase, Ground, Network, RealmState, Sandbox};
use crate::request::{EndpointInfo, LeaseInfo, NetworkInfo, PoolInfo, SandboxInfo};

impl RealmState {
    /// A network, with its use and all that its pools gave out.
    pub fn network_in_full(&self, network: &Network) -> NetworkInfo {
        let mut info = self.network_info(network);
        for lease in self.leases(network) {
            let mut pools = info.pools.iter_mut();
            if let Some(pool) = pools.find(|p| p.pool.subnet.contains(lease.address)) {
                pool.leases.push(lease);
            }
        }
        info
    }

    /// What the network's endpoints have and what is reserved, by address.
    fn leases(&self, network: &Network) -> Vec<LeaseInfo> {
        let reserved = self.ipam.reservations(&network.record.spec.id);
        let mut leases: BTreeMap<IpAddr, LeaseInfo> = reserved
            .map(|(address, name)| (address, LeaseInfo::reserved(address, Some(name.clone()))))
            .collect();
        let endpoints = network.endpoints.iter().filter_map(|id| self.endpoints.get(id));
        for endpoint in endpoints {
            for address in endpoint.record.leases.iter().map(|lease| lease.ip()) {
                let lease = leases
                    .entry(address)
                    .or_insert_with(|| LeaseInfo::reserved(address, None));
                lease.endpoint = Some(endpoint.record.spec.id.clone());
                lease.sandbox = endpoint.sandbox.clone();
            }
        }
        let services = self.services.values().filter(|s| s.network == network.record.spec.id);
        for (service, address) in services.flat_map(|s| s.addresses.iter().map(move |a| (s, a.ip()))) {
            let lease = leases
                .entry(address)
                .or_insert_with(|| LeaseInfo::reserved(address, None));
            lease.service = Some(service.name.clone());
        }
        leases.into_values().collect()
    }

    /// A network, with its use.
    pub fn network_info(&self, network: &Network) -> NetworkInfo {
        let record = &network.record;
        let usage = self.ipam.usage(&record.spec.id);
        let pools = record.pools.iter().zip(usage).map(|(plan, usage)| PoolInfo {
            pool: plan.pool(),
            range: plan.range,
            capacity: usage.capacity,
            used: usage.used,
            reserved: usage.reserved,
            beside: usage.beside,
            leases: Vec::new(),
        });
        NetworkInfo {
            id: record.spec.id.clone(),
            name: record.spec.name.clone(),
            driver: record.driver.clone(),
            pools: pools.collect(),
            internal: record.spec.internal,
            options: record.spec.options.clone(),
            labels: record.spec.labels.clone(),
            state: network.state(),
            created: record.created,
            endpoints: network.endpoints.iter().cloned().collect(),
        }
    }

    /// A sandbox, with its endpoints: the one with the default route first, then by age.
    pub fn sandbox_info(&self, sandbox: &Sandbox) -> SandboxInfo {
        let record = &sandbox.record;
        let mut endpoints: Vec<EndpointId> = sandbox.endpoints.iter().cloned().collect();
        endpoints.sort_by_key(|id| self.endpoints.get(id).map(Endpoint::standing_order));
        let path = match &record.ground {
            Ground::Foreign { path, .. } => Some(path.clone()),
            ground => ground.source().and_then(|s| match s {
                jackfield_kernel::NamespaceSource::Path(path) => Some(path),
                jackfield_kernel::NamespaceSource::Pid(pid) => Some(format!("/proc/{pid}/ns/net").into()),
                jackfield_kernel::NamespaceSource::Own => None,
            }),
        };
        SandboxInfo {
            id: record.id.clone(),
            name: record.name.clone(),
            kind: record.ground.name().to_owned(),
            path,
            endpoints,
            labels: record.labels.clone(),
            dns: record.dns.clone(),
            files: record.files.clone(),
        }
    }
}

impl Endpoint {
    /// Less is shown first.
    fn standing_order(&self) -> (bool, u64) {
        let stay = self.record.stay.as_ref();
        (
            stay.is_none_or(|s| s.defaults.is_empty()),
            stay.map_or(u64::MAX, |s| s.age),
        )
    }

    /// For people and programs.
    pub fn info(&self) -> EndpointInfo {
        let record = &self.record;
        let stay = record.stay.as_ref();
        EndpointInfo {
            id: record.spec.id.clone(),
            name: record.asked.name.clone(),
            network: record.spec.network.clone(),
            sandbox: self
                .sandbox
                .clone()
                .filter(|_| self.phase != EndpointPhase::Creating || stay.is_some()),
            mac: record.spec.mac,
            addresses: record.spec.addresses.clone(),
            interface: stay.and_then(|s| s.interface.as_ref()).map(|i| i.name.clone()),
            gateways: stay.map(|s| s.gateways.clone()).unwrap_or_default(),
            handover: stay.and_then(|s| s.handover.clone()),
            ports: self.ports().cloned().collect(),
            driver: record.driver.as_ref().map(ToString::to_string).unwrap_or_default(),
            options: record.spec.options.clone(),
            aliases: record.asked.aliases.clone(),
            labels: record.asked.labels.clone(),
            state: self.phase.word().to_owned(),
        }
    }
}

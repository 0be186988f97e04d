//! A namespace, told as the real kernel's dump tells it, and in its order.

use std::net::IpAddr;

use jackfield_model::{IpNetwork, MacAddr};

use super::{
    routes::{Entry, MAIN},
    space::Space,
};
use crate::{AddressInfo, Dump, ForwardingInfo, Ifindex, LinkInfo, NeighbourInfo, RouteInfo, RuleInfo, nft};

impl Space {
    pub(super) fn dump(&self) -> Dump {
        Dump {
            links: self.link_infos(),
            addresses: self.address_infos(),
            routes: self.route_infos(),
            rules: self.rule_infos(),
            neighbours: self.neighbour_infos(),
            forwarding: self.forwarding_infos(),
            firewall: self.firewall_lines(),
            sysctls: self.sysctl_values(),
        }
    }

    fn link_infos(&self) -> Vec<LinkInfo> {
        self.links.iter().map(|(index, link)| self.info(*index, link)).collect()
    }

    fn address_infos(&self) -> Vec<AddressInfo> {
        let mut infos: Vec<_> = self.addresses.iter().map(super::addresses::Address::info).collect();
        infos.sort_by_key(|a| (a.index, by_network(a.address)));
        infos
    }

    fn route_infos(&self) -> Vec<RouteInfo> {
        let mut infos: Vec<_> = self.routes.iter().map(Entry::info).collect();
        infos.sort_by_key(|RouteInfo { route, .. }| {
            (
                route.table.unwrap_or(MAIN),
                by_network(route.destination),
                route.metric,
                route.link,
                route.gateway,
            )
        });
        infos
    }

    fn rule_infos(&self) -> Vec<RuleInfo> {
        let mut infos = self.rules.clone();
        infos.sort_by_key(|r| (r.rule.family, r.rule.priority, r.rule.table, r.protocol, r.rule.fwmark));
        infos
    }

    fn neighbour_infos(&self) -> Vec<NeighbourInfo> {
        let info = |at: &(Ifindex, IpAddr), mac: Option<MacAddr>, protocol| NeighbourInfo {
            index: at.0,
            address: at.1,
            mac,
            protocol,
        };
        let known = self.neighbours.iter().map(|(at, n)| info(at, Some(n.mac), n.protocol));
        let proxies = self.proxies.iter().map(|(at, protocol)| info(at, None, *protocol));
        let mut infos: Vec<_> = known.chain(proxies).collect();
        infos.sort_by_key(|n| (n.index, n.address, n.mac));
        infos
    }

    fn forwarding_infos(&self) -> Vec<ForwardingInfo> {
        let shown = self.forwarding.iter().filter(|(link, entry)| self.shows(*link, entry));
        let mut infos: Vec<_> = shown
            .map(|(index, entry)| ForwardingInfo {
                index: *index,
                entry: entry.clone(),
            })
            .collect();
        infos.sort_by_key(|f| (f.index, f.entry.mac, f.entry.destination, f.entry.vlan, f.entry.vni));
        infos
    }

    /// Empty where the table is not there. Only rules that can be told came in.
    fn firewall_lines(&self) -> Vec<String> {
        let own = self.firewall.as_deref().and_then(|rules| nft::lines(rules).ok());
        let resolver = self.resolver.and_then(|port| nft::resolver_lines(port).ok());
        let mut lines = [own, resolver].into_iter().flatten().flatten().collect::<Vec<_>>();
        lines.sort();
        lines
    }
}

/// The order of networks in dumps.
fn by_network(network: IpNetwork) -> (IpAddr, u8) {
    (network.ip(), network.prefix())
}

//! The SDK's functions on an operation of the host's: the same that a component reaches through its imports.

use std::{any::Any, net::IpAddr};

use jackfield_driver::{LinkId, Operation};
use jackfield_sdk::{
    Cidr, Family, ForwardingEntry, IpvlanMode, Link, LinkState, Mac, MacvlanMode, PortMapping, Rate, Result, Route,
    RouteLookup, Statistics, SysctlTable,
    firewall::Border,
    log::Level,
    native::{Backend, Handle},
};

use crate::convert as c;

/// An operation that a driver's call records in.
#[derive(Debug)]
pub(crate) struct Recording {
    pub operation: Operation,
}

fn id(link: &Handle) -> LinkId {
    LinkId(link.id())
}

fn handle(link: LinkId) -> Handle {
    Handle::new(link.0)
}

fn done<T>(result: jackfield_model::Result<T>) -> Result<T> {
    result.map_err(c::error)
}

fn made(result: jackfield_model::Result<LinkId>) -> Result<Handle> {
    done(result).map(handle)
}

fn attributes(pairs: &[(&str, &str)]) -> Result<jackfield_model::Options> {
    c::options(pairs.iter().copied())
}

impl Backend for Recording {
    fn create_bridge(&mut self, label: &str, name: Option<&str>, pairs: &[(&str, &str)]) -> Result<Handle> {
        made(self.operation.create_bridge(label, name, &attributes(pairs)?))
    }

    fn create_veth(&mut self, label: &str) -> Result<(Handle, Handle)> {
        done(self.operation.create_veth(label, &attributes(&[])?)).map(|(link, peer)| (handle(link), handle(peer)))
    }

    fn create_macvlan(&mut self, label: &str, parent: &Handle, mode: MacvlanMode) -> Result<Handle> {
        made(
            self.operation
                .create_macvlan(label, id(parent), c::macvlan_mode(mode), &attributes(&[])?),
        )
    }

    fn create_ipvlan(&mut self, label: &str, parent: &Handle, mode: IpvlanMode) -> Result<Handle> {
        made(
            self.operation
                .create_ipvlan(label, id(parent), c::ipvlan_mode(mode), &attributes(&[])?),
        )
    }

    fn create_vlan(&mut self, label: &str, parent: &Handle, number: u16) -> Result<Handle> {
        made(self.operation.create_vlan(label, id(parent), number, &attributes(&[])?))
    }

    fn create_vxlan(
        &mut self,
        label: &str,
        vni: u32,
        parent: Option<&Handle>,
        pairs: &[(&str, &str)],
    ) -> Result<Handle> {
        made(
            self.operation
                .create_vxlan(label, vni, parent.map(id), &attributes(pairs)?),
        )
    }

    fn create_dummy(&mut self, label: &str) -> Result<Handle> {
        made(self.operation.create_dummy(label, &attributes(&[])?))
    }

    fn create_tap(&mut self, label: &str, pairs: &[(&str, &str)]) -> Result<Handle> {
        made(self.operation.create_tap(label, &attributes(pairs)?))
    }

    fn find_link(&mut self, name: &str) -> Result<Handle> {
        made(self.operation.find_link(name))
    }

    fn find_own(&mut self, label: &str) -> Result<Handle> {
        made(self.operation.find_own(label))
    }

    fn list_links(&mut self) -> Result<Vec<Handle>> {
        done(self.operation.list_links()).map(|links| links.into_iter().map(handle).collect())
    }

    fn link_statistics(&mut self, link: &Handle) -> Result<Statistics> {
        done(self.operation.link_statistics(id(link))).map(c::statistics)
    }

    fn set_up(&mut self, link: &Handle, up: bool) -> Result<()> {
        done(self.operation.set_up(id(link), up))
    }

    fn set_mtu(&mut self, link: &Handle, mtu: u32) -> Result<()> {
        done(self.operation.set_mtu(id(link), mtu))
    }

    fn set_mac(&mut self, link: &Handle, mac: Mac) -> Result<()> {
        done(self.operation.set_mac(id(link), c::mac(mac)?))
    }

    fn set_controller(&mut self, link: &Handle, controller: Option<&Handle>) -> Result<()> {
        done(self.operation.set_controller(id(link), controller.map(id)))
    }

    fn set_bridge_port(&mut self, link: &Handle, pairs: &[(&str, &str)]) -> Result<()> {
        done(self.operation.set_bridge_port(id(link), &attributes(pairs)?))
    }

    fn add_address(&mut self, link: &Handle, address: Cidr) -> Result<()> {
        done(self.operation.add_address(id(link), c::network(address)?))
    }

    fn remove_address(&mut self, link: &Handle, address: Cidr) -> Result<()> {
        done(self.operation.remove_address(id(link), c::network(address)?))
    }

    fn add_neighbour(&mut self, link: &Handle, address: IpAddr, mac: Mac) -> Result<()> {
        done(self.operation.add_neighbour(id(link), address, c::mac(mac)?))
    }

    fn remove_neighbour(&mut self, link: &Handle, address: IpAddr) -> Result<()> {
        done(self.operation.remove_neighbour(id(link), address))
    }

    fn add_proxy_neighbour(&mut self, link: &Handle, address: IpAddr) -> Result<()> {
        done(self.operation.add_proxy_neighbour(id(link), address))
    }

    fn remove_proxy_neighbour(&mut self, link: &Handle, address: IpAddr) -> Result<()> {
        done(self.operation.remove_proxy_neighbour(id(link), address))
    }

    fn add_forwarding_entry(&mut self, link: &Handle, entry: ForwardingEntry) -> Result<()> {
        done(self.operation.add_forwarding_entry(id(link), c::forwarding(&entry)?))
    }

    fn remove_forwarding_entry(&mut self, link: &Handle, entry: ForwardingEntry) -> Result<()> {
        done(self.operation.remove_forwarding_entry(id(link), c::forwarding(&entry)?))
    }

    fn set_sysctl(&mut self, link: &Handle, family: Family, table: SysctlTable, key: &str, value: &str) -> Result<()> {
        done(
            self.operation
                .set_sysctl(id(link), c::family(family), c::table(table), key, value),
        )
    }

    fn set_bandwidth(&mut self, link: &Handle, ingress: Option<Rate>, egress: Option<Rate>) -> Result<()> {
        done(
            self.operation
                .set_bandwidth(id(link), ingress.map(c::rate), egress.map(c::rate)),
        )
    }

    fn delete_link(&mut self, link: &Handle) -> Result<()> {
        done(self.operation.delete_link(id(link)))
    }

    fn add_route(&mut self, route: &Route, link: Option<&Handle>) -> Result<()> {
        let (destination, attributes) = (
            c::network(route.destination())?,
            c::options(c::borrowed(route.attributes()))?,
        );
        done(
            self.operation
                .add_route(destination, route.gateway(), &attributes, link.map(id)),
        )
    }

    fn remove_route(&mut self, route: &Route, link: Option<&Handle>) -> Result<()> {
        let (destination, attributes) = (
            c::network(route.destination())?,
            c::options(c::borrowed(route.attributes()))?,
        );
        done(
            self.operation
                .remove_route(destination, route.gateway(), &attributes, link.map(id)),
        )
    }

    fn add_rule(&mut self, family: Family, rule: &[(&str, &str)]) -> Result<()> {
        done(self.operation.add_rule(c::family(family), &attributes(rule)?))
    }

    fn remove_rule(&mut self, family: Family, rule: &[(&str, &str)]) -> Result<()> {
        done(self.operation.remove_rule(c::family(family), &attributes(rule)?))
    }

    fn lookup_route(&mut self, destination: IpAddr) -> Result<RouteLookup> {
        let (link, gateway, source) = done(self.operation.lookup_route(destination))?;
        Ok(RouteLookup {
            link: link.map(handle).map(Link::from),
            gateway,
            source,
        })
    }

    fn masquerade(&mut self, subnet: Cidr, link: &Handle) -> Result<()> {
        done(self.operation.masquerade(c::network(subnet)?, id(link)))
    }

    fn masquerade_as(&mut self, subnet: Cidr, link: &Handle, source: IpAddr) -> Result<()> {
        done(self.operation.masquerade_as(c::network(subnet)?, id(link), source))
    }

    fn publish(&mut self, mapping: &PortMapping) -> Result<u16> {
        done(self.operation.publish(c::port_mapping(mapping)))
    }

    fn make_internal(&mut self, link: &Handle) -> Result<()> {
        done(self.operation.make_internal(id(link)))
    }

    fn isolate_ports(&mut self, link: &Handle) -> Result<()> {
        done(self.operation.isolate_ports(id(link)))
    }

    fn guard(&mut self, link: &Handle, border: &Border) -> Result<()> {
        done(self.operation.guard(id(link), &c::guard(border)?))
    }

    fn state_get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        done(self.operation.state_get(key))
    }

    fn state_set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        done(self.operation.state_set(key, value))
    }

    fn state_delete(&mut self, key: &str) -> Result<()> {
        done(self.operation.state_delete(key))
    }

    fn state_list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        done(self.operation.state_list(prefix, after, limit))
    }

    // The WIT package's reads cannot fail: a link that is gone reads as empty.

    fn link_name(&mut self, link: &Handle) -> String {
        self.operation
            .link_name(id(link))
            .map(|name| name.to_string())
            .unwrap_or_default()
    }

    fn link_kind(&mut self, link: &Handle) -> String {
        self.operation.link_kind(id(link)).unwrap_or_default()
    }

    fn link_label(&mut self, link: &Handle) -> String {
        self.operation.link_label(id(link)).unwrap_or_default()
    }

    fn link_mtu(&mut self, link: &Handle) -> u32 {
        self.operation.link_mtu(id(link)).unwrap_or_default()
    }

    fn link_addresses(&mut self, link: &Handle) -> Vec<Cidr> {
        self.operation
            .link_addresses(id(link))
            .unwrap_or_default()
            .into_iter()
            .map(c::cidr)
            .collect()
    }

    fn link_state(&mut self, link: &Handle) -> LinkState {
        match self.operation.link_up(id(link)) {
            Ok(None) => LinkState::Planned,
            Ok(Some(true)) => LinkState::Up,
            Ok(Some(false)) | Err(_) => LinkState::Down,
        }
    }

    fn link_mac(&mut self, link: &Handle) -> Option<Mac> {
        self.operation.link_mac(id(link)).ok().flatten().map(c::sdk_mac)
    }

    fn supports(&mut self, kind: &str) -> bool {
        self.operation.supports(kind).unwrap_or_default()
    }

    fn log(&mut self, level: Level, message: &str) {
        println!("driver {level:?}: {message}");
    }

    fn forget(&mut self, link: u32) {
        self.operation.forget(LinkId(link));
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

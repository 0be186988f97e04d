//! The SDK's functions, each one call into the host.

use std::net::IpAddr;

use super::{
    Handle,
    bindings::jackfield::driver::{firewall, log as wit_log, netlink as n, state, types},
    convert::{FromWit, ToWit, list, pairs},
};
use crate::{
    Cidr, Error, Family, ForwardingEntry, IpvlanMode, Link, LinkState, Mac, MacvlanMode, PortMapping, Rate, Result,
    Route, RouteLookup, Statistics, SysctlTable, firewall::Border, log::Level,
};

fn done<T>(result: Result<T, types::Error>) -> Result<T> {
    result.map_err(Error::from_wit)
}

pub(crate) fn create_bridge(label: &str, name: Option<&str>, attributes: &[(&str, &str)]) -> Result<Handle> {
    done(n::create_bridge(label, name, &pairs(attributes)))
}

pub(crate) fn create_veth(label: &str) -> Result<(Handle, Handle)> {
    done(n::create_veth(label, &[]))
}

pub(crate) fn create_macvlan(label: &str, parent: &Handle, mode: MacvlanMode) -> Result<Handle> {
    done(n::create_macvlan(label, parent, mode.to_wit(), &[]))
}

pub(crate) fn create_ipvlan(label: &str, parent: &Handle, mode: IpvlanMode) -> Result<Handle> {
    done(n::create_ipvlan(label, parent, mode.to_wit(), &[]))
}

pub(crate) fn create_vlan(label: &str, parent: &Handle, id: u16) -> Result<Handle> {
    done(n::create_vlan(label, parent, id, &[]))
}

pub(crate) fn create_vxlan(
    label: &str,
    vni: u32,
    parent: Option<&Handle>,
    attributes: &[(&str, &str)],
) -> Result<Handle> {
    done(n::create_vxlan(label, vni, parent, &pairs(attributes)))
}

pub(crate) fn create_dummy(label: &str) -> Result<Handle> {
    done(n::create_dummy(label, &[]))
}

pub(crate) fn create_tap(label: &str, attributes: &[(&str, &str)]) -> Result<Handle> {
    done(n::create_tap(label, &pairs(attributes)))
}

pub(crate) fn find_link(name: &str) -> Result<Handle> {
    done(n::find_link(name))
}

pub(crate) fn find_own(label: &str) -> Result<Handle> {
    done(n::find_own(label))
}

pub(crate) fn list_links() -> Result<Vec<Handle>> {
    done(n::list_links())
}

pub(crate) fn link_name(link: &Handle) -> String {
    link.name()
}

pub(crate) fn link_kind(link: &Handle) -> String {
    link.kind()
}

pub(crate) fn link_label(link: &Handle) -> String {
    link.label()
}

pub(crate) fn link_mtu(link: &Handle) -> u32 {
    link.mtu()
}

pub(crate) fn link_addresses(link: &Handle) -> Vec<Cidr> {
    list(link.addresses())
}

pub(crate) fn link_state(link: &Handle) -> LinkState {
    LinkState::from_wit(link.state())
}

pub(crate) fn link_mac(link: &Handle) -> Option<Mac> {
    link.mac().map(Mac::from_wit)
}

pub(crate) fn link_statistics(link: &Handle) -> Result<Statistics> {
    done(link.statistics()).map(Statistics::from_wit)
}

pub(crate) fn set_up(link: &Handle, up: bool) -> Result<()> {
    done(link.set_up(up))
}

pub(crate) fn set_mtu(link: &Handle, mtu: u32) -> Result<()> {
    done(link.set_mtu(mtu))
}

pub(crate) fn set_mac(link: &Handle, mac: Mac) -> Result<()> {
    done(link.set_mac(mac.to_wit()))
}

pub(crate) fn set_controller(link: &Handle, controller: Option<&Handle>) -> Result<()> {
    done(link.set_controller(controller))
}

pub(crate) fn set_bridge_port(link: &Handle, attributes: &[(&str, &str)]) -> Result<()> {
    done(link.set_bridge_port(&pairs(attributes)))
}

pub(crate) fn add_address(link: &Handle, address: Cidr) -> Result<()> {
    done(link.add_address(address.to_wit()))
}

pub(crate) fn remove_address(link: &Handle, address: Cidr) -> Result<()> {
    done(link.remove_address(address.to_wit()))
}

pub(crate) fn add_neighbour(link: &Handle, address: IpAddr, mac: Mac) -> Result<()> {
    done(link.add_neighbour(n::Neighbour {
        address: address.to_wit(),
        mac: mac.to_wit(),
    }))
}

pub(crate) fn remove_neighbour(link: &Handle, address: IpAddr) -> Result<()> {
    done(link.remove_neighbour(address.to_wit()))
}

pub(crate) fn add_proxy_neighbour(link: &Handle, address: IpAddr) -> Result<()> {
    done(link.add_proxy_neighbour(address.to_wit()))
}

pub(crate) fn remove_proxy_neighbour(link: &Handle, address: IpAddr) -> Result<()> {
    done(link.remove_proxy_neighbour(address.to_wit()))
}

pub(crate) fn add_forwarding_entry(link: &Handle, entry: ForwardingEntry) -> Result<()> {
    done(link.add_forwarding_entry(entry.to_wit()))
}

pub(crate) fn remove_forwarding_entry(link: &Handle, entry: ForwardingEntry) -> Result<()> {
    done(link.remove_forwarding_entry(entry.to_wit()))
}

pub(crate) fn set_sysctl(link: &Handle, family: Family, table: SysctlTable, key: &str, value: &str) -> Result<()> {
    done(link.set_sysctl(family.to_wit(), table.to_wit(), key, value))
}

pub(crate) fn set_bandwidth(link: &Handle, ingress: Option<Rate>, egress: Option<Rate>) -> Result<()> {
    done(link.set_bandwidth(ingress.map(ToWit::to_wit), egress.map(ToWit::to_wit)))
}

pub(crate) fn delete_link(link: &Handle) -> Result<()> {
    done(link.delete())
}

pub(crate) fn add_route(route: &Route, link: Option<&Handle>) -> Result<()> {
    done(n::add_route(&route.to_wit(), link))
}

pub(crate) fn remove_route(route: &Route, link: Option<&Handle>) -> Result<()> {
    done(n::remove_route(&route.to_wit(), link))
}

pub(crate) fn add_rule(family: Family, rule: &[(&str, &str)]) -> Result<()> {
    done(n::add_rule(family.to_wit(), &pairs(rule)))
}

pub(crate) fn remove_rule(family: Family, rule: &[(&str, &str)]) -> Result<()> {
    done(n::remove_rule(family.to_wit(), &pairs(rule)))
}

pub(crate) fn lookup_route(destination: IpAddr) -> Result<RouteLookup> {
    let found = done(n::lookup_route(destination.to_wit()))?;
    Ok(RouteLookup {
        link: found.link.map(Link::from),
        gateway: found.gateway.map(IpAddr::from_wit),
        source: found.source.map(IpAddr::from_wit),
    })
}

pub(crate) fn supports(kind: &str) -> bool {
    n::supports(kind)
}

pub(crate) fn masquerade(subnet: Cidr, link: &Handle) -> Result<()> {
    done(firewall::masquerade(subnet.to_wit(), link))
}

pub(crate) fn masquerade_as(subnet: Cidr, link: &Handle, source: IpAddr) -> Result<()> {
    done(firewall::masquerade_as(subnet.to_wit(), link, source.to_wit()))
}

pub(crate) fn publish(mapping: &PortMapping) -> Result<u16> {
    done(firewall::publish(mapping.to_wit()))
}

pub(crate) fn make_internal(link: &Handle) -> Result<()> {
    done(firewall::make_internal(link))
}

pub(crate) fn isolate_ports(link: &Handle) -> Result<()> {
    done(firewall::isolate_ports(link))
}

pub(crate) fn guard(link: &Handle, border: &Border) -> Result<()> {
    done(firewall::guard(link, &border.to_wit()))
}

pub(crate) fn state_get(key: &str) -> Result<Option<Vec<u8>>> {
    done(state::get(key))
}

pub(crate) fn state_set(key: &str, value: &[u8]) -> Result<()> {
    done(state::set(key, value))
}

pub(crate) fn state_delete(key: &str) -> Result<()> {
    done(state::delete(key))
}

pub(crate) fn state_list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
    done(state::list_keys(prefix, after, limit))
}

pub(crate) fn log(level: Level, message: &str) {
    wit_log::log(level.to_wit(), message);
}

//! The functions of the interface `netlink`: making and finding links, routes and rules.

use jackfield_driver::{LinkId, Operation};
use jackfield_model::Result as Told;
use jackfield_wasm_bindings::{
    Failure, LinkHandle,
    jackfield::driver::{
        netlink::{Host, IpvlanMode, MacvlanMode, Route, RouteLookup, Rule},
        types::{AddressFamily, IpAddress, Options},
    },
};
use wasmtime::{Result, component::Resource};

use super::{answered, checked};
use crate::{convert, guest::Guest};

type Handle = Resource<LinkHandle>;

impl Guest {
    /// Asks for a link and hands it out.
    fn ask_for_link(&mut self, question: impl FnOnce(&mut Operation) -> Told<LinkId>) -> Result<Handle, Failure> {
        let link = self.ask(question)?;
        self.hand_out(link)
    }

    fn link_if_any(&self, handle: Option<Handle>) -> Result<Option<LinkId>> {
        handle.map(|handle| self.link(&handle)).transpose()
    }
}

impl Host for Guest {
    fn create_bridge(&mut self, label: String, name: Option<String>, attributes: Options) -> Result<Handle, Failure> {
        let attributes = checked(convert::options(attributes))?;
        self.ask_for_link(|op| op.create_bridge(&label, name.as_deref(), &attributes))
    }

    fn create_veth(&mut self, label: String, attributes: Options) -> Result<(Handle, Handle), Failure> {
        let attributes = checked(convert::options(attributes))?;
        let (link, peer) = self.ask(|op| op.create_veth(&label, &attributes))?;
        Ok((self.hand_out(link)?, self.hand_out(peer)?))
    }

    fn create_macvlan(
        &mut self,
        label: String,
        parent: Handle,
        mode: MacvlanMode,
        attributes: Options,
    ) -> Result<Handle, Failure> {
        let (parent, attributes) = (self.link(&parent)?, checked(convert::options(attributes))?);
        self.ask_for_link(|op| op.create_macvlan(&label, parent, convert::macvlan_mode(mode), &attributes))
    }

    fn create_ipvlan(
        &mut self,
        label: String,
        parent: Handle,
        mode: IpvlanMode,
        attributes: Options,
    ) -> Result<Handle, Failure> {
        let (parent, attributes) = (self.link(&parent)?, checked(convert::options(attributes))?);
        self.ask_for_link(|op| op.create_ipvlan(&label, parent, convert::ipvlan_mode(mode), &attributes))
    }

    fn create_vlan(&mut self, label: String, parent: Handle, id: u16, attributes: Options) -> Result<Handle, Failure> {
        let (parent, attributes) = (self.link(&parent)?, checked(convert::options(attributes))?);
        self.ask_for_link(|op| op.create_vlan(&label, parent, id, &attributes))
    }

    fn create_vxlan(
        &mut self,
        label: String,
        vni: u32,
        parent: Option<Handle>,
        attributes: Options,
    ) -> Result<Handle, Failure> {
        let (parent, attributes) = (self.link_if_any(parent)?, checked(convert::options(attributes))?);
        self.ask_for_link(|op| op.create_vxlan(&label, vni, parent, &attributes))
    }

    fn create_dummy(&mut self, label: String, attributes: Options) -> Result<Handle, Failure> {
        let attributes = checked(convert::options(attributes))?;
        self.ask_for_link(|op| op.create_dummy(&label, &attributes))
    }

    fn create_tap(&mut self, label: String, attributes: Options) -> Result<Handle, Failure> {
        let attributes = checked(convert::options(attributes))?;
        self.ask_for_link(|op| op.create_tap(&label, &attributes))
    }

    fn find_link(&mut self, name: String) -> Result<Handle, Failure> {
        self.ask_for_link(|op| op.find_link(&name))
    }

    fn find_own(&mut self, label: String) -> Result<Handle, Failure> {
        self.ask_for_link(|op| op.find_own(&label))
    }

    fn list_links(&mut self) -> Result<Vec<Handle>, Failure> {
        let links = self.ask(Operation::list_links)?;
        links.into_iter().map(|link| self.hand_out(link)).collect()
    }

    fn add_route(&mut self, route: Route, link: Option<Handle>) -> Result<(), Failure> {
        let (destination, gateway) = (
            checked(convert::network(route.destination))?,
            route.gateway.map(convert::address),
        );
        let (attributes, link) = (checked(convert::options(route.attributes))?, self.link_if_any(link)?);
        self.ask(|op| op.add_route(destination, gateway, &attributes, link))
    }

    fn remove_route(&mut self, route: Route, link: Option<Handle>) -> Result<(), Failure> {
        let (destination, gateway) = (
            checked(convert::network(route.destination))?,
            route.gateway.map(convert::address),
        );
        let (attributes, link) = (checked(convert::options(route.attributes))?, self.link_if_any(link)?);
        self.ask(|op| op.remove_route(destination, gateway, &attributes, link))
    }

    fn add_rule(&mut self, family: AddressFamily, rule: Rule) -> Result<(), Failure> {
        let rule = checked(convert::options(rule))?;
        self.ask(|op| op.add_rule(convert::family(family), &rule))
    }

    fn remove_rule(&mut self, family: AddressFamily, rule: Rule) -> Result<(), Failure> {
        let rule = checked(convert::options(rule))?;
        self.ask(|op| op.remove_rule(convert::family(family), &rule))
    }

    fn lookup_route(&mut self, destination: IpAddress) -> Result<RouteLookup, Failure> {
        let destination = convert::address(destination);
        let (link, gateway, source) = self.ask(|op| op.lookup_route(destination))?;
        Ok(RouteLookup {
            link: link.map(|link| self.hand_out(link)).transpose()?,
            gateway: gateway.map(convert::address_to_guest),
            source: source.map(convert::address_to_guest),
        })
    }

    fn supports(&mut self, kind: String) -> Result<bool> {
        answered(self.ask(|op| op.supports(&kind)))
    }
}

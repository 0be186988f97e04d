//! The interface `firewall`.

use jackfield_wasm_bindings::{
    Failure, LinkHandle,
    jackfield::driver::{
        firewall::{Border, Host},
        types::{IpAddress, IpNetwork, PortMapping},
    },
};
use wasmtime::{Result, component::Resource};

use super::checked;
use crate::{convert, guest::Guest};

impl Host for Guest {
    fn masquerade(&mut self, subnet: IpNetwork, link: Resource<LinkHandle>) -> Result<(), Failure> {
        let (subnet, link) = (checked(convert::network(subnet))?, self.link(&link)?);
        self.ask(|op| op.masquerade(subnet, link))
    }

    fn masquerade_as(
        &mut self,
        subnet: IpNetwork,
        link: Resource<LinkHandle>,
        source: IpAddress,
    ) -> Result<(), Failure> {
        let (subnet, link) = (checked(convert::network(subnet))?, self.link(&link)?);
        self.ask(|op| op.masquerade_as(subnet, link, convert::address(source)))
    }

    fn publish(&mut self, mapping: PortMapping) -> Result<u16, Failure> {
        let mapping = checked(convert::port(mapping))?;
        self.ask(|op| op.publish(mapping))
    }

    fn make_internal(&mut self, link: Resource<LinkHandle>) -> Result<(), Failure> {
        let link = self.link(&link)?;
        self.ask(|op| op.make_internal(link))
    }

    fn isolate_ports(&mut self, link: Resource<LinkHandle>) -> Result<(), Failure> {
        let link = self.link(&link)?;
        self.ask(|op| op.isolate_ports(link))
    }

    fn guard(&mut self, link: Resource<LinkHandle>, border: Border) -> Result<(), Failure> {
        let (guard, link) = (checked(convert::guard(&border))?, self.link(&link)?);
        self.ask(|op| op.guard(link, &guard))
    }
}

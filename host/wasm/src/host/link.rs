//! The resource `link`.

use jackfield_driver::{LinkId, Operation};
use jackfield_model::Result as Told;
use jackfield_wasm_bindings::{
    Failure, LinkHandle,
    jackfield::driver::{
        netlink::{ForwardingEntry, HostLink, LinkState, LinkStatistics, Neighbour, Rate, SysctlTable},
        types::{AddressFamily, IpAddress, IpNetwork, MacAddress, Options},
    },
};
use wasmtime::{Result, component::Resource};

use super::{answered, checked};
use crate::{convert, guest::Guest};

type Handle = Resource<LinkHandle>;

impl Guest {
    /// Asks about the link behind a handle.
    fn ask_link<T>(
        &mut self,
        handle: &Handle,
        question: impl FnOnce(&mut Operation, LinkId) -> Told<T>,
    ) -> Result<T, Failure> {
        let link = self.link(handle)?;
        self.ask(|operation| question(operation, link))
    }
}

impl HostLink for Guest {
    fn name(&mut self, this: Handle) -> Result<String> {
        answered(self.ask_link(&this, |op, link| op.link_name(link))).map(|name| name.to_string())
    }

    fn kind(&mut self, this: Handle) -> Result<String> {
        answered(self.ask_link(&this, |op, link| op.link_kind(link)))
    }

    fn label(&mut self, this: Handle) -> Result<String> {
        answered(self.ask_link(&this, |op, link| op.link_label(link)))
    }

    fn mtu(&mut self, this: Handle) -> Result<u32> {
        answered(self.ask_link(&this, |op, link| op.link_mtu(link)))
    }

    fn addresses(&mut self, this: Handle) -> Result<Vec<IpNetwork>> {
        answered(self.ask_link(&this, |op, link| op.link_addresses(link))).map(|list| convert::networks_to_guest(&list))
    }

    fn state(&mut self, this: Handle) -> Result<LinkState> {
        answered(self.ask_link(&this, |op, link| op.link_up(link))).map(convert::state_to_guest)
    }

    fn mac(&mut self, this: Handle) -> Result<Option<MacAddress>> {
        answered(self.ask_link(&this, |op, link| op.link_mac(link))).map(|mac| mac.map(convert::mac_to_guest))
    }

    fn statistics(&mut self, this: Handle) -> Result<LinkStatistics, Failure> {
        self.ask_link(&this, |op, link| op.link_statistics(link))
            .map(convert::statistics_to_guest)
    }

    fn set_up(&mut self, this: Handle, up: bool) -> Result<(), Failure> {
        self.ask_link(&this, |op, link| op.set_up(link, up))
    }

    fn set_mtu(&mut self, this: Handle, mtu: u32) -> Result<(), Failure> {
        self.ask_link(&this, |op, link| op.set_mtu(link, mtu))
    }

    fn set_mac(&mut self, this: Handle, mac: MacAddress) -> Result<(), Failure> {
        let mac = checked(convert::mac(mac))?;
        self.ask_link(&this, |op, link| op.set_mac(link, mac))
    }

    fn set_controller(&mut self, this: Handle, controller: Option<Handle>) -> Result<(), Failure> {
        let controller = controller.map(|handle| self.link(&handle)).transpose()?;
        self.ask_link(&this, |op, link| op.set_controller(link, controller))
    }

    fn set_bridge_port(&mut self, this: Handle, attributes: Options) -> Result<(), Failure> {
        let attributes = checked(convert::options(attributes))?;
        self.ask_link(&this, |op, link| op.set_bridge_port(link, &attributes))
    }

    fn add_address(&mut self, this: Handle, address: IpNetwork) -> Result<(), Failure> {
        let address = checked(convert::network(address))?;
        self.ask_link(&this, |op, link| op.add_address(link, address))
    }

    fn remove_address(&mut self, this: Handle, address: IpNetwork) -> Result<(), Failure> {
        let address = checked(convert::network(address))?;
        self.ask_link(&this, |op, link| op.remove_address(link, address))
    }

    fn add_neighbour(&mut self, this: Handle, entry: Neighbour) -> Result<(), Failure> {
        let mac = checked(convert::mac(entry.mac))?;
        let address = convert::address(entry.address);
        self.ask_link(&this, |op, link| op.add_neighbour(link, address, mac))
    }

    fn remove_neighbour(&mut self, this: Handle, address: IpAddress) -> Result<(), Failure> {
        let address = convert::address(address);
        self.ask_link(&this, |op, link| op.remove_neighbour(link, address))
    }

    fn add_proxy_neighbour(&mut self, this: Handle, address: IpAddress) -> Result<(), Failure> {
        let address = convert::address(address);
        self.ask_link(&this, |op, link| op.add_proxy_neighbour(link, address))
    }

    fn remove_proxy_neighbour(&mut self, this: Handle, address: IpAddress) -> Result<(), Failure> {
        let address = convert::address(address);
        self.ask_link(&this, |op, link| op.remove_proxy_neighbour(link, address))
    }

    fn add_forwarding_entry(&mut self, this: Handle, entry: ForwardingEntry) -> Result<(), Failure> {
        let entry = checked(convert::forwarding_entry(entry))?;
        self.ask_link(&this, |op, link| op.add_forwarding_entry(link, entry))
    }

    fn remove_forwarding_entry(&mut self, this: Handle, entry: ForwardingEntry) -> Result<(), Failure> {
        let entry = checked(convert::forwarding_entry(entry))?;
        self.ask_link(&this, |op, link| op.remove_forwarding_entry(link, entry))
    }

    fn set_sysctl(
        &mut self,
        this: Handle,
        family: AddressFamily,
        table: SysctlTable,
        key: String,
        value: String,
    ) -> Result<(), Failure> {
        let (family, table) = (convert::family(family), convert::sysctl_table(table));
        self.ask_link(&this, |op, link| op.set_sysctl(link, family, table, &key, &value))
    }

    fn set_bandwidth(&mut self, this: Handle, ingress: Option<Rate>, egress: Option<Rate>) -> Result<(), Failure> {
        let ingress = checked(ingress.map(convert::rate).transpose())?;
        let egress = checked(egress.map(convert::rate).transpose())?;
        self.ask_link(&this, |op, link| op.set_bandwidth(link, ingress, egress))
    }

    fn delete(&mut self, this: Handle) -> Result<(), Failure> {
        self.ask_link(&this, |op, link| op.delete_link(link))
    }

    fn drop(&mut self, this: Handle) -> Result<()> {
        let link = self.take_back(this)?;
        self.operation.forget(link);
        Ok(())
    }
}

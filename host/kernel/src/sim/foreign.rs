//! What was there before the host, or is made beside it: for tests that want something which is not ours.

use std::net::IpAddr;

use jackfield_model::{IpNetwork, LinkName, MacAddr};
use nix::errno::Errno;

use super::{
    Answer, Simulated,
    link::{Link, Nature},
    space::Space,
};
use crate::{
    AddressInfo, Ifindex, KernelError, LinkInfo, Namespace, NeighbourInfo, Result, RouteInfo, RuleInfo, plan::Route,
};

/// RTPROT_STATIC, as an administrator's routes have it.
const STATIC: u8 = 4;

impl Simulated {
    /// Places a link as somebody else made it. An empty kind is hardware; a veth's peer cannot be placed.
    ///
    /// # Errors
    /// As the kernel: `EEXIST` when name or index is taken.
    pub fn add_link(&self, namespace: &Namespace, info: LinkInfo) -> Result<()> {
        let index = info.index;
        self.place(namespace, format!("link {index}"), |space| space.place_link(info))
    }

    /// Places an address of somebody else's.
    ///
    /// # Errors
    /// As the kernel.
    pub fn add_address(&self, namespace: &Namespace, info: &AddressInfo) -> Result<()> {
        self.place(namespace, info.address.to_string(), |space| {
            space.add_address(info.index, info.address, info.protocol)
        })
    }

    /// Places a route of somebody else's.
    ///
    /// # Errors
    /// As the kernel.
    pub fn add_route(&self, namespace: &Namespace, info: &RouteInfo) -> Result<()> {
        self.place(namespace, info.route.destination.to_string(), |space| {
            space.add_route(&info.route, info.protocol)
        })
    }

    /// Places a rule of somebody else's.
    ///
    /// # Errors
    /// As the kernel.
    pub fn add_rule(&self, namespace: &Namespace, info: &RuleInfo) -> Result<()> {
        self.place(namespace, format!("rule {}", info.rule.priority), |space| {
            space.add_rule(&info.rule, info.protocol)
        })
    }

    /// Places a neighbour of somebody else's; one without a MAC is answered for.
    ///
    /// # Errors
    /// As the kernel.
    pub fn add_neighbour(&self, namespace: &Namespace, info: &NeighbourInfo) -> Result<()> {
        self.place(namespace, info.address.to_string(), |space| match info.mac {
            Some(mac) => space.add_neighbour(info.index, info.address, mac, info.protocol),
            None => space.add_proxy(info.index, info.address, info.protocol),
        })
    }

    /// Places a network card that is up, has that address, and the default route by that gateway: a machine's uplink.
    ///
    /// # Errors
    /// As the kernel: `EEXIST` when name, index or route is taken, `ENETUNREACH` or `EHOSTUNREACH` when the gateway is not in the address's subnet.
    pub fn add_uplink(
        &self,
        namespace: &Namespace,
        index: Ifindex,
        name: LinkName,
        address: IpNetwork,
        gateway: IpAddr,
    ) -> Result<()> {
        let everywhere = if gateway.is_ipv4() {
            IpAddr::from([0u8; 4])
        } else {
            IpAddr::from([0u16; 8])
        };
        self.place(namespace, format!("uplink {name}"), |space| {
            let destination = IpNetwork::new(everywhere, 0).map_err(|_| Errno::EINVAL)?;
            space.put_link(index, hardware(index, name))?;
            space.add_address(index, address, 0)?;
            space.add_route(&Route::via(destination, gateway, index), STATIC)
        })
    }

    fn place(&self, namespace: &Namespace, object: String, put: impl FnOnce(&mut Space) -> Answer) -> Result<()> {
        let mut state = self.state();
        state.space(namespace.id())?;
        let placed = state.within(namespace.id()).and_then(put);
        placed.map_err(|errno| KernelError::Refused {
            operation: "place",
            object,
            errno,
        })
    }
}

/// A network card that is up, with a MAC that follows from its index.
fn hardware(index: Ifindex, name: LinkName) -> Link {
    let [a, b, c, d] = index.get().to_be_bytes();
    let mac = MacAddr::new([0x52, 0x54, a, b, c, d]).ok();
    Link {
        mac,
        up: true,
        ..Link::new(name, Nature::Other(String::new()))
    }
}

impl Space {
    fn place_link(&mut self, info: LinkInfo) -> Answer {
        let nature = match info.kind.as_str() {
            "bridge" => Nature::Bridge,
            "dummy" => Nature::Dummy,
            _ => Nature::Other(info.kind),
        };
        let link = Link {
            mac: info.mac,
            mtu: info.mtu,
            up: info.up,
            controller: info.controller,
            group: info.group,
            alias: info.alias,
            port: info.bridge_port.unwrap_or(super::link::fresh_port()),
            address_generation: info.address_generation,
            ..Link::new(info.name, nature)
        };
        self.put_link(info.index, link)
    }

    fn put_link(&mut self, index: Ifindex, link: Link) -> Answer {
        if self.links.contains_key(&index) || self.has_name(&link.name) {
            return Err(Errno::EEXIST);
        }
        self.insert_link(index, link);
        Ok(())
    }
}

//! Address translation and isolation, in the host's own nftables table.

use std::net::IpAddr;

use crate::{Cidr, Link, PortMapping, Result, backend};

/// How the world outside reaches the endpoints of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// By published ports alone. What is sent to an endpoint's own address is dropped.
    Nat,
    /// By published ports, and by any packet that finds the way to an endpoint's own address.
    NatUnprotected,
    /// At the endpoint's own address, by the ports that are published, and echo requests. Nothing is translated: leave masquerading out.
    Routed,
}

/// Who may pass a link of a network, beyond what holds for all: members of a network reach each other and the world, and not the members of
/// other networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Border {
    /// None leaves the family without a guard: everybody but members of other networks may enter.
    pub ipv4: Option<Gateway>,
    /// The same.
    pub ipv6: Option<Gateway>,
    /// Whether endpoints on this link reach each other other than by published ports.
    pub icc: bool,
    /// Names of the host's links by which everything may enter; they need not be there.
    pub trusted: Vec<String>,
}

impl Default for Border {
    /// Nobody is kept out but members of other networks.
    fn default() -> Self {
        Self {
            ipv4: None,
            ipv6: None,
            icc: true,
            trusted: Vec::new(),
        }
    }
}

/// Masquerades what leaves the subnet by any other link than this.
pub fn masquerade(subnet: Cidr, link: &Link) -> Result<()> {
    backend::masquerade(subnet, &link.handle)
}

/// The same with a given source, an address of the host that is granted, in place of that of the link it leaves by.
pub fn masquerade_as(subnet: Cidr, link: &Link, source: IpAddr) -> Result<()> {
    backend::masquerade_as(subnet, &link.handle, source)
}

/// Publishes a port of the endpoint that the operation concerns; answers with the host port.
pub fn publish(mapping: &PortMapping) -> Result<u16> {
    backend::publish(mapping)
}

/// Lets nothing pass between this link and the world outside its network.
pub fn make_internal(link: &Link) -> Result<()> {
    backend::make_internal(&link.handle)
}

/// Lets nothing pass between the ports of this bridge, which this operation makes.
pub fn isolate_ports(link: &Link) -> Result<()> {
    backend::isolate_ports(&link.handle)
}

/// Says who may pass this link, once.
pub fn guard(link: &Link, border: &Border) -> Result<()> {
    backend::guard(&link.handle, border)
}

//! Address translation and isolation, in the host's own nftables table.

use crate::{Cidr, Link, PortMapping, Result, backend};

/// Masquerades what leaves the subnet by any other link than this.
pub fn masquerade(subnet: Cidr, link: &Link) -> Result<()> {
    backend::masquerade(subnet, &link.handle)
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

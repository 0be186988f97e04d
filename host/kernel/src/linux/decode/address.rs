//! RTM_NEWADDR.

use super::{header_u32, network};
use crate::{AddressInfo, linux::attributes::Attributes, plan::Ifindex};

/// struct ifaddrmsg of include/uapi/linux/if_addr.h: family, prefix length, flags, scope, index.
const HEADER: usize = 8;
const PREFIX: usize = 1;
const INDEX: usize = 4;
/// IFA_PROTO of include/uapi/linux/if_addr.h, Linux 5.18.
const IFA_PROTO: u16 = 11;

/// An address of a link. IFA_LOCAL is the link's own where IFA_ADDRESS is its peer's; IPv6 leaves it out where there is no peer.
pub(in crate::linux) fn address(message: &[u8]) -> Option<AddressInfo> {
    let attributes = Attributes::after(message, HEADER);
    let ip = attributes
        .get_ip(libc::IFA_LOCAL)
        .or_else(|| attributes.get_ip(libc::IFA_ADDRESS))?;
    Some(AddressInfo {
        index: Ifindex::new(header_u32(message, INDEX)?)?,
        address: network(ip, *message.get(PREFIX)?)?,
        protocol: attributes.get_u8(IFA_PROTO).unwrap_or_default(),
    })
}

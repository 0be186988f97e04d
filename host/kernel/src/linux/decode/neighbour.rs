//! RTM_NEWNEIGH, of the IP families and of PF_BRIDGE.

use super::{header_u32, mac};
use crate::{
    ForwardingInfo, NeighbourInfo,
    linux::attributes::Attributes,
    plan::{ForwardingEntry, Ifindex},
};

/// struct ndmsg of include/uapi/linux/neighbour.h: family, padding, index, state, flags, type.
const HEADER: usize = 12;
const INDEX: usize = 4;
const STATE: usize = 8;
const FLAGS: usize = 10;
/// NDA_PROTOCOL, Linux 5.0.
const NDA_PROTOCOL: u16 = 12;

/// A permanent neighbour; None for one that the kernel learned by itself, and would forget.
pub(in crate::linux) fn neighbour(message: &[u8]) -> Option<NeighbourInfo> {
    let found = any_neighbour(message)?;
    (state(message)? & libc::NUD_PERMANENT != 0).then_some(found)
}

/// A proxy entry.
pub(in crate::linux) fn proxy_neighbour(message: &[u8]) -> Option<NeighbourInfo> {
    let found = any_neighbour(message)?;
    (flags(message)? & libc::NTF_PROXY != 0).then_some(NeighbourInfo { mac: None, ..found })
}

fn any_neighbour(message: &[u8]) -> Option<NeighbourInfo> {
    let attributes = Attributes::after(message, HEADER);
    Some(NeighbourInfo {
        index: Ifindex::new(header_u32(message, INDEX)?)?,
        address: attributes.get_ip(libc::NDA_DST)?,
        mac: attributes.get(libc::NDA_LLADDR).and_then(mac),
        protocol: attributes.get_u8(NDA_PROTOCOL).unwrap_or_default(),
    })
}

/// A forwarding entry that somebody set: one with a destination in a VXLAN's own database, or a static one of a bridge. None for what
/// follows from links (their own addresses, the groups they listen to) and for what was learned.
pub(in crate::linux) fn forwarding_entry(message: &[u8]) -> Option<ForwardingInfo> {
    let attributes = Attributes::after(message, HEADER);
    let octets = attributes.get(libc::NDA_LLADDR)?;
    let entry = ForwardingEntry {
        mac: mac(octets),
        destination: attributes.get_ip(libc::NDA_DST),
        vni: attributes.get_u32(libc::NDA_VNI),
        vlan: attributes.get_u16(libc::NDA_VLAN),
    };
    let own = flags(message)? & libc::NTF_SELF != 0;
    let state = state(message)?;
    let set = match own {
        true => entry.destination.is_some() && state & libc::NUD_PERMANENT != 0,
        false => state & libc::NUD_NOARP != 0,
    };
    let flood = octets.iter().all(|o| *o == 0);
    let index = Ifindex::new(header_u32(message, INDEX)?)?;
    (set && (entry.mac.is_some() || flood)).then_some(ForwardingInfo { index, entry })
}

fn state(message: &[u8]) -> Option<u16> {
    message.get(STATE..STATE + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn flags(message: &[u8]) -> Option<u8> {
    message.get(FLAGS).copied()
}

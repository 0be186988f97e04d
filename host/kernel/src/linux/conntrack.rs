//! Tracked connections, by ctnetlink: those of an address are found in a dump and deleted one by one.

use std::{io, net::IpAddr};

use nix::errno::Errno;

use super::{
    Linux,
    attributes::{Attributes, append},
    describe,
    socket::{Answer, Message, Refusal, Socket},
};
use crate::{KernelError, Namespace, Request, Result};

/// NFNL_SUBSYS_CTNETLINK of include/uapi/linux/netfilter/nfnetlink.h, as the high byte of a message's type.
const SUBSYSTEM: u16 = 1 << 8;
// enum cntl_msg_types of include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
/// struct nfgenmsg: family, version, resource.
const HEADER: usize = 4;

// enum ctattr_type, ctattr_tuple and ctattr_ip of the same file.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
/// NLA_F_NESTED, which ctnetlink insists on for a tuple.
const NESTED: u16 = libc::NLA_F_NESTED as u16;
const CTA_IP_SOURCE_AND_DESTINATION: std::ops::RangeInclusive<u16> = 1..=4;

/// Forgets the connections that an address has a part in, before or after translation.
pub(super) fn flush(linux: &Linux, namespace: &Namespace, address: IpAddr, request: &Request) -> Result<()> {
    match linux.netfilter(namespace, |socket| flush_by(socket, address))? {
        Ok(()) => Ok(()),
        // The subsystem is neither built in nor to be loaded.
        Err(refusal) if refusal.errno == Errno::EINVAL => Err(KernelError::Unsupported(
            "connection tracking over netlink (NF_CT_NETLINK)".to_owned(),
        )),
        Err(refusal) => Err(describe::refused(request, refusal)),
    }
}

fn flush_by(socket: &mut Socket, address: IpAddr) -> io::Result<Result<(), Refusal>> {
    let all = match socket.dump(get(address))? {
        Ok(all) => all,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let deletions: Vec<_> = all.iter().filter(|c| has_part_in(c, address)).map(delete).collect();
    let answers = socket.exchange(&deletions, &mut |_, _, _| {})?;
    // A connection may have ended by itself meanwhile.
    Ok(answers
        .into_iter()
        .filter(|a| !matches!(a, Err(r) if r.errno == Errno::ENOENT))
        .collect())
}

fn get(address: IpAddr) -> Message {
    Message {
        kind: GET,
        flags: 0,
        body: header(if address.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        }),
    }
}

fn header(family: libc::c_int) -> Vec<u8> {
    // The families are below 256.
    vec![family as u8, 0, 0, 0]
}

fn has_part_in(connection: &Answer, address: IpAddr) -> bool {
    let attributes = Attributes::after(&connection.body, HEADER);
    [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].into_iter().any(|direction| {
        let addresses = attributes
            .get_nested(direction)
            .and_then(|t| t.get_nested(CTA_TUPLE_IP));
        addresses.is_some_and(|a| {
            CTA_IP_SOURCE_AND_DESTINATION
                .into_iter()
                .any(|kind| a.get_ip(kind) == Some(address))
        })
    })
}

/// The deletion of exactly that connection: by its tuple and its id, so that one that took its place meanwhile stays.
fn delete(connection: &Answer) -> Message {
    let mut body = connection.body.get(..HEADER).unwrap_or_default().to_vec();
    let attributes = Attributes::after(&connection.body, HEADER);
    for kind in [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE] {
        if let Some(value) = attributes.get(kind) {
            let marked = if kind == CTA_TUPLE_ORIG { kind | NESTED } else { kind };
            append(&mut body, marked, value);
        }
    }
    Message {
        kind: DELETE,
        flags: 0,
        body,
    }
}

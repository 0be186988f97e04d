//! Tracked connections, by ctnetlink: those of an address are found in a dump and deleted one by one.

use std::{io, net::IpAddr, ops::RangeInclusive};

use jackfield_model::Transport;
use nix::errno::Errno;

use super::{
    Linux,
    attributes::{Attributes, append, append_nested},
    describe,
    socket::{Answer, Message, Refusal, Socket},
};
use crate::{KernelError, Leading, Namespace, Request, Result, StaleConnections};

/// NFNL_SUBSYS_CTNETLINK of include/uapi/linux/netfilter/nfnetlink.h, as the high byte of a message's type.
const SUBSYSTEM: u16 = 1 << 8;
// enum cntl_msg_types of include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const GET_STATISTICS: u16 = SUBSYSTEM | 5;
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
const CTA_IP_SOURCE_AND_DESTINATION: RangeInclusive<u16> = 1..=4;
const CTA_IP_SOURCE: [u16; 2] = [1, 3];
const CTA_IP_DESTINATION: [u16; 2] = [2, 4];
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
/// CTA_FILTER_F_CTA_PROTO_NUM of net/netfilter/nf_internals.h: only that part of the tuple counts.
const BY_PROTOCOL: u32 = 1 << 3;
/// CTA_STATS_GLOBAL_ENTRIES
const ENTRIES: u16 = 1;

/// Forgets the connections that an address has a part in, before or after translation.
pub(super) fn flush(linux: &Linux, namespace: &Namespace, address: IpAddr, request: &Request) -> Result<()> {
    let flushed = linux.netfilter(namespace, |socket| {
        flush_those(socket, get(address), |connection| has_part_in(connection, address))
    })?;
    explained(flushed, request)
}

/// Connections to a published port.
struct Port<'a> {
    protocol: u8,
    ports: RangeInclusive<u16>,
    stale: &'a StaleConnections,
}

impl<'a> Port<'a> {
    fn new(stale: &'a StaleConnections) -> Self {
        let mapping = &stale.mapping;
        let protocol = match mapping.transport {
            Transport::Tcp => libc::IPPROTO_TCP,
            Transport::Udp => libc::IPPROTO_UDP,
            Transport::Sctp => libc::IPPROTO_SCTP,
        };
        Self {
            // The protocols are below 256.
            protocol: protocol as u8,
            ports: mapping.host_port..=mapping.host_port.saturating_add(mapping.count.saturating_sub(1)),
            stale,
        }
    }

    /// The connections of its family and protocol. The kernel looks through all that it tracks, and hands over only these.
    fn get(&self) -> Message {
        let mut message = get(self.stale.target);
        append_nested(&mut message.body, CTA_TUPLE_ORIG | NESTED, |tuple| {
            append_nested(tuple, CTA_TUPLE_PROTO | NESTED, |protocol| {
                append(protocol, CTA_PROTO_NUM, &[self.protocol]);
            });
        });
        append_nested(&mut message.body, CTA_FILTER | NESTED, |filter| {
            append(filter, CTA_FILTER_ORIG_FLAGS, &BY_PROTOCOL.to_ne_bytes());
            append(filter, CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes());
        });
        message
    }

    /// By where it was sent first, and by who answers.
    fn is_meant(&self, connection: &Answer) -> bool {
        let attributes = Attributes::after(&connection.body, HEADER);
        let (asked, answered) = (
            attributes.get_nested(CTA_TUPLE_ORIG),
            attributes.get_nested(CTA_TUPLE_REPLY),
        );
        let ip = |tuple: Option<Attributes<'_>>, kinds: [u16; 2]| {
            let addresses = tuple?.get_nested(CTA_TUPLE_IP)?;
            kinds.into_iter().find_map(|kind| addresses.get_ip(kind))
        };
        let protocol = asked.and_then(|tuple| tuple.get_nested(CTA_TUPLE_PROTO));
        let number = protocol.and_then(|p| p.get_u8(CTA_PROTO_NUM));
        let port = protocol.and_then(|p| p.get(CTA_PROTO_DST_PORT)?.try_into().ok().map(u16::from_be_bytes));
        let StaleConnections {
            mapping,
            target,
            leading,
        } = self.stale;
        let (host, there) = (ip(asked, CTA_IP_DESTINATION), ip(answered, CTA_IP_SOURCE));
        number == Some(self.protocol)
            && port.is_some_and(|port| self.ports.contains(&port))
            && (mapping.host_address.is_unspecified() || host == Some(mapping.host_address))
            && (there == Some(*target)) == (*leading == Leading::There)
    }

    /// Whether one list holds the connections of both.
    fn is_listed_with(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.stale.target.is_ipv4() == other.stale.target.is_ipv4()
    }
}

/// Forgets connections to published ports. Where nothing is tracked at all that is asked for with one cheap question, since the kernel goes
/// through its whole table to list even nothing.
pub(super) fn flush_ports(
    linux: &Linux,
    namespace: &Namespace,
    stale: &[StaleConnections],
    request: &Request,
) -> Result<()> {
    let flushed = linux.tracking(namespace, |socket| {
        if matches!(count(socket)?, Ok(Some(0))) {
            return Ok(Ok(()));
        }
        let mut ports: Vec<Port<'_>> = stale.iter().map(Port::new).collect();
        while let Some(first) = ports.pop() {
            let (mut listed, others): (Vec<_>, Vec<_>) =
                ports.into_iter().partition(|port| port.is_listed_with(&first));
            let listing = first.get();
            listed.push(first);
            let flushed = flush_those(socket, listing, |connection| {
                listed.iter().any(|port| port.is_meant(connection))
            })?;
            if flushed.is_err() {
                return Ok(flushed);
            }
            ports = others;
        }
        Ok(Ok(()))
    })?;
    explained(flushed, request)
}

/// How many connections the namespace tracks.
fn count(socket: &mut Socket) -> io::Result<Result<Option<u32>, Refusal>> {
    let question = Message {
        kind: GET_STATISTICS,
        flags: 0,
        body: header(libc::AF_UNSPEC),
    };
    let entries = |answer: Answer| {
        let value = Attributes::after(&answer.body, HEADER).get(ENTRIES)?;
        value.try_into().ok().map(u32::from_be_bytes)
    };
    Ok(socket.ask(question)?.map(|answer| answer.and_then(entries)))
}

fn explained(flushed: Result<(), Refusal>, request: &Request) -> Result<()> {
    match flushed {
        Ok(()) => Ok(()),
        // The subsystem is neither built in nor to be loaded.
        Err(refusal) if refusal.errno == Errno::EINVAL => Err(KernelError::Unsupported(
            "connection tracking over netlink (NF_CT_NETLINK)".to_owned(),
        )),
        Err(refusal) => Err(describe::refused(request, refusal)),
    }
}

fn flush_those(
    socket: &mut Socket,
    listing: Message,
    is_meant: impl Fn(&Answer) -> bool,
) -> io::Result<Result<(), Refusal>> {
    let all = match socket.dump(listing)? {
        Ok(all) => all,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let deletions: Vec<_> = all.iter().filter(|c| is_meant(c)).map(delete).collect();
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

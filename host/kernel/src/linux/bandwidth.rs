//! Limits of what passes a link, by token buckets.
//!
//! The link is the host's end of a pair or a TAP device, so what the sandbox receives is what the link sends: a tbf queue, which delays. What
//! the sandbox sends is what the link receives, and there is no queue in that direction: a police action drops. (The usual way around
//! that is to redirect to an IFB link and queue there; but that is a link nobody asked for, which has to be made, recorded and deleted.)
//!
//! Ours is known by its handle or priority. A queue of somebody else's is not replaced: setting a limit beside it is refused (EEXIST).

use nix::errno::Errno;

use super::{
    Linux, attributes, describe, read,
    socket::{Message, Refusal},
};
use crate::{
    KernelError, Namespace, Request, Result,
    plan::{Ifindex, Rate},
};

// include/uapi/linux/rtnetlink.h.
const RTM_NEWQDISC: u16 = libc::RTM_NEWQDISC;
const RTM_DELQDISC: u16 = libc::RTM_DELQDISC;
const RTM_NEWTFILTER: u16 = libc::RTM_NEWTFILTER;
const RTM_DELTFILTER: u16 = libc::RTM_DELTFILTER;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const CREATE_EXCLUSIVE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

// include/uapi/linux/pkt_sched.h and pkt_cls.h.
const PARENT_ROOT: u32 = 0xffff_ffff;
const PARENT_CLSACT: u32 = 0xffff_fff1;
const PARENT_CLSACT_INGRESS: u32 = 0xffff_fff2;
const HANDLE_CLSACT: u32 = 0xffff_0000;
const LINKLAYER_ETHERNET: u8 = 1;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_POLICE_TBF: u16 = 1;
const TCA_POLICE_RATE: u16 = 2;
const TCA_POLICE_RATE64: u16 = 8;
const TC_ACT_SHOT: u32 = 2;
const RATE_TABLE: usize = 1024;

/// Our queue's handle, 6a00:, and our filter's priority.
const OUR_HANDLE: u32 = (crate::PROTOCOL as u32) << 24;
const OUR_PRIORITY: u32 = crate::PROTOCOL as u32;

/// How long a packet may wait in the queue, in milliseconds; longer ones are dropped.
const LONGEST_WAIT_MS: u64 = 25;
/// A packet larger than the bucket never passes, and what a sandbox sends comes in pieces of up to 64 KiB (segmentation is put off).
const SMALLEST_POLICE_BURST: u32 = 128 << 10;
/// An Ethernet header with two VLAN tags, which a queue counts and an MTU does not.
const FRAME_OVERHEAD: u32 = 22;

/// Takes the limits that are set away and sets these.
pub(super) fn set(
    linux: &Linux,
    namespace: &Namespace,
    (index, ingress, egress): (Ifindex, Option<Rate>, Option<Rate>),
    request: &Request,
) -> Result<()> {
    let link = read::link(linux, namespace, crate::LinkQuery::Index(index))?;
    let link = link.ok_or_else(|| {
        describe::refused(
            request,
            Refusal {
                errno: Errno::ENODEV,
                said: None,
            },
        )
    })?;
    let ask = |message| linux.route(namespace, |socket| socket.ask(message));
    for message in [delete_queue(index), delete_filter(index)] {
        match ask(message)? {
            // The kernel's words for: there is none, or the one there has another handle and is not ours.
            Ok(_)
            | Err(Refusal {
                errno: Errno::ENOENT | Errno::EINVAL,
                ..
            }) => {}
            Err(refusal) => return Err(describe::refused(request, refusal)),
        }
    }
    if let Some(rate) = ingress {
        ask(queue(index, rate, link.mtu))?.map_err(|refusal| describe::refused(request, refusal))?;
    }
    if let Some(rate) = egress {
        match ask(clsact(index))? {
            Ok(_)
            | Err(Refusal {
                errno: Errno::EEXIST, ..
            }) => {}
            Err(refusal) => return Err(lacking(request, refusal)),
        }
        ask(police(index, rate))?.map_err(|refusal| lacking(request, refusal))?;
    }
    Ok(())
}

/// ENOENT and EOPNOTSUPP to something new: a part of the kernel that it consists of is missing.
fn lacking(request: &Request, refusal: Refusal) -> KernelError {
    match refusal.errno {
        Errno::ENOENT | Errno::EOPNOTSUPP => {
            let parts = "limit for what a sandbox sends (NET_SCH_INGRESS, NET_CLS_U32, NET_ACT_POLICE)";
            KernelError::Unsupported(parts.to_owned())
        }
        _ => describe::refused(request, refusal),
    }
}

fn queue(index: Ifindex, rate: Rate, mtu: u32) -> Message {
    let burst = rate.burst_bytes.max(mtu.saturating_add(FRAME_OVERHEAD));
    let waiting = rate.bytes_per_second.saturating_mul(LONGEST_WAIT_MS) / 1000;
    let limit = u32::try_from(waiting.saturating_add(burst.into())).unwrap_or(u32::MAX);
    let mut body = header(index, OUR_HANDLE, PARENT_ROOT, 0);
    attributes::append(&mut body, TCA_KIND, b"tbf\0");
    attributes::append_nested(&mut body, TCA_OPTIONS, |options| {
        // struct tc_tbf_qopt: rate, peak rate, limit, and a bucket and MTU for which TCA_TBF_BURST stands in.
        let parameters = [&ratespec(rate, 0)[..], &[0; 12], &limit.to_ne_bytes(), &[0; 8]].concat();
        attributes::append(options, TCA_TBF_PARMS, &parameters);
        attributes::append(options, TCA_TBF_BURST, &burst.to_ne_bytes());
        attributes::append(options, TCA_TBF_RATE64, &rate.bytes_per_second.to_ne_bytes());
    });
    Message {
        kind: RTM_NEWQDISC,
        flags: CREATE_EXCLUSIVE,
        body,
    }
}

fn delete_queue(index: Ifindex) -> Message {
    Message {
        kind: RTM_DELQDISC,
        flags: 0,
        body: header(index, OUR_HANDLE, PARENT_ROOT, 0),
    }
}

/// Where filters for what a link receives are hung. It stays when the limit goes: others may have hung theirs there by then.
fn clsact(index: Ifindex) -> Message {
    let mut body = header(index, HANDLE_CLSACT, PARENT_CLSACT, 0);
    attributes::append(&mut body, TCA_KIND, b"clsact\0");
    Message {
        kind: RTM_NEWQDISC,
        flags: CREATE_EXCLUSIVE,
        body,
    }
}

/// A filter that matches every packet, and its police action.
fn police(index: Ifindex, rate: Rate) -> Message {
    let mut body = header(index, 0, PARENT_CLSACT_INGRESS, our_filter());
    attributes::append(&mut body, TCA_KIND, b"u32\0");
    attributes::append_nested(&mut body, TCA_OPTIONS, |options| {
        attributes::append(options, TCA_U32_SEL, &everything());
        attributes::append_nested(options, TCA_U32_ACT, |actions| {
            attributes::append_nested(actions, 1, |action| {
                attributes::append(action, TCA_ACT_KIND, b"police\0");
                attributes::append_nested(action, TCA_ACT_OPTIONS, |options| police_options(options, rate));
            });
        });
    });
    Message {
        kind: RTM_NEWTFILTER,
        flags: CREATE_EXCLUSIVE,
        body,
    }
}

fn delete_filter(index: Ifindex) -> Message {
    Message {
        kind: RTM_DELTFILTER,
        flags: 0,
        body: header(index, 0, PARENT_CLSACT_INGRESS, our_filter()),
    }
}

fn police_options(options: &mut Vec<u8>, rate: Rate) {
    // The kernel takes the largest packet from this: 255 << 16 bytes, more than there are.
    const CELL_LOG: u8 = 16;
    let burst = ticks(rate.burst_bytes.max(SMALLEST_POLICE_BURST), rate.bytes_per_second);
    // struct tc_police: index, action, limit, burst, mtu, rate, peak rate, two counts, capabilities.
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>();
    let parameters = [
        &words(&[0, TC_ACT_SHOT, 0, burst, 0])[..],
        &ratespec(rate, CELL_LOG),
        &[0; 12],
        &[0; 12],
    ]
    .concat();
    attributes::append(options, TCA_POLICE_TBF, &parameters);
    // Must be there; what is in it the kernel reads only for a link layer that is not said.
    attributes::append(options, TCA_POLICE_RATE, &[0; RATE_TABLE]);
    attributes::append(options, TCA_POLICE_RATE64, &rate.bytes_per_second.to_ne_bytes());
}

/// struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate; where 32 bits do not hold the rate, RATE64 counts.
fn ratespec(rate: Rate, cell_log: u8) -> [u8; 12] {
    let [a, b, c, d] = u32::try_from(rate.bytes_per_second).unwrap_or(u32::MAX).to_ne_bytes();
    [cell_log, LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

/// struct tc_u32_sel with one key that has no bits in its mask: every packet.
fn everything() -> [u8; 32] {
    const TERMINAL: u8 = 1;
    let mut selector = [0; 32];
    selector[0] = TERMINAL;
    selector[2] = 1;
    selector
}

/// The time that so many bytes take at a rate, in the scheduler's ticks of 64 ns.
fn ticks(bytes: u32, bytes_per_second: u64) -> u32 {
    let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
    u32::try_from(nanoseconds >> 6).unwrap_or(u32::MAX)
}

/// Our priority, for packets of all protocols (ETH_P_ALL, in network order).
fn our_filter() -> u32 {
    OUR_PRIORITY << 16 | u32::from((libc::ETH_P_ALL as u16).to_be())
}

/// struct tcmsg: family, padding, index, handle, parent, info.
fn header(index: Ifindex, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index.get(), handle, parent, info]
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_counted_in_ticks_and_no_rate_overflows_them() {
        assert_eq!(ticks(1_000_000, 1_000_000), 15_625_000, "a second");
        assert_eq!(ticks(u32::MAX, 1), u32::MAX);
        assert_eq!(ticks(0, 0), 0);
    }
}

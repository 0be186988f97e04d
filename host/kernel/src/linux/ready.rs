//! Waiting for new IPv6 addresses.
//!
//! The kernel makes a new address a local one, and joins its solicited-node group, in work that it puts off (addrconf_dad_work of
//! net/ipv6/addrconf.c), also where it is told not to look for duplicates. Until then the address can neither send nor be found: a
//! neighbour solicitation that comes too early is lost, and the next is sent a second later (RFC 4861, RetransTimer). Of both things the route in
//! the local table comes last, so that its being there tells.

use std::{
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use super::{Linux, decode, encode};
use crate::{Namespace, Result};

/// Longest wait for all of them. The work takes tens to hundreds of microseconds; it is late only where the machine is very busy.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks. The kernel's timers add some 50 us to it.
const PAUSE: Duration = Duration::from_micros(20);

/// See [`crate::Kernel::await_addresses`].
pub(super) fn await_addresses(linux: &Linux, namespace: &Namespace, addresses: &[Ipv6Addr]) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    for address in addresses {
        while !is_local(linux, namespace, *address)? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(true)
}

/// Whether the way to it leads to this host. A refusal is the answer of a host that has no way there at all.
fn is_local(linux: &Linux, namespace: &Namespace, address: Ipv6Addr) -> Result<bool> {
    let answer = linux.route(namespace, |socket| socket.ask(encode::lookup(address.into())))?;
    Ok(answer.is_ok_and(|answer| answer.is_some_and(|route| decode::is_local(&route.body))))
}

//! The messages by which a bare program puts one sandbox on a bridge: made beforehand or in time, sent over two blocking sockets.
//!
//! They do what a host must not: the creation and what follows stand in one batch, though the kernel goes on after an error.

use std::os::fd::AsRawFd;

use netlink_sys::Socket;

use crate::{
    failure::Result,
    place::BRIDGE,
    raw::{self, Attributes, Batch, link},
};

/// Index of the sandbox's end, and of its loopback.
const FAR: u32 = 2;
const LOOPBACK: u32 = 1;
const MTU: u32 = 1500;
/// The group of all realm's ends.
pub const GROUP: u32 = 0x6a;
const UP: u32 = libc::IFF_UP as u32;
/// linux/if_link.h, linux/veth.h: VETH_INFO_PEER, IFLA_INET6_ADDR_GEN_MODE and IN6_ADDR_GEN_MODE_NONE, RTEXT_FILTER_SKIP_STATS.
const PEER: u16 = 1;
const ADDR_GEN_MODE: u16 = 8;
const GENERATE_NONE: u8 = 1;
const SKIP_STATISTICS: u32 = 8;

/// A sandbox by its number on the bridge, which makes its index, names and addresses; fewer than 65,000.
#[derive(Clone, Copy, Debug)]
pub struct Guest(pub u16);

impl Guest {
    /// Index of the realm's end.
    fn near(self) -> u32 {
        BRIDGE + 1 + u32::from(self.0)
    }

    /// The last two bytes of its addresses: the first sandbox follows the gateway.
    fn address(self) -> [u8; 2] {
        (self.0 + 2).to_be_bytes()
    }

    /// The realm's batch: the pair, its far end in the sandbox from the first, then the near end up.
    pub fn create(self, sandbox: &impl AsRawFd) -> Batch {
        let sandbox = sandbox.as_raw_fd().cast_unsigned();
        let mut batch = Batch::default();
        let exclusive = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        batch.message(libc::RTM_NEWLINK, exclusive, &link(self.near(), 0), |a| {
            a.text(libc::IFLA_IFNAME, &format!("jf{}", self.0));
            a.number(libc::IFLA_MASTER, BRIDGE);
            a.number(libc::IFLA_GROUP, GROUP);
            one_queue(a);
            a.nest(libc::IFLA_LINKINFO, |a| {
                a.text(libc::IFLA_INFO_KIND, "veth");
                a.nest(libc::IFLA_INFO_DATA, |a| a.nest(PEER, |a| self.peer(a, sandbox)));
            });
        });
        batch.message(libc::RTM_SETLINK, 0, &link(self.near(), UP), no_link_local);
        batch.acknowledged()
    }

    fn peer(self, a: &mut Attributes<'_>, sandbox: u32) {
        let [high, low] = self.address();
        a.fixed(&link(FAR, 0));
        a.text(libc::IFLA_IFNAME, "eth0");
        a.bytes(libc::IFLA_ADDRESS, &[2, 0x6a, 0, 0, high, low]);
        a.number(libc::IFLA_NET_NS_FD, sandbox);
        one_queue(a);
    }

    /// The sandbox's batch.
    pub fn configure(self) -> Batch {
        let [high, low] = self.address();
        let mut batch = Batch::default();
        batch.message(libc::RTM_SETLINK, 0, &link(LOOPBACK, UP), |_| {});
        batch.message(libc::RTM_SETLINK, 0, &link(FAR, 0), no_link_local);
        batch.message(libc::RTM_SETLINK, 0, &link(FAR, UP), |_| {});
        let exclusive = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut address = vec![libc::AF_INET as u8, 16, 0, 0];
        address.extend(FAR.to_ne_bytes());
        batch.message(libc::RTM_NEWADDR, exclusive, &address, |a| {
            a.bytes(libc::IFA_LOCAL, &[10, 80, high, low]);
            a.bytes(libc::IFA_ADDRESS, &[10, 80, high, low]);
        });
        let (table, boot, universe, unicast) = (
            libc::RT_TABLE_MAIN,
            libc::RTPROT_BOOT,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
        );
        let route = [libc::AF_INET as u8, 0, 0, 0, table, boot, universe, unicast, 0, 0, 0, 0];
        batch.message(libc::RTM_NEWROUTE, exclusive, &route, |a| {
            a.bytes(libc::RTA_GATEWAY, &[10, 80, 0, 1]);
            a.number(libc::RTA_OIF, FAR);
        });
        batch.acknowledged()
    }

    /// Asking makes the kernel run its deferred link work, so that the bridge's port forwards at once.
    pub fn settle(self) -> Batch {
        settle(self.near())
    }

    /// Takes it off again.
    pub fn delete(self) -> Batch {
        let mut batch = Batch::default();
        batch.message(libc::RTM_DELLINK, 0, &link(self.near(), 0), |_| {});
        batch.acknowledged()
    }
}

/// The same for the bridge, once it has its first port.
pub fn settle_bridge() -> Batch {
    settle(BRIDGE)
}

/// Sends what makes it join.
///
/// # Errors
/// With the step that failed.
pub fn join(realm: &Socket, sandbox: &Socket, [create, configure, settle]: [&Batch; 3]) -> Result<()> {
    raw::send(realm, create, "create the link")?;
    raw::send(sandbox, configure, "configure the sandbox")?;
    raw::ask(realm, settle, "settle the link")
}

/// What both ends have: one queue a direction instead of one a processor, which costs 105 µs.
fn one_queue(a: &mut Attributes<'_>) {
    a.number(libc::IFLA_MTU, MTU);
    a.number(libc::IFLA_NUM_TX_QUEUES, 1);
    a.number(libc::IFLA_NUM_RX_QUEUES, 1);
}

fn no_link_local(a: &mut Attributes<'_>) {
    a.nest(libc::IFLA_AF_SPEC, |a| {
        a.nest(libc::AF_INET6 as u16, |a| a.bytes(ADDR_GEN_MODE, &[GENERATE_NONE]));
    });
}

fn settle(index: u32) -> Batch {
    let mut batch = Batch::default();
    batch.message(libc::RTM_GETLINK, 0, &link(index, 0), |a| {
        a.number(libc::IFLA_EXT_MASK, SKIP_STATISTICS)
    });
    batch
}

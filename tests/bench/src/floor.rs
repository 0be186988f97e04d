//! The floor: a bare program that sends the messages of one join, made beforehand, over two blocking sockets. Nothing can be faster that has
//! the same effect; what the host adds to it is what the host costs.
//!
//! It does what a host must not: it sends the creation and what follows in one batch, though the kernel goes on after an error.

use std::time::{Duration, Instant};

use netlink_sys::Socket;

use crate::{
    failure::{During, Result},
    figure::Measured,
    place::{BRIDGE, Place},
    raw::{self, Attributes, Batch, link},
    subject::Subject,
};

/// Index of the realm's end, and of the sandbox's.
const NEAR: u32 = 5001;
const FAR: u32 = 2;
const LOOPBACK: u32 = 1;
const MTU: u32 = 1500;
const GROUP: u32 = 0x6a;
const UP: u32 = libc::IFF_UP as u32;
/// linux/if_link.h, linux/veth.h: VETH_INFO_PEER, IFLA_INET6_ADDR_GEN_MODE and IN6_ADDR_GEN_MODE_NONE, RTEXT_FILTER_SKIP_STATS.
const PEER: u16 = 1;
const ADDR_GEN_MODE: u16 = 8;
const GENERATE_NONE: u8 = 1;
const SKIP_STATISTICS: u32 = 8;

/// See the module.
pub struct Floor {
    /// Keeps the namespaces.
    _place: Place,
    realm: Socket,
    sandbox: Socket,
    create: Batch,
    configure: Batch,
    settle: Batch,
    settle_bridge: Batch,
    delete: Batch,
}

impl Floor {
    /// Makes its realm and its messages.
    ///
    /// # Errors
    /// When namespaces or sockets cannot be made.
    pub fn new() -> Result<Self> {
        let place = Place::new("floor")?;
        let open = |namespace| {
            place
                .lab
                .within(namespace, raw::open)
                .during("enter a namespace")?
                .during("open a socket")
        };
        let (realm, sandbox) = (open(place.lab.realm())?, open(&place.sandbox)?);
        let fd = place
            .sandbox
            .fd()
            .ok_or("it has no descriptor")
            .during("take the sandbox")?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(fd).cast_unsigned();
        Ok(Self {
            realm,
            sandbox,
            create: create(fd),
            configure: configure(),
            settle: settle(NEAR),
            settle_bridge: settle(BRIDGE),
            delete: delete(),
            _place: place,
        })
    }
}

impl Floor {
    fn join(&self) -> Result<()> {
        raw::send(&self.realm, &self.create, "create the link")?;
        raw::send(&self.sandbox, &self.configure, "configure the sandbox")?;
        raw::ask(&self.realm, &self.settle, "settle the link")?;
        raw::ask(&self.realm, &self.settle_bridge, "settle the bridge")
    }

    fn leave(&self) -> Result<()> {
        raw::send(&self.realm, &self.delete, "delete the link")
    }
}

impl Subject for Floor {
    fn run_once(&mut self) -> Result<Vec<(Measured, Duration)>> {
        let start = Instant::now();
        self.join()?;
        let took = start.elapsed();
        self.leave()?;
        Ok(vec![(Measured::JoinFloor, took)])
    }
}

/// The realm's batch: the pair, its far end in the sandbox from the first, then the near end up.
fn create(sandbox: u32) -> Batch {
    let mut batch = Batch::default();
    let exclusive = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    batch.message(libc::RTM_NEWLINK, exclusive, &link(NEAR, 0), |a| {
        a.text(libc::IFLA_IFNAME, "jf0");
        a.number(libc::IFLA_MASTER, BRIDGE);
        a.number(libc::IFLA_GROUP, GROUP);
        one_queue(a);
        a.nest(libc::IFLA_LINKINFO, |a| {
            a.text(libc::IFLA_INFO_KIND, "veth");
            a.nest(libc::IFLA_INFO_DATA, |a| a.nest(PEER, |a| peer(a, sandbox)));
        });
    });
    batch.message(libc::RTM_SETLINK, 0, &link(NEAR, UP), no_link_local);
    batch.acknowledged()
}

fn peer(a: &mut Attributes<'_>, sandbox: u32) {
    a.fixed(&link(FAR, 0));
    a.text(libc::IFLA_IFNAME, "eth0");
    a.bytes(libc::IFLA_ADDRESS, &[2, 0x6a, 0, 0, 0, 2]);
    a.number(libc::IFLA_NET_NS_FD, sandbox);
    one_queue(a);
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

/// The sandbox's batch.
fn configure() -> Batch {
    let mut batch = Batch::default();
    batch.message(libc::RTM_SETLINK, 0, &link(LOOPBACK, UP), |_| {});
    batch.message(libc::RTM_SETLINK, 0, &link(FAR, 0), no_link_local);
    batch.message(libc::RTM_SETLINK, 0, &link(FAR, UP), |_| {});
    let exclusive = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut address = vec![libc::AF_INET as u8, 24, 0, 0];
    address.extend(FAR.to_ne_bytes());
    batch.message(libc::RTM_NEWADDR, exclusive, &address, |a| {
        a.bytes(libc::IFA_LOCAL, &[10, 80, 0, 2]);
        a.bytes(libc::IFA_ADDRESS, &[10, 80, 0, 2]);
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
fn settle(index: u32) -> Batch {
    let mut batch = Batch::default();
    batch.message(libc::RTM_GETLINK, 0, &link(index, 0), |a| {
        a.number(libc::IFLA_EXT_MASK, SKIP_STATISTICS)
    });
    batch
}

fn delete() -> Batch {
    let mut batch = Batch::default();
    batch.message(libc::RTM_DELLINK, 0, &link(NEAR, 0), |_| {});
    batch.acknowledged()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A floor that left something out would make everything else look slow.
    #[test]
    fn the_floor_connects_the_sandbox_and_leaves_nothing() {
        let floor = match Floor::new() {
            Ok(floor) => floor,
            Err(failure) => return eprintln!("skipped: {failure}"),
        };
        let lab = &floor._place.lab;
        let before = (lab.dump().unwrap(), lab.dump_of(&floor._place.sandbox).unwrap());
        floor.join().unwrap();
        let sandbox = lab.dump_of(&floor._place.sandbox).unwrap();
        let link = sandbox.links.iter().find(|l| l.name.as_str() == "eth0").unwrap();
        assert!(link.up && !link.address_generation, "{link:?}");
        let address = crate::place::ADDRESS.parse().unwrap();
        assert!(
            sandbox
                .addresses
                .iter()
                .any(|a| a.index == link.index && a.address == address)
        );
        let gateway = Some([10, 80, 0, 1].into());
        assert!(
            sandbox
                .routes
                .iter()
                .any(|r| r.route.gateway == gateway && r.route.link == Some(link.index))
        );
        let port = lab
            .dump()
            .unwrap()
            .links
            .into_iter()
            .find(|l| l.name.as_str() == "jf0")
            .unwrap();
        assert!(
            port.up && port.group == GROUP && port.controller.map(|c| c.get()) == Some(BRIDGE),
            "{port:?}"
        );
        floor.leave().unwrap();
        assert_eq!(
            (lab.dump().unwrap(), lab.dump_of(&floor._place.sandbox).unwrap()),
            before
        );
    }
}

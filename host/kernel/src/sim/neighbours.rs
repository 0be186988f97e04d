//! Permanent neighbours, and addresses answered for on behalf of others (net/core/neighbour.c).

use std::net::IpAddr;

use jackfield_model::{Family, MacAddr};
use nix::errno::Errno;

use super::{
    Answer,
    space::{Neighbour, Space},
};
use crate::Ifindex;

impl Space {
    pub(super) fn add_neighbour(&mut self, link: Ifindex, address: IpAddr, mac: MacAddr, protocol: u8) -> Answer {
        self.may_know(link, address)?;
        if self.neighbours.contains_key(&(link, address)) {
            return Err(Errno::EEXIST);
        }
        self.neighbours.insert((link, address), Neighbour { mac, protocol });
        Ok(())
    }

    pub(super) fn delete_neighbour(&mut self, link: Ifindex, address: IpAddr) -> Answer {
        self.link(link)?;
        self.neighbours.remove(&(link, address)).map(drop).ok_or(Errno::ENOENT)
    }

    /// Answering for an address twice is once; the kernel does not ask for CREATE or EXCL here.
    pub(super) fn add_proxy(&mut self, link: Ifindex, address: IpAddr, protocol: u8) -> Answer {
        if address.is_ipv6() && !self.link(link)?.speaks(Family::Ipv6) {
            return Err(Errno::ENOBUFS);
        }
        self.link(link)?;
        self.proxies.insert((link, address), protocol);
        Ok(())
    }

    pub(super) fn delete_proxy(&mut self, link: Ifindex, address: IpAddr) -> Answer {
        self.link(link)?;
        self.proxies.remove(&(link, address)).map(drop).ok_or(Errno::ENOENT)
    }

    /// Those of a link, not what it answers for.
    pub(super) fn forget_neighbours(&mut self, link: Ifindex) {
        self.neighbours.retain(|(of, _), _| *of != link);
    }

    /// A neighbour needs its family to work on the link (`arp_constructor` and `ndisc_constructor`).
    fn may_know(&self, link: Ifindex, address: IpAddr) -> Answer {
        if self.link(link)?.speaks(Family::of(address)) {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }
}

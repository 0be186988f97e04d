//! Addresses and neighbours of links.

use std::net::IpAddr;

use jackfield_kernel::{Dump, Ifindex, Make, PROTOCOL, Removal};
use jackfield_model::{Error, ErrorCode, IpNetwork, MacAddr, Result};

use super::{
    Operation,
    running::Running,
    table::{Entry, Origin},
};
use crate::{LinkId, grants::Want};

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn add_address(&mut self, link: LinkId, address: IpNetwork) -> Result<()> {
        let run = self.call()?;
        check_unicast(address.ip())?;
        let entry = run.target(link)?;
        let make = Make::Address {
            link: entry.at,
            address,
        };
        if run.plan.makes.contains(&make) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("link {} has the address {address} already", entry.name),
            ));
        }
        run.step(&Want::Address { address }, make)
    }

    pub fn remove_address(&mut self, link: LinkId, address: IpNetwork) -> Result<()> {
        let run = self.call()?;
        let entry = run.target(link)?;
        let what = format!("address {address}");
        run.take_back(
            &entry,
            &what,
            |make| matches!(make, Make::Address { link, address: a } if *link == entry.at && *a == address),
            |run| {
                run.check_ours(&entry, &what, |dump, index| {
                    dump.addresses
                        .iter()
                        .any(|a| a.index == index && a.address == address && a.protocol == PROTOCOL)
                })?;
                run.removal(
                    &Want::Address { address },
                    Removal::Address {
                        link: entry.at,
                        address,
                    },
                )
            },
        )
    }

    pub fn add_neighbour(&mut self, link: LinkId, address: IpAddr, mac: MacAddr) -> Result<()> {
        let run = self.call()?;
        check_unicast(address)?;
        run.check_step(&Want::Neighbour)?;
        let entry = run.target(link)?;
        run.cancel(
            |make| matches!(make, Make::Neighbour { link, address: a, .. } if *link == entry.at && *a == address),
        );
        run.step(
            &Want::Neighbour,
            Make::Neighbour {
                link: entry.at,
                address,
                mac,
            },
        )
    }

    pub fn remove_neighbour(&mut self, link: LinkId, address: IpAddr) -> Result<()> {
        let run = self.call()?;
        let entry = run.target(link)?;
        let what = format!("neighbour {address}");
        run.take_back(
            &entry,
            &what,
            |make| matches!(make, Make::Neighbour { link, address: a, .. } if *link == entry.at && *a == address),
            |run| {
                run.check_ours(&entry, &what, |dump, index| dump.has_neighbour(index, address, false))?;
                run.removal(
                    &Want::Neighbour,
                    Removal::Neighbour {
                        link: entry.at,
                        address,
                    },
                )
            },
        )
    }

    pub fn add_proxy_neighbour(&mut self, link: LinkId, address: IpAddr) -> Result<()> {
        let run = self.call()?;
        check_unicast(address)?;
        let entry = run.target(link)?;
        let make = Make::ProxyNeighbour {
            link: entry.at,
            address,
        };
        if run.plan.makes.contains(&make) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("link {} answers for {address} already", entry.name),
            ));
        }
        run.step(&Want::Neighbour, make)
    }

    pub fn remove_proxy_neighbour(&mut self, link: LinkId, address: IpAddr) -> Result<()> {
        let run = self.call()?;
        let entry = run.target(link)?;
        let what = format!("proxy neighbour {address}");
        run.take_back(
            &entry,
            &what,
            |make| matches!(make, Make::ProxyNeighbour { link, address: a } if *link == entry.at && *a == address),
            |run| {
                run.check_ours(&entry, &what, |dump, index| dump.has_neighbour(index, address, true))?;
                run.removal(
                    &Want::Neighbour,
                    Removal::ProxyNeighbour {
                        link: entry.at,
                        address,
                    },
                )
            },
        )
    }
}

impl Running {
    /// Cancels what this plan added, or else removes what an earlier operation did. A new link has nothing of an earlier one.
    pub(super) fn take_back(
        &mut self,
        entry: &Entry,
        what: &str,
        added: impl Fn(&Make) -> bool,
        remove: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if self.cancel(added) {
            return Ok(());
        }
        if entry.origin == Origin::New {
            return Err(Error::not_found(format!("link {} has no {what}", entry.name)));
        }
        remove(self)
    }

    /// A link of the host has what others put there: only what carries our mark may be removed. The dump is slow, and this is rare.
    fn check_ours(&self, entry: &Entry, what: &str, has: impl Fn(&Dump, Ifindex) -> bool) -> Result<()> {
        if entry.origin != Origin::Parent || has(&self.kernel().dump(self.namespace())?, entry.at.index) {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "link {} has no {what} of this host's",
            entry.name
        )))
    }
}

/// What a dump knows of our neighbours.
trait Neighbours {
    fn has_neighbour(&self, index: Ifindex, address: IpAddr, proxy: bool) -> bool;
}

impl Neighbours for Dump {
    fn has_neighbour(&self, index: Ifindex, address: IpAddr, proxy: bool) -> bool {
        self.neighbours
            .iter()
            .any(|n| n.index == index && n.address == address && n.mac.is_none() == proxy && n.protocol == PROTOCOL)
    }
}

/// An address that one host can have.
pub(super) fn check_unicast(address: IpAddr) -> Result<()> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast {
        return Err(Error::invalid(format!(
            "{address} is no address of a host on a network: expected a unicast address"
        )));
    }
    Ok(())
}

//! Finding links and reading them. Reads see the kernel as committed, and this operation's own links.

use std::net::IpAddr;

use jackfield_kernel::{Ifindex, LinkAt, LinkInfo, LinkQuery, LinkStatistics, Make, Place};
use jackfield_model::{Error, ErrorCode, IpNetwork, LinkName, MacAddr, Result};

use super::{
    Operation, attributes,
    running::Running,
    table::{Entry, Origin},
};
use crate::{
    LinkId,
    grants::{LINK_KINDS, Want},
};

/// Where the indexes of Jackfield's own links begin. A link from here on that is not in the operation's table is another driver's, and
/// no grant of parents reaches it.
const OWN_INDEXES: u32 = 0x4000_0000;

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn find_link(&mut self, name: &str) -> Result<LinkId> {
        let run = self.call()?;
        let name: LinkName = name.parse()?;
        if let Some(own) = run.links.find(|entry| entry.name == name) {
            return Ok(own);
        }
        // Asked before looking, so that the answer does not tell whether there is such a link.
        run.allow(&Want::UseParent { name: name.as_str() })?;
        run.host_link(LinkQuery::Name(&name))?
            .ok_or_else(|| Error::not_found(format!("the host has no link {name}")).object(format!("link {name}")))
    }

    pub fn find_own(&mut self, label: &str) -> Result<LinkId> {
        let links = &mut self.call()?.links;
        let own = |entry: &Entry, of_endpoint: bool| {
            entry.origin != Origin::Parent && entry.of_endpoint == of_endpoint && entry.label == label
        };
        links
            .find(|entry| own(entry, true))
            .or_else(|| links.find(|entry| own(entry, false)))
            .ok_or_else(|| {
                Error::not_found(format!(
                    "neither the endpoint nor its network has a link labelled \"{}\"",
                    attributes::shown(label)
                ))
            })
    }

    pub fn list_links(&mut self) -> Result<Vec<LinkId>> {
        Ok(self.call()?.links.find_all(|entry| entry.origin != Origin::Parent))
    }

    pub fn supports(&mut self, kind: &str) -> Result<bool> {
        let run = self.call()?;
        Ok(LINK_KINDS.contains(&kind) && run.kernel().supports(kind)?)
    }

    /// A guest dropped its handle.
    pub fn forget(&mut self, link: LinkId) {
        if let Some(running) = &mut self.running {
            running.links.forget(link);
        }
    }

    pub fn link_name(&mut self, link: LinkId) -> Result<LinkName> {
        Ok(self.call()?.links.get(link)?.name.clone())
    }

    pub fn link_kind(&mut self, link: LinkId) -> Result<String> {
        Ok(self.call()?.links.get(link)?.kind.clone())
    }

    pub fn link_label(&mut self, link: LinkId) -> Result<String> {
        Ok(self.call()?.links.get(link)?.label.clone())
    }

    /// Of a planned link: what was asked for, or else Ethernet's 1500.
    pub fn link_mtu(&mut self, link: LinkId) -> Result<u32> {
        const ETHERNET: u32 = 1_500;
        let run = self.call()?;
        let entry = run.links.get(link)?;
        if entry.origin == Origin::New || entry.at.place == Place::Sandbox {
            return Ok(entry.mtu.unwrap_or(ETHERNET));
        }
        Ok(run.info(entry)?.mtu)
    }

    /// The MTU on record, without asking the kernel: as it was given to a link of its own, as it was seen of one of the host's. None for the
    /// kernel's default.
    pub fn recorded_mtu(&mut self, link: LinkId) -> Result<Option<u32>> {
        Ok(self.call()?.links.get(link)?.mtu)
    }

    /// Those that the kernel has, and those of the plan.
    pub fn link_addresses(&mut self, link: LinkId) -> Result<Vec<IpNetwork>> {
        let run = self.call()?;
        let entry = run.links.get(link)?;
        let mut addresses = run.kernel_addresses(entry)?;
        addresses.extend(run.plan.makes.iter().filter_map(|make| match make {
            Make::Address { link, address } if *link == entry.at => Some(*address),
            _ => None,
        }));
        Ok(addresses)
    }

    /// None while planned, or else whether it is up.
    pub fn link_up(&mut self, link: LinkId) -> Result<Option<bool>> {
        let run = self.call()?;
        let entry = run.links.get(link)?;
        if entry.origin == Origin::New {
            Ok(None)
        } else {
            Ok(Some(run.info(entry)?.up))
        }
    }

    pub fn link_mac(&mut self, link: LinkId) -> Result<Option<MacAddr>> {
        Ok(self.call()?.links.get(link)?.mac)
    }

    pub fn link_statistics(&mut self, link: LinkId) -> Result<LinkStatistics> {
        let run = self.call()?;
        let entry = run.links.get(link)?;
        if entry.origin == Origin::New {
            return Err(Error::new(
                ErrorCode::InvalidState,
                format!("link {} is planned: it has no statistics yet", entry.name),
            ));
        }
        run.info(entry)?;
        let statistics = run.kernel().statistics(run.namespace(), entry.at.index)?;
        statistics.ok_or_else(|| Error::not_found(format!("link {} is gone", entry.name)))
    }

    /// Link (when it is granted), gateway, source.
    pub fn lookup_route(&mut self, destination: IpAddr) -> Result<(Option<LinkId>, Option<IpAddr>, Option<IpAddr>)> {
        let run = self.call()?;
        let found = run.kernel().lookup_route(run.namespace(), destination)?;
        let found = found.ok_or_else(|| Error::not_found(format!("the host has no route to {destination}")))?;
        let link = found.link.map(|index| run.granted_link(index)).transpose()?.flatten();
        Ok((link, found.gateway, found.source))
    }
}

impl Running {
    /// A handle for a link of the host; None for one that is not there, or is another driver's.
    pub(super) fn host_link(&mut self, query: LinkQuery<'_>) -> Result<Option<LinkId>> {
        let info = self.kernel().link(self.namespace(), query)?;
        Ok(info
            .filter(|info| info.index.get() < OWN_INDEXES)
            .map(|info| self.links.add(host_entry(info))))
    }

    /// A handle for a link that a lookup named, if the driver may have one. Not being granted is no offence here, so it is not recorded.
    fn granted_link(&mut self, index: Ifindex) -> Result<Option<LinkId>> {
        if let Some(known) = self.links.find(|entry| {
            entry.at
                == LinkAt {
                    place: Place::Realm,
                    index,
                }
        }) {
            return Ok(Some(known));
        }
        let info = self.kernel().link(self.namespace(), LinkQuery::Index(index))?;
        let granted = |info: &LinkInfo| {
            let want = Want::UseParent {
                name: info.name.as_str(),
            };
            info.index.get() < OWN_INDEXES && crate::grants::decide(&self.context.grants, &want, &[]).is_ok()
        };
        Ok(info.filter(granted).map(|info| self.links.add(host_entry(info))))
    }

    /// The addresses that the kernel has on a link.
    fn kernel_addresses(&self, entry: &Entry) -> Result<Vec<IpNetwork>> {
        if entry.origin == Origin::New {
            return Ok(Vec::new());
        }
        self.info(entry)?;
        let dump = self.kernel().dump(self.namespace())?;
        Ok(dump
            .addresses
            .into_iter()
            .filter(|a| a.index == entry.at.index)
            .map(|a| a.address)
            .collect())
    }
}

fn host_entry(info: LinkInfo) -> Entry {
    Entry {
        label: String::new(),
        of_endpoint: false,
        at: LinkAt {
            place: Place::Realm,
            index: info.index,
        },
        name: info.name,
        kind: info.kind,
        mac: info.mac,
        mtu: Some(info.mtu),
        ports_isolated: false,
        routed: Vec::new(),
        origin: Origin::Parent,
        adopted: false,
        gone: false,
    }
}

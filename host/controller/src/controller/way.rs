//! The way from the host to an endpoint, and what it takes that its published ports and its service are reached by everybody.
//!
//! - From the host itself by 127.0.0.1, the endpoint's link has to let out what has such a source: see `localnet`.
//! - From the endpoint itself by the host's address or by its service's, the packets go back out of the bridge's port that they came in by,
//!   where bridges hand their packets to the firewall (`bridge-nf-call-iptables`, on in new namespaces): a bridge does that on ports in
//!   hairpin mode only.

use std::net::IpAddr;

use jackfield_driver::OwnLink;
use jackfield_kernel::{
    Ifindex, LinkAt, LinkQuery, Make, Place as Where, Plan, Realm,
    plan::{BridgePortAttributes, LinkSetting},
};
use jackfield_model::Result;

use super::localnet;
use crate::state::Network;

/// What is known of it.
pub(super) struct Way<'a> {
    pub realm: &'a Realm,
    pub network: &'a Network,
    /// Links of the endpoint.
    pub links: &'a [OwnLink],
    /// The join that the ports come with: what it makes is not in the kernel yet.
    pub join: Option<&'a Plan>,
    /// The endpoint's IPv4 address.
    pub address: Option<IpAddr>,
}

impl Way<'_> {
    /// The steps that go with the endpoint's ports. They concern its own links, and stay with them.
    pub fn open(&self) -> Result<Vec<Make>> {
        let hairpin = self.port()?.map(hairpin);
        let localnet = self.new_link().map(|index| localnet::step(index, None));
        Ok(hairpin.into_iter().chain(localnet).collect())
    }

    /// The link that was there before, on which 127.0.0.1 has to lead somewhere.
    pub fn link_to_localhost(&self) -> Result<Option<Ifindex>> {
        match self.address {
            Some(address) if self.new_link().is_none() => self.routed(address),
            _ => Ok(None),
        }
    }

    /// The link by which the join leads to the endpoint, where it makes one.
    fn new_link(&self) -> Option<Ifindex> {
        let (join, address) = (self.join?, self.address?);
        let at = link_towards(join, address)?;
        join.new_links().any(|new| new == at).then_some(at.index)
    }

    /// The network's own link by which the host reaches the address, or an adopted bridge; never a link that others use too, as the
    /// parent of a macvlan.
    fn routed(&self, address: IpAddr) -> Result<Option<Ifindex>> {
        let (kernel, realm) = (self.realm.kernel(), self.realm.namespace());
        let found = kernel.lookup_route(realm, address)?.and_then(|route| route.link);
        let Some(index) = found else { return Ok(None) };
        let network = self.network.record.standing.iter().flat_map(|s| &s.links);
        if network.chain(self.links).any(|link| link.at.index == index) {
            return Ok(Some(index));
        }
        let link = kernel.link(realm, LinkQuery::Index(index))?;
        Ok(link.filter(|link| link.kind == "bridge").map(|link| link.index))
    }

    /// The endpoint's port of a bridge.
    fn port(&self) -> Result<Option<LinkAt>> {
        if let Some(join) = self.join {
            return Ok(port_of(join));
        }
        for link in self.links.iter().filter(|link| link.at.place == Where::Realm) {
            let query = LinkQuery::Index(link.at.index);
            let found = self.realm.kernel().link(self.realm.namespace(), query)?;
            if found.is_some_and(|found| found.controller.is_some()) {
                return Ok(Some(link.at));
            }
        }
        Ok(None)
    }
}

/// Where a join makes a port of a bridge: the step that lets it send back what came in by it. It stays with the port.
pub(super) fn back_to_itself(join: &Plan) -> Option<Make> {
    port_of(join).map(hairpin)
}

fn hairpin(link: LinkAt) -> Make {
    Make::Set {
        link,
        to: LinkSetting::BridgePort(BridgePortAttributes {
            hairpin: Some(true),
            ..BridgePortAttributes::default()
        }),
        was: None,
    }
}

/// The link of the realm by which the plan leads to the address.
fn link_towards(plan: &Plan, target: IpAddr) -> Option<LinkAt> {
    plan.makes.iter().find_map(|make| match make {
        Make::Address { link, address } if link.place == Where::Realm && address.contains(target) => Some(*link),
        Make::Route {
            place: Where::Realm,
            route,
        } if route.destination.contains(target) => Some(LinkAt {
            place: Where::Realm,
            index: route.link?,
        }),
        _ => None,
    })
}

/// The port of a bridge that the plan makes.
fn port_of(plan: &Plan) -> Option<LinkAt> {
    plan.makes.iter().find_map(|make| match make {
        Make::Set {
            link,
            to: LinkSetting::Controller(Some(_)),
            ..
        } if link.place == Where::Realm => Some(*link),
        _ => None,
    })
}

//! The host's own part of a join: the link that the driver returned becomes the sandbox's interface.
//!
//! While the driver records, it is not known which link it will return, so every link is recorded in the realm. Here the returned one moves,
//! in the plan, to the sandbox: it is *made* there, under its final name, and never moved by the kernel, which would take 20 ms. All steps that
//! were recorded on it move along.

use std::net::IpAddr;

use jackfield_kernel::{
    Ifindex, LinkAt, Make, Place, Plan,
    plan::{LinkKind, LinkSetting, NewLink, Route, VethPeer},
};
use jackfield_model::{Error, ErrorCode, Family, IpNetwork, MacAddr, NextHop, Options, Result, StaticRoute};

use super::{
    Operation,
    relink::relink,
    routing::route,
    running::Running,
    table::{Entry, Origin},
};
use crate::{LinkId, Phase, SandboxInterface};

impl Operation {
    /// Gives the link that join returned its place as the sandbox's interface: final name, MAC, addresses, up, gateways and routes in the sandbox.
    /// In a foreign sandbox only the MAC: the runtime does the rest.
    ///
    /// Link-local IPv6 addresses are left off, always: on large bridges they cost more than all else together, and neighbour discovery works
    /// from the global addresses.
    ///
    /// # Errors
    /// invalid-state outside of join and for a second interface; invalid-argument for a link that is not the endpoint's own, is a bridge's port
    /// or has others standing on it, and for a gateway that is not reachable on the interface.
    pub fn finish_interface(&mut self, link: LinkId, interface: &SandboxInterface) -> Result<()> {
        let run = self.call()?;
        if run.context.phase != Phase::Join || run.interface.is_some() {
            return Err(Error::new(
                ErrorCode::InvalidState,
                "a sandbox gets its interface once, in a join",
            ));
        }
        let entry = run.links.get(link)?.clone();
        let lent = entry.origin == Origin::Lent;
        if !lent {
            run.check_interface(&entry)?;
            run.give_mac(&entry, interface.mac);
        }
        run.interface = Some(entry.at.index);
        if run.context.foreign_sandbox {
            return Ok(());
        }
        if lent {
            return run.lend(&entry, interface);
        }
        let routes = sandbox_routes(entry.at.index, interface)?;
        let at = run.rehome(entry.at.index, interface);
        run.limit_where_it_is_sent(at);
        run.configure(at, &interface.addresses, routes);
        Ok(())
    }
}

impl Running {
    fn check_interface(&self, entry: &Entry) -> Result<()> {
        let refuse = |why: &str| {
            Err(Error::invalid(format!(
                "link {} cannot become the sandbox's interface: {why}",
                entry.name
            )))
        };
        if entry.origin != Origin::New || !entry.of_endpoint {
            return refuse("it has to be made in this endpoint's own create-endpoint or join");
        }
        self.check_no_child(entry)?;
        let bound = |make: &Make| match make {
            Make::Set { link, to, .. } => {
                let port = link.index == entry.at.index
                    && matches!(to, LinkSetting::Controller(Some(_)) | LinkSetting::BridgePort(_));
                port || *to == LinkSetting::Controller(Some(entry.at.index))
            }
            Make::Rule(rule) => rule.iif.as_ref() == Some(&entry.name) || rule.oif.as_ref() == Some(&entry.name),
            Make::Firewall(rule) => rule.links().contains(&&entry.name),
            _ => false,
        };
        if self.plan.makes.iter().any(bound) {
            return refuse("it is a bridge or a bridge's port, or a rule of the host's names it");
        }
        Ok(())
    }

    fn give_mac(&mut self, entry: &Entry, mac: MacAddr) {
        for make in &mut self.plan.makes {
            let Make::Link(new) = make else { continue };
            if new.at.index == entry.at.index {
                new.mac = mac;
            } else if let LinkKind::Veth { peer } = &mut new.kind
                && peer.at.index == entry.at.index
            {
                peer.mac = mac;
            }
        }
        for known in self.links.iter_mut().filter(|known| known.at.index == entry.at.index) {
            known.mac = Some(mac);
        }
    }

    /// Moves the link, and every step on it, to the sandbox.
    fn rehome(&mut self, index: Ifindex, interface: &SandboxInterface) -> LinkAt {
        let home = LinkAt {
            place: Place::Sandbox,
            index,
        };
        relink(&mut self.plan, &|at| if at.index == index { home } else { at }, &|_| {
            None
        });
        set_name(&mut self.plan, home, interface);
        for known in self.links.iter_mut().filter(|known| known.at.index == index) {
            known.at = home;
            known.name = interface.name.clone();
        }
        home
    }

    /// Of a pair, each end limits what it sends: what the sandbox sends is queued in the sandbox. A queue delays, and so TCP finds its rate; the
    /// host's end could only drop what is too much, where the kernel has the means. Whoever has no NET_ADMIN in the sandbox cannot undo it.
    /// (In a foreign sandbox there is no queue: it would not survive being moved.)
    fn limit_where_it_is_sent(&mut self, sandbox: LinkAt) {
        let Some(host) = self.other_end(sandbox) else { return };
        let (mut receives, mut sends) = (None, None);
        self.plan.makes.retain(|make| match make {
            Make::Bandwidth { link, ingress, egress } if [host, sandbox].contains(link) => {
                receives = ingress.or(receives);
                sends = egress.or(sends);
                false
            }
            _ => true,
        });
        for (link, ingress, egress) in [(host, receives, None), (sandbox, None, sends)] {
            if ingress.is_some() || egress.is_some() {
                self.plan.makes.push(Make::Bandwidth { link, ingress, egress });
            }
        }
    }

    fn other_end(&self, end: LinkAt) -> Option<LinkAt> {
        self.plan.makes.iter().find_map(|make| match make {
            Make::Link(NewLink {
                at,
                kind: LinkKind::Veth { peer },
                ..
            }) => match end {
                end if end == *at => Some(peer.at),
                end if end == peer.at => Some(*at),
                _ => None,
            },
            _ => None,
        })
    }

    /// What the driver recorded itself is not recorded twice.
    pub(super) fn configure(&mut self, link: LinkAt, addresses: &[IpNetwork], routes: Vec<Route>) {
        self.cancel(|make| matches!(make, Make::Set { link: l, to: LinkSetting::Up(_) | LinkSetting::AddressGeneration(_), .. } if *l == link));
        let set = |to| Make::Set { link, to, was: None };
        let mut steps = vec![set(LinkSetting::AddressGeneration(false))];
        steps.extend(addresses.iter().map(|address| Make::Address {
            link,
            address: *address,
        }));
        steps.push(set(LinkSetting::Up(true)));
        steps.extend(routes.into_iter().map(|route| Make::Route {
            place: link.place,
            route,
        }));
        for step in steps {
            if !self.plan.makes.contains(&step) {
                self.plan.makes.push(step);
            }
        }
    }
}

/// Gives the link its final name, and a pair the order that creation wants: the realm's end makes it, the sandbox's is the peer.
fn set_name(plan: &mut Plan, home: LinkAt, interface: &SandboxInterface) {
    for make in &mut plan.makes {
        let Make::Link(new) = make else { continue };
        if new.at == home {
            new.name = interface.name.clone();
            swap_ends(new);
        } else if let LinkKind::Veth { peer } = &mut new.kind
            && peer.at == home
        {
            peer.name = interface.name.clone();
        }
    }
}

/// The two ends of a pair are alike, so that either may be the one that creation is sent for.
fn swap_ends(new: &mut NewLink) {
    if let LinkKind::Veth { peer } = &mut new.kind {
        let VethPeer { at, name, mac, mtu } = peer;
        std::mem::swap(&mut new.at, at);
        std::mem::swap(&mut new.name, name);
        std::mem::swap(&mut new.mac, mac);
        std::mem::swap(&mut new.mtu, mtu);
    }
}

/// The sandbox's routes in the order in which the kernel takes them: connected ones, by which gateways are reached, then the default
/// routes, then the rest.
pub(super) fn sandbox_routes(index: Ifindex, interface: &SandboxInterface) -> Result<Vec<Route>> {
    let (connected, others): (Vec<_>, Vec<_>) = interface
        .routes
        .iter()
        .partition(|route| route.next_hop == NextHop::Connected);
    let mut routes = Vec::with_capacity(interface.routes.len() + interface.gateways.len());
    for StaticRoute {
        destination,
        attributes,
        ..
    } in connected
    {
        routes.push(route(*destination, None, attributes, Some(index))?);
    }
    for gateway in &interface.gateways {
        routes.push(by_gateway(
            interface,
            default_destination(*gateway)?,
            *gateway,
            &Options::new(),
            index,
        )?);
    }
    for StaticRoute {
        destination,
        next_hop,
        attributes,
    } in others
    {
        if let NextHop::Gateway(gateway) = next_hop {
            routes.push(by_gateway(interface, *destination, *gateway, attributes, index)?);
        }
    }
    Ok(routes)
}

fn by_gateway(
    interface: &SandboxInterface,
    destination: IpNetwork,
    gateway: IpAddr,
    attributes: &Options,
    index: Ifindex,
) -> Result<Route> {
    let mut route = route(destination, Some(gateway), attributes, Some(index))?;
    route.onlink |= needs_onlink(interface, gateway)?;
    Ok(route)
}

/// Whether the kernel has to be told that the gateway is on the link: it is outside of the interface's subnets, and a connected route or
/// the nature of link-local addresses puts it there.
fn needs_onlink(interface: &SandboxInterface, gateway: IpAddr) -> Result<bool> {
    if interface
        .addresses
        .iter()
        .any(|address| address.contains(gateway) && address.ip() != gateway)
    {
        return Ok(false);
    }
    let connected = |route: &&StaticRoute| route.next_hop == NextHop::Connected && route.destination.contains(gateway);
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if link_local || interface.routes.iter().any(|route| connected(&route)) {
        return Ok(true);
    }
    Err(Error::invalid(format!(
        "the gateway {gateway} is not reachable on the sandbox's interface: expected an address in one of its subnets, or a connected route to it"
    )))
}

fn default_destination(gateway: IpAddr) -> Result<IpNetwork> {
    let any = match Family::of(gateway) {
        Family::Ipv4 => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    };
    IpNetwork::new(any, 0).map_err(|e| Error::internal("zero is no prefix length").caused_by(e))
}

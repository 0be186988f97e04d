//! Address translation and isolation, in the host's own nftables table.

use std::net::IpAddr;

use jackfield_kernel::{Make, plan::FirewallRule};
use jackfield_model::{Error, ErrorCode, Family, HostPort, IpNetwork, LinkName, PortMapping, Result};

use super::{Operation, running::Running, table::Origin};
use crate::{FreePorts, LinkId, Phase, PortOwner, PortReservation, grants::Want};

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn masquerade(&mut self, subnet: IpNetwork, link: LinkId) -> Result<()> {
        let run = self.call()?;
        let want = Want::Firewall { verb: "masquerade" };
        run.check_masquerade(&want, subnet)?;
        let link = run.firewall_link(link)?;
        run.firewall(&want, FirewallRule::Masquerade { subnet, link })
    }

    pub fn publish(&mut self, mapping: PortMapping) -> Result<u16> {
        let run = self.call()?;
        let want = Want::Firewall { verb: "publish" };
        run.check_step(&want)?;
        run.check_range(mapping.count)?;
        let target = run.publish_target(mapping.host_address)?;
        if run.routed(Family::of(target)) {
            return run.open(&want, &mapping, target);
        }
        let reservation = run.reserve_port(&mapping)?;
        let mapping = reservation.mapping.clone();
        if run.ports.iter().any(|held| overlap(&held.mapping, &mapping)) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("host port {} is published in this operation already", mapping.host_port),
            ));
        }
        let host_port = mapping.host_port;
        run.extra_steps += u32::from(mapping.count) - 1;
        run.firewall(&want, FirewallRule::Publish { mapping, target })?;
        run.ports.push(reservation);
        Ok(host_port)
    }

    /// Where a port of this network is asked to be published on no certain address of the host, it is published on this one; with one
    /// in a family alone, in that family alone.
    ///
    /// # Errors
    /// invalid-argument for an address that nothing can be published on, invalid-state in any call but create-network, already-exists where
    /// the family has one.
    pub fn set_host_binding(&mut self, address: IpAddr) -> Result<()> {
        let run = self.call()?;
        run.allow(&Want::Firewall { verb: "publish" })?;
        run.check_binding(address)?;
        run.host_bindings.push(address);
        Ok(())
    }

    pub fn make_internal(&mut self, link: LinkId) -> Result<()> {
        let run = self.call()?;
        let want = Want::Firewall { verb: "internal" };
        run.check_step(&want)?;
        let link = run.firewall_link(link)?;
        run.firewall(&want, FirewallRule::Internal { link })
    }
}

impl Running {
    fn check_binding(&self, address: IpAddr) -> Result<()> {
        if self.context.phase != Phase::CreateNetwork {
            let message = "what ports are published on is said of a network, in create-network";
            return Err(Error::new(ErrorCode::InvalidState, message));
        }
        if address.is_multicast() || (address.is_ipv6() && address.is_loopback()) {
            return Err(Error::invalid(format!(
                "nothing can be published on {address}: expected an address of the host that others send to"
            )));
        }
        let same_family = |bound: &IpAddr| Family::of(*bound) == Family::of(address);
        if self.host_bindings.iter().any(same_family) {
            let message = format!("the network's ports are bound to an address already, and {address} is a second one");
            return Err(Error::new(ErrorCode::AlreadyExists, message));
        }
        Ok(())
    }

    /// Opens the endpoint's own ports: the host's are not used.
    fn open(&mut self, want: &Want<'_>, mapping: &PortMapping, target: IpAddr) -> Result<u16> {
        let port = mapping.container_port;
        if port == 0 || mapping.count == 0 || port.checked_add(mapping.count - 1).is_none() {
            return Err(Error::invalid(format!(
                "ports {port} and {} more cannot be opened: ports are 1 to 65535, and a range holds at least one",
                i32::from(mapping.count) - 1
            )));
        }
        self.firewall(
            want,
            FirewallRule::Open {
                transport: mapping.transport,
                target,
                port,
                count: mapping.count,
            },
        )?;
        Ok(port)
    }

    pub(super) fn firewall(&mut self, want: &Want<'_>, rule: FirewallRule) -> Result<()> {
        let make = Make::Firewall(rule);
        if self.plan.makes.contains(&make) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                "the firewall has that in this plan already",
            ));
        }
        self.step(want, make)
    }

    /// Port zero has the host choose one.
    fn reserve_port(&self, mapping: &PortMapping) -> Result<PortReservation> {
        let free = FreePorts {
            book: &self.context.ports,
            kernel: &**self.kernel(),
            namespace: self.namespace(),
        };
        let host_port = match mapping.host_port {
            0 => HostPort::Any,
            first => HostPort::Given(first),
        };
        let mut reserved = free.reserve(&self.port_owner(), std::slice::from_ref(mapping), host_port)?;
        let one = reserved.pop();
        one.ok_or_else(|| Error::internal("a reservation of one port came to none"))
    }

    /// The name of a link that a rule may be about. A link of the host carries others' traffic.
    pub(super) fn firewall_link(&mut self, link: LinkId) -> Result<LinkName> {
        let entry = self.target(link)?;
        entry.in_realm()?;
        if entry.origin == Origin::Parent && !entry.adopted {
            self.allow(&Want::ChangeParent {
                name: entry.name.as_str(),
                setting: "the firewall",
            })?;
        }
        Ok(entry.name)
    }

    /// The endpoint's address in the family of the host's.
    fn publish_target(&self, host: IpAddr) -> Result<IpAddr> {
        let endpoint = self.context.endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidState,
                "a port is published for an endpoint, and this call has none",
            )
        })?;
        let fits = |address: &IpAddr| Family::of(*address) == Family::of(host);
        endpoint.addresses.iter().map(IpNetwork::ip).find(fits).ok_or_else(|| {
            Error::invalid(format!(
                "a port of {host} cannot be published: the endpoint has no address of that family"
            ))
        })
    }

    fn port_owner(&self) -> PortOwner {
        let (endpoint, network) = (self.context.endpoint.as_ref(), self.context.network.as_ref());
        let network = network.map(|network| format!(" of network {}", network.name));
        let short = endpoint.map(|endpoint| endpoint.id.short()).unwrap_or_default();
        PortOwner {
            id: endpoint.map(|endpoint| endpoint.id.to_string()).unwrap_or_default(),
            name: format!("endpoint {short}{}", network.unwrap_or_default()),
        }
    }

    /// Each port of a range is an element of the firewall's map, and counts as a step.
    fn check_range(&self, count: u16) -> Result<()> {
        let limit = self.limits().steps_per_operation;
        let steps = self.plan.makes.len() as u64 + u64::from(self.extra_steps) + u64::from(count);
        if steps <= u64::from(limit) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Exhausted,
            format!(
                "publishing {count} ports would exceed the {limit} steps of an operation: steps-per-operation in the driver's limits raises it"
            ),
        ))
    }
}

fn overlap(a: &PortMapping, b: &PortMapping) -> bool {
    let same_address = Family::of(a.host_address) == Family::of(b.host_address)
        && (a.host_address == b.host_address || a.host_address.is_unspecified() || b.host_address.is_unspecified());
    let last = |m: &PortMapping| u32::from(m.host_port) + u32::from(m.count) - 1;
    same_address && a.transport == b.transport && u32::from(a.host_port) <= last(b) && u32::from(b.host_port) <= last(a)
}

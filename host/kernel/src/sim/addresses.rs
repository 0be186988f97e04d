//! Addresses, and the routes that the kernel makes of them (net/ipv4/devinet.c, net/ipv6/addrconf.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_model::{Family, IpNetwork};
use nix::errno::Errno;

use super::{Answer, space::Space, sysctls};
use crate::{AddressInfo, Ifindex};

/// IFAPROT_KERNEL_LO of linux/if_addr.h: ::1, which the kernel sets. (127.0.0.1 it does not mark.)
const FROM_LOOPBACK: u8 = 1;

/// An address on a link.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) link: Ifindex,
    pub(super) address: IpNetwork,
    pub(super) protocol: u8,
    /// Valid on this host only (RT_SCOPE_HOST).
    pub(super) host: bool,
    /// Not the first of its subnet on the link: it makes no route, and goes with the first. IPv4 only.
    pub(super) secondary: bool,
}

impl Address {
    pub(super) fn info(&self) -> AddressInfo {
        AddressInfo {
            index: self.link,
            address: self.address,
            protocol: self.protocol,
        }
    }

    fn is(&self, link: Ifindex, address: IpNetwork) -> bool {
        self.link == link && self.address.ip() == address.ip() && self.address.prefix() == address.prefix()
    }
}

/// Whether both mean one subnet: same length, same network.
pub(super) fn one_subnet(a: IpNetwork, b: IpNetwork) -> bool {
    a.prefix() == b.prefix() && a.network() == b.network()
}

impl Space {
    pub(super) fn add_address(&mut self, link: Ifindex, address: IpNetwork, protocol: u8) -> Answer {
        self.link(link)?;
        let new = Address {
            link,
            address,
            protocol,
            host: address.ip().is_loopback(),
            secondary: false,
        };
        if address.is_ipv4() {
            self.add_ipv4(new)
        } else {
            self.add_ipv6(new)
        }
    }

    pub(super) fn delete_address(&mut self, link: Ifindex, address: IpNetwork) -> Answer {
        self.link(link)?;
        if address.is_ipv6() && !self.speaks(link, Family::Ipv6) {
            return Err(Errno::ENXIO);
        }
        let at = self
            .addresses
            .iter()
            .position(|a| a.is(link, address))
            .ok_or(Errno::EADDRNOTAVAIL)?;
        let gone = self.addresses.remove(at);
        if address.is_ipv4() {
            self.ipv4_gone(gone)
        } else {
            self.ipv6_gone(&gone)
        }
        Ok(())
    }

    /// The addresses of a link, of one family.
    pub(super) fn addresses_of(&self, link: Ifindex, ipv4: bool) -> impl Iterator<Item = &Address> {
        self.addresses
            .iter()
            .filter(move |a| a.link == link && a.address.is_ipv4() == ipv4)
    }

    /// Whether any link has it.
    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.address.ip() == ip)
    }

    /// The loopback, coming up, gets 127.0.0.1 and ::1, where it has not got them.
    pub(super) fn address_loopback(&mut self, link: Ifindex) {
        self.give_loopback(link, IpAddr::V4(Ipv4Addr::LOCALHOST), 8, 0);
        self.give_loopback(link, IpAddr::V6(Ipv6Addr::LOCALHOST), 128, FROM_LOOPBACK);
    }

    fn give_loopback(&mut self, link: Ifindex, ip: IpAddr, prefix: u8, protocol: u8) {
        let Ok(address) = IpNetwork::new(ip, prefix) else {
            return;
        };
        let secondary = ip.is_ipv4() && self.addresses_of(link, true).any(|a| one_subnet(a.address, address));
        if !self.addresses.iter().any(|a| a.is(link, address)) && self.speaks(link, Family::of(ip)) {
            self.addresses.push(Address {
                link,
                address,
                protocol,
                host: true,
                secondary,
            });
        }
    }

    /// A link that came up gets the routes to the subnets of its addresses.
    pub(super) fn connect_all(&mut self, link: Ifindex) {
        let all: Vec<_> = self
            .addresses
            .iter()
            .filter(|a| a.link == link && a.protocol != FROM_LOOPBACK)
            .cloned()
            .collect();
        all.iter().for_each(|address| self.connect(address));
    }

    /// The route to the address's own subnet, while its link is up.
    fn connect(&mut self, address: &Address) {
        let loopback = self
            .links
            .get(&address.link)
            .is_some_and(super::link::Link::is_loopback);
        if !self.is_up(address.link) || address.secondary || (loopback && address.address.is_ipv4()) {
            return;
        }
        match address.address {
            IpNetwork::V4(v4) if v4.prefix() == 32 || v4.network().octets()[0] == 0 => {}
            subnet => self.add_connected(address.link, subnet),
        }
    }

    // IPv4

    fn add_ipv4(&mut self, mut new: Address) -> Answer {
        if !self.speaks(new.link, Family::Ipv4) {
            return Err(Errno::ENOBUFS);
        }
        if new.address.ip().is_unspecified() {
            return Ok(());
        }
        let mut siblings = self
            .addresses_of(new.link, true)
            .filter(|a| one_subnet(a.address, new.address))
            .peekable();
        new.secondary = siblings.peek().is_some();
        for sibling in siblings {
            if sibling.address.ip() == new.address.ip() {
                return Err(Errno::EEXIST);
            }
            if sibling.host != new.host {
                return Err(Errno::EINVAL);
            }
        }
        self.connect(&new);
        self.addresses.push(new);
        Ok(())
    }

    fn ipv4_gone(&mut self, gone: Address) {
        if !gone.secondary {
            self.delete_connected(gone.link, gone.address);
            self.succeed(&gone);
        }
        self.forget_source(gone.address.ip());
        if self.addresses_of(gone.link, true).next().is_none() {
            self.disable_ipv4(gone.link);
        }
    }

    /// The next of the subnet takes the first's place, or all of them go with it, as `promote_secondaries` says.
    fn succeed(&mut self, gone: &Address) {
        let second = |a: &Address| a.link == gone.link && a.secondary && one_subnet(a.address, gone.address);
        if !sysctls::promotes_secondaries(self, gone.link) {
            let lost: Vec<_> = self.addresses.extract_if(.., |a| second(a)).collect();
            lost.iter().for_each(|a| self.forget_source(a.address.ip()));
        } else if let Some(heir) = self.addresses.iter_mut().find(|a| second(a)) {
            heir.secondary = false;
            let heir = heir.clone();
            self.connect(&heir);
        }
    }

    /// Routes of the main table that prefer a source which is no more of this host go with it.
    fn forget_source(&mut self, ip: IpAddr) {
        if !self.is_local(ip) {
            self.routes
                .retain(|entry| entry.table() != super::routes::MAIN || entry.route.source != Some(ip));
        }
    }

    /// With its last address, a link loses its routes and neighbours (`fib_disable_ip`).
    fn disable_ipv4(&mut self, link: Ifindex) {
        self.routes
            .retain(|entry| entry.link() != Some(link) || entry.is_ipv6());
        self.neighbours.retain(|(of, ip), _| *of != link || ip.is_ipv6());
        self.proxies.retain(|(of, ip), _| *of != link || ip.is_ipv6());
    }

    /// All IPv4 addresses of a link that goes.
    pub(super) fn forget_ipv4(&mut self, link: Ifindex) {
        let gone: Vec<_> = self
            .addresses
            .extract_if(.., |a| a.link == link && a.address.is_ipv4())
            .collect();
        gone.iter().for_each(|a| self.forget_source(a.address.ip()));
    }

    // IPv6

    fn add_ipv6(&mut self, new: Address) -> Answer {
        if !self.speaks(new.link, Family::Ipv6) {
            return Err(Errno::EINVAL);
        }
        let ip = new.address.ip();
        if self.addresses_of(new.link, false).any(|a| a.address.ip() == ip) {
            return Err(Errno::EEXIST);
        }
        if sysctls::ipv6_disabled(self, new.link) {
            return Err(Errno::EACCES);
        }
        if ip.is_unspecified() || ip.is_multicast() || (ip.is_loopback() && !self.link(new.link)?.is_loopback()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.connect(&new);
        self.addresses.push(new);
        Ok(())
    }

    fn ipv6_gone(&mut self, gone: &Address) {
        if !self
            .addresses_of(gone.link, false)
            .any(|a| one_subnet(a.address, gone.address))
        {
            self.delete_connected(gone.link, gone.address);
        }
        let ip = gone.address.ip();
        if self.is_local(ip) {
            return;
        }
        for entry in self
            .routes
            .iter_mut()
            .filter(|e| e.link() == Some(gone.link) && e.route.source == Some(ip))
        {
            entry.route.source = None;
        }
    }

    /// All of IPv6 goes off a link: when it goes down, or its MTU gets too small, or a sysctl says so (`addrconf_ifdown`).
    pub(super) fn forget_ipv6(&mut self, link: Ifindex) {
        self.addresses.retain(|a| a.link != link || a.address.is_ipv4());
        self.routes
            .retain(|entry| entry.link() != Some(link) || !entry.is_ipv6());
        self.neighbours.retain(|(of, ip), _| *of != link || ip.is_ipv4());
        self.proxies.retain(|(of, ip), _| *of != link || ip.is_ipv4());
    }

    /// A family leaves the link altogether, and will begin anew when it comes back.
    pub(super) fn remove_family(&mut self, link: Ifindex, family: Family) {
        self.sysctls.retain(|(of, key), _| *of != link || key.family != family);
        match (family, self.links.get_mut(&link)) {
            (Family::Ipv4, _) => {
                self.forget_ipv4(link);
                self.disable_ipv4(link);
            }
            (Family::Ipv6, Some(there)) => {
                there.address_generation = true;
                self.forget_ipv6(link);
            }
            (Family::Ipv6, None) => {}
        }
    }
}

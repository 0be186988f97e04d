//! Routes and rules of the host, and how it reaches an address.

use std::net::IpAddr;

use crate::{Cidr, Family, Link, Result, backend};

/// A route of the host, or of the sandbox where its link is the one that join returns.
///
/// `Route::to(subnet).via(gateway).attribute("metric", 5).add(Some(&link))?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub(crate) destination: Cidr,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Route {
    /// A route to a destination, on the link itself.
    pub fn to(destination: Cidr) -> Self {
        Self {
            destination,
            gateway: None,
            attributes: Vec::new(),
        }
    }

    /// By that gateway.
    #[must_use]
    pub fn via(mut self, gateway: IpAddr) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// As `ip route` spells them: src, metric, table, type, onlink, mtu, advmss.
    #[must_use]
    pub fn attribute(mut self, key: &str, value: impl ToString) -> Self {
        self.attributes.push((key.to_owned(), value.to_string()));
        self
    }

    /// Adds it.
    pub fn add(&self, link: Option<&Link>) -> Result<()> {
        backend::add_route(self, link.map(|link| &link.handle))
    }

    /// Removes it.
    pub fn remove(&self, link: Option<&Link>) -> Result<()> {
        backend::remove_route(self, link.map(|link| &link.handle))
    }

    /// Where to.
    pub fn destination(&self) -> Cidr {
        self.destination
    }

    /// By what.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }

    /// Its attributes.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.attributes
    }
}

/// What `ip route get` says.
#[derive(Debug)]
pub struct RouteLookup {
    /// By which link; None when the driver was not granted it.
    pub link: Option<Link>,
    /// By which gateway.
    pub gateway: Option<IpAddr>,
    /// From which address.
    pub source: Option<IpAddr>,
}

/// How the host reaches an address.
pub fn lookup_route(destination: IpAddr) -> Result<RouteLookup> {
    backend::lookup_route(destination)
}

/// Adds a rule as `ip rule` spells it: priority, from, to, iif, oif, fwmark, table.
pub fn add_rule(family: Family, rule: &[(&str, &str)]) -> Result<()> {
    backend::add_rule(family, rule)
}

/// Removes it.
pub fn remove_rule(family: Family, rule: &[(&str, &str)]) -> Result<()> {
    backend::remove_rule(family, rule)
}

/// Whether the kernel has a kind of link, by its iproute2 name.
pub fn supports(kind: &str) -> bool {
    backend::supports(kind)
}

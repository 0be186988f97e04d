//! Routes and rules of routing policy.

use std::{net::IpAddr, num::NonZeroU32};

use jackfield_kernel::{
    Ifindex, Make, Place, Removal,
    plan::{Route, RouteKind, Rule},
};
use jackfield_model::{Error, ErrorCode, Family, IpNetwork, LinkName, Options, Result};

use super::{Operation, attributes::Attributes, running::Running, table::Origin};
use crate::{LinkId, grants::Want};

/// The kernel's own table of local addresses (RT_TABLE_LOCAL of linux/rtnetlink.h).
const TABLE_LOCAL: u32 = 255;
/// Rules in front of the kernel's own for main and default, and behind its own for local (net/ipv4/fib_rules.c).
const PRIORITIES: std::ops::RangeInclusive<u32> = 1..=32_765;

#[allow(missing_docs, clippy::missing_errors_doc)] // The WIT package is the documentation: see the module's head.
impl Operation {
    pub fn add_route(
        &mut self,
        destination: IpNetwork,
        gateway: Option<IpAddr>,
        attributes: &Options,
        link: Option<LinkId>,
    ) -> Result<()> {
        let run = self.call()?;
        let (place, route) = run.route(destination, gateway, attributes, link)?;
        let make = Make::Route { place, route };
        if run.plan.makes.contains(&make) {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                format!("the route to {destination} is in the plan already"),
            ));
        }
        run.step(&Want::Route { destination }, make)
    }

    pub fn remove_route(
        &mut self,
        destination: IpNetwork,
        gateway: Option<IpAddr>,
        attributes: &Options,
        link: Option<LinkId>,
    ) -> Result<()> {
        let run = self.call()?;
        let (place, route) = run.route(destination, gateway, attributes, link)?;
        let make = Make::Route {
            place,
            route: route.clone(),
        };
        if run.cancel(|m| *m == make) {
            return Ok(());
        }
        if link.is_some_and(|link| run.links.get(link).is_ok_and(|entry| entry.origin == Origin::New)) {
            return Err(Error::not_found(format!(
                "there is no route to {destination} on that link"
            )));
        }
        run.removal(&Want::Route { destination }, Removal::Route { place, route })
    }

    pub fn add_rule(&mut self, family: Family, rule: &Options) -> Result<()> {
        let run = self.call()?;
        run.check_step(&Want::Rule)?;
        let make = Make::Rule(run.rule(family, rule)?);
        if run.plan.makes.contains(&make) {
            return Err(Error::new(ErrorCode::AlreadyExists, "that rule is in the plan already"));
        }
        run.step(&Want::Rule, make)
    }

    pub fn remove_rule(&mut self, family: Family, rule: &Options) -> Result<()> {
        let run = self.call()?;
        run.check_step(&Want::Rule)?;
        let rule = run.rule(family, rule)?;
        if run.cancel(|make| matches!(make, Make::Rule(added) if *added == rule)) {
            return Ok(());
        }
        run.removal(&Want::Rule, Removal::Rule(rule))
    }
}

impl Running {
    fn route(
        &mut self,
        destination: IpNetwork,
        gateway: Option<IpAddr>,
        attributes: &Options,
        link: Option<LinkId>,
    ) -> Result<(Place, Route)> {
        let link = link.map(|link| self.target(link)).transpose()?.map(|entry| entry.at);
        let route = route(destination, gateway, attributes, link.map(|at| at.index))?;
        Ok((link.map_or(Place::Realm, |at| at.place), route))
    }

    fn rule(&mut self, family: Family, options: &Options) -> Result<Rule> {
        let given = Attributes::new(
            "rule",
            options,
            &["priority", "from", "to", "iif", "oif", "fwmark", "table"],
        )?;
        let priority = given
            .get("priority", "1 to 32765")?
            .filter(|priority| PRIORITIES.contains(priority));
        let table = given
            .get::<NonZeroU32>("table", "a table's number")?
            .map(NonZeroU32::get);
        let (Some(priority), Some(table)) = (priority, table) else {
            return Err(Error::invalid(
                "a rule needs a priority, 1 to 32765, and a table, by its number",
            ));
        };
        Ok(Rule {
            family,
            priority,
            table,
            from: family_of(family, given.get("from", "a subnet")?)?,
            to: family_of(family, given.get("to", "a subnet")?)?,
            iif: self.rule_link(given.get("iif", "a link's name")?)?,
            oif: self.rule_link(given.get("oif", "a link's name")?)?,
            fwmark: given.get("fwmark", "a number")?,
        })
    }

    /// A rule names links, and must not name one that the driver could not get a handle for.
    fn rule_link(&self, name: Option<LinkName>) -> Result<Option<LinkName>> {
        if let Some(name) = &name
            && !self.links.iter().any(|entry| entry.name == *name)
        {
            self.allow(&Want::UseParent { name: name.as_str() })?;
        }
        Ok(name)
    }
}

/// Checks a route and its attributes.
pub(super) fn route(
    destination: IpNetwork,
    gateway: Option<IpAddr>,
    attributes: &Options,
    link: Option<Ifindex>,
) -> Result<Route> {
    let given = Attributes::new(
        "route",
        attributes,
        &["src", "metric", "table", "type", "onlink", "mtu", "advmss"],
    )?;
    let family = Family::of(destination.ip());
    if destination.ip() != destination.network() {
        let (meant, prefix) = (destination.network(), destination.prefix());
        return Err(Error::invalid(format!(
            "{destination} is an address inside a subnet, not a destination: expected {meant}/{prefix}"
        )));
    }
    let route = Route {
        destination,
        link,
        gateway,
        source: given.get("src", "an IP address")?,
        metric: given.get("metric", "a number")?,
        table: given.get("table", "a table's number")?,
        kind: route_kind(&given)?,
        onlink: given.flag("onlink")?.unwrap_or(false),
        mtu: given.get("mtu", "a number of bytes")?,
        advmss: given.get("advmss", "a number of bytes")?,
    };
    if [gateway, route.source]
        .into_iter()
        .flatten()
        .any(|address| Family::of(address) != family)
    {
        return Err(Error::invalid(format!(
            "the route to {destination} mixes IPv4 and IPv6: gateway and src have to be of its family"
        )));
    }
    if gateway.is_some_and(|gateway| gateway.is_unspecified() || gateway.is_multicast()) {
        return Err(Error::invalid(format!(
            "the route to {destination} has no host for its gateway: expected a unicast address"
        )));
    }
    if matches!(route.table, Some(0 | TABLE_LOCAL)) {
        return Err(Error::invalid(
            "tables 0 and 255 are the kernel's own: expected another",
        ));
    }
    let reaches = gateway.is_some() || link.is_some();
    if (route.kind == RouteKind::Unicast) != reaches {
        let needs = if reaches {
            "goes nowhere, so that it has neither link nor gateway"
        } else {
            "needs a link or a gateway"
        };
        return Err(Error::invalid(format!("the route to {destination} {needs}")));
    }
    if route.onlink && (gateway.is_none() || link.is_none()) {
        return Err(Error::invalid(format!(
            "the route to {destination} is onlink, and so needs a gateway and a link"
        )));
    }
    Ok(route)
}

fn route_kind(given: &Attributes<'_>) -> Result<RouteKind> {
    let expected = "unicast, blackhole, unreachable or prohibit";
    match given.get::<String>("type", expected)?.as_deref() {
        None | Some("unicast") => Ok(RouteKind::Unicast),
        Some("blackhole") => Ok(RouteKind::Blackhole),
        Some("unreachable") => Ok(RouteKind::Unreachable),
        Some("prohibit") => Ok(RouteKind::Prohibit),
        Some(other) => Err(given.refuse("type", other, expected)),
    }
}

fn family_of(family: Family, network: Option<IpNetwork>) -> Result<Option<IpNetwork>> {
    match network.filter(|network| Family::of(network.ip()) != family) {
        Some(other) => Err(Error::invalid(format!("{other} is not of the rule's family"))),
        None => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(destination: &str, gateway: Option<&str>, attributes: &[(&str, &str)], link: bool) -> Result<Route> {
        let attributes = attributes
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        route(
            destination.parse().unwrap(),
            gateway.map(|g| g.parse().unwrap()),
            &attributes,
            Ifindex::new(7).filter(|_| link),
        )
    }

    #[test]
    fn a_route_is_checked_as_the_kernel_would() {
        for (destination, gateway, attributes, link, good) in [
            ("10.0.0.0/24", None, &[][..], true, true),
            (
                "10.0.0.0/24",
                Some("10.0.1.1"),
                &[("metric", "5"), ("src", "10.0.1.2"), ("mtu", "1400")],
                false,
                true,
            ),
            ("0.0.0.0/0", Some("169.254.1.1"), &[("onlink", "1")], true, true),
            ("10.0.0.0/24", None, &[("type", "blackhole")], false, true),
            ("10.0.0.1/24", None, &[], true, false),
            ("10.0.0.0/24", None, &[], false, false),
            ("10.0.0.0/24", Some("fd00::1"), &[], true, false),
            ("10.0.0.0/24", Some("0.0.0.0"), &[], true, false),
            ("10.0.0.0/24", None, &[("src", "fd00::1")], true, false),
            ("10.0.0.0/24", None, &[("type", "local")], true, false),
            ("10.0.0.0/24", None, &[("type", "blackhole")], true, false),
            ("10.0.0.0/24", None, &[("table", "255")], true, false),
            ("10.0.0.0/24", None, &[("table", "0")], true, false),
            ("10.0.0.0/24", None, &[("onlink", "1")], true, false),
            ("10.0.0.0/24", None, &[("metrik", "1")], true, false),
            ("10.0.0.0/24", None, &[("metric", "-1")], true, false),
        ] {
            assert_eq!(
                check(destination, gateway, attributes, link).is_ok(),
                good,
                "{destination} {gateway:?} {attributes:?} {link}"
            );
        }
    }
}

//! Everything of a namespace, in an order that does not depend on when it was made.

use std::collections::BTreeSet;

use jackfield_model::IpNetwork;
use netlink_packet_route::AddressFamily;
use nix::errno::Errno;

use super::{
    Linux, decode, describe, encode, firewall,
    socket::{Answer, Message},
    sysctl,
};
use crate::{Dump, Ifindex, Namespace, Result};

const FAMILIES: [AddressFamily; 2] = [AddressFamily::Inet, AddressFamily::Inet6];

/// See [`crate::Kernel::dump`].
pub(super) fn dump(linux: &Linux, namespace: &Namespace) -> Result<Dump> {
    let ask = |what, message| ask(linux, namespace, what, message);
    let mut dump = Dump {
        firewall: firewall::dump(linux, namespace)?,
        sysctls: sysctl::dump(namespace)?,
        ..Dump::default()
    };
    dump.links.extend(
        ask("links", encode::links())?
            .iter()
            .filter_map(|a| decode::link(&a.body)),
    );
    dump.forwarding.extend(
        ask("forwarding entries", encode::forwarding_entries())?
            .iter()
            .filter_map(|a| decode::forwarding_entry(&a.body)),
    );
    for family in FAMILIES {
        // A kernel without IPv6 answers with what it has of other families.
        let of_family = |what, message| {
            Ok::<_, crate::KernelError>(ask(what, message)?.into_iter().filter(move |a| is_of(a, family)))
        };
        dump.addresses
            .extend(of_family("addresses", encode::addresses(family))?.filter_map(|a| decode::address(&a.body)));
        dump.routes
            .extend(of_family("routes", encode::routes(family))?.flat_map(|a| decode::routes(&a.body)));
        dump.rules
            .extend(of_family("rules", encode::rules(family))?.filter_map(|a| decode::rule(&a.body)));
        dump.neighbours.extend(
            of_family("neighbours", encode::neighbours(family, false))?.filter_map(|a| decode::neighbour(&a.body)),
        );
        let proxies = of_family("proxy neighbours", encode::neighbours(family, true))?;
        dump.neighbours
            .extend(proxies.filter_map(|a| decode::proxy_neighbour(&a.body)));
    }
    sort(&mut dump);
    Ok(dump)
}

/// See [`crate::Kernel::default_route_links`].
pub(super) fn default_route_links(linux: &Linux, namespace: &Namespace) -> Result<BTreeSet<Ifindex>> {
    let mut dump = Dump::default();
    for family in FAMILIES {
        let answers = ask(linux, namespace, "routes", encode::routes(family))?;
        let routes = answers
            .iter()
            .filter(|a| is_of(a, family))
            .flat_map(|a| decode::routes(&a.body));
        dump.routes.extend(routes);
    }
    Ok(dump.default_route_links())
}

fn ask(linux: &Linux, namespace: &Namespace, what: &str, message: Message) -> Result<Vec<Answer>> {
    match linux.route(namespace, |socket| socket.dump(message))? {
        Ok(answers) => Ok(answers),
        // No forwarding database, or no such family.
        Err(refusal) if refusal.errno == Errno::EOPNOTSUPP => Ok(Vec::new()),
        Err(refusal) => Err(describe::explain(
            "list",
            format!("the {what} of {}", namespace.id()),
            refusal,
        )),
    }
}

/// Every message of these dumps begins with its family.
fn is_of(answer: &Answer, family: AddressFamily) -> bool {
    answer.body.first() == Some(&u8::from(family))
}

fn sort(dump: &mut Dump) {
    let key = |network: &IpNetwork| (network.ip(), network.prefix());
    dump.links.sort_by_key(|l| l.index);
    dump.addresses.sort_by_key(|a| (a.index, key(&a.address)));
    dump.routes.sort_by_key(|r| {
        let route = &r.route;
        (
            route.table.unwrap_or(u32::from(libc::RT_TABLE_MAIN)),
            key(&route.destination),
            route.metric,
            route.link,
            route.gateway,
        )
    });
    dump.rules
        .sort_by_key(|r| (r.rule.family, r.rule.priority, r.rule.table, r.protocol, r.rule.fwmark));
    dump.neighbours.sort_by_key(|n| (n.index, n.address, n.mac));
    dump.forwarding
        .sort_by_key(|f| (f.index, f.entry.mac, f.entry.destination, f.entry.vlan, f.entry.vni));
}

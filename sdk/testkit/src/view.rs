//! A namespace as lines that look like iproute2's, with the driver's labels for its links instead of the names that the host chose.
//!
//! ```text
//!   link pair veth up mtu 1500            address pair 10.1.0.1/32           route 10.1.0.2/32 dev pair
//!   link port veth up mtu 1500 controller bridge                             route 0.0.0.0/0 via 10.1.0.1 dev eth0
//!   neighbour pair 10.1.0.2 lladdr 02:..  proxy pair 10.1.0.9                sysctl pair ipv4/conf/forwarding 1
//!   rule 100 table 7                      forwarding bridge 02:..            firewall masquerade ...
//! ```

use std::{collections::BTreeMap, fmt::Write};

use jackfield_kernel::{
    Dump, Ifindex, LinkInfo,
    plan::{Route, Rule},
};

/// What stands in a namespace; the loopback and what the kernel makes by itself left out.
pub(crate) fn lines(dump: &Dump, labels: &BTreeMap<Ifindex, String>) -> Vec<String> {
    let view = View { dump, labels };
    let mut lines: Vec<String> = dump
        .links
        .iter()
        .filter(|link| link.name.as_str() != "lo")
        .map(|link| view.link(link))
        .collect();
    lines.extend(
        dump.addresses
            .iter()
            .map(|a| format!("address {} {}", view.name(a.index), a.address)),
    );
    lines.extend(
        dump.routes
            .iter()
            .filter(|r| r.protocol != KERNEL)
            .map(|r| view.route(&r.route)),
    );
    lines.extend(
        dump.rules
            .iter()
            .filter(|r| r.protocol != KERNEL)
            .map(|r| rule(&r.rule)),
    );
    lines.extend(dump.neighbours.iter().map(|n| match n.mac {
        Some(mac) => format!("neighbour {} {} lladdr {mac}", view.name(n.index), n.address),
        None => format!("proxy {} {}", view.name(n.index), n.address),
    }));
    lines.extend(dump.forwarding.iter().map(|f| {
        let mac = f.entry.mac.map_or_else(|| "flood".to_owned(), |mac| mac.to_string());
        let to = f.entry.destination.map(|to| format!(" dst {to}")).unwrap_or_default();
        format!("forwarding {} {mac}{to}", view.name(f.index))
    }));
    lines.extend(
        dump.firewall
            .iter()
            .map(|line| format!("firewall {}", view.labelled(line))),
    );
    lines
}

/// One sysctl of a link, by the name that the namespace has for it.
pub(crate) fn sysctl(dump: &Dump, labels: &BTreeMap<Ifindex, String>, link: &str, key: &str) -> Option<String> {
    let view = View { dump, labels };
    let name = &dump.links.iter().find(|info| view.name(info.index) == link)?.name;
    let (folder, word) = key.rsplit_once('/')?;
    dump.sysctls.get(&format!("{folder}/{name}/{word}")).cloned()
}

/// RTPROT_KERNEL of linux/rtnetlink.h: routes and rules that nobody asked for.
const KERNEL: u8 = 2;

struct View<'a> {
    dump: &'a Dump,
    labels: &'a BTreeMap<Ifindex, String>,
}

impl View<'_> {
    fn name(&self, index: Ifindex) -> String {
        let info = self.dump.links.iter().find(|link| link.index == index);
        let own = || info.map_or_else(|| index.to_string(), |link| link.name.to_string());
        self.labels.get(&index).cloned().unwrap_or_else(own)
    }

    fn link(&self, link: &LinkInfo) -> String {
        let state = if link.up { "up" } else { "down" };
        let kind = if link.kind.is_empty() { "hardware" } else { &link.kind };
        let mut line = format!("link {} {kind} {state} mtu {}", self.name(link.index), link.mtu);
        if let Some(controller) = link.controller {
            line.push_str(&format!(" controller {}", self.name(controller)));
        }
        line
    }

    fn route(&self, route: &Route) -> String {
        let mut line = format!("route {}", route.destination);
        let via = route.gateway.map(|gateway| format!(" via {gateway}"));
        let dev = route.link.map(|link| format!(" dev {}", self.name(link)));
        let metric = route.metric.map(|metric| format!(" metric {metric}"));
        for part in [via, dev, metric].into_iter().flatten() {
            line.push_str(&part);
        }
        line
    }

    fn labelled(&self, line: &str) -> String {
        self.dump
            .links
            .iter()
            .fold(line.to_owned(), |line, link| match self.labels.get(&link.index) {
                Some(label) => line.replace(link.name.as_str(), label),
                None => line,
            })
    }
}

fn rule(rule: &Rule) -> String {
    let mut line = format!("rule {} table {}", rule.priority, rule.table);
    for (word, value) in [
        ("from", rule.from.map(|n| n.to_string())),
        ("to", rule.to.map(|n| n.to_string())),
        ("iif", rule.iif.as_ref().map(ToString::to_string)),
        ("oif", rule.oif.as_ref().map(ToString::to_string)),
        ("fwmark", rule.fwmark.map(|mark| mark.to_string())),
    ] {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(line, " {word} {value}");
        }
    }
    line
}

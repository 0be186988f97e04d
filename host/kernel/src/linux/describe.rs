//! What a request does and to what, in the words of an error.

use crate::{
    KernelError, Request,
    plan::{ForwardingEntry, Ifindex, LinkKind, LinkSetting, Route, Rule, SysctlKey, SysctlTable},
};
use jackfield_model::Family;
use nix::errno::Errno;

use super::socket::Refusal;

/// The error of a refused request.
pub(super) fn refused(request: &Request, refusal: Refusal) -> KernelError {
    if refusal.errno == Errno::EOPNOTSUPP && wants_vlans(request) {
        return KernelError::Unsupported("VLANs on bridges (BRIDGE_VLAN_FILTERING)".to_owned());
    }
    let (operation, object) = describe(request);
    explain(operation, object, refusal)
}

/// Whether it makes a bridge with 802.1Q filtering, which a kernel may be built without.
fn wants_vlans(request: &Request) -> bool {
    let filters = |kind: &LinkKind| matches!(kind, LinkKind::Bridge(bridge) if bridge.vlan_filtering == Some(true));
    matches!(request, Request::CreateLink { link, .. } if filters(&link.kind))
}

/// The error of a refused question.
pub(super) fn explain(operation: &'static str, object: String, refusal: Refusal) -> KernelError {
    match refusal {
        Refusal {
            errno,
            said: Some(said),
        } => KernelError::Explained {
            operation,
            object,
            said,
            errno,
        },
        Refusal { errno, said: None } => KernelError::Refused {
            operation,
            object,
            errno,
        },
    }
}

/// Operation and object of a request.
pub(crate) fn describe(request: &Request) -> (&'static str, String) {
    let on = |index: &Ifindex| format!("link {index}");
    match request {
        Request::CreateLink { link, .. } => (
            "create link",
            format!("{} ({}, index {})", link.name, link.kind.name(), link.at.index),
        ),
        Request::SetLink { index, setting } => (operation_of(setting), on(index)),
        Request::SetAlias { index, .. } => ("set the alias of", on(index)),
        Request::RenameLink { index, name } => ("rename", format!("link {index} to {name}")),
        Request::MoveLink { index, name, .. } => ("move", format!("link {index}, to be {name} there")),
        Request::Retire { index, .. } => ("retire", on(index)),
        Request::DeleteLink { index } => ("delete", on(index)),
        Request::DeleteGroup { group } => ("delete links of", format!("group {group}")),
        Request::Settle { index } => ("settle", on(index)),
        Request::AddAddress { index, address } => ("add address", format!("{address} to link {index}")),
        Request::DeleteAddress { index, address } => ("delete address", format!("{address} of link {index}")),
        Request::AddNeighbour { index, address, .. } => ("add neighbour", format!("{address} on link {index}")),
        Request::DeleteNeighbour { index, address } => ("delete neighbour", format!("{address} on link {index}")),
        Request::AddProxyNeighbour { index, address } => ("add proxy neighbour", format!("{address} on link {index}")),
        Request::DeleteProxyNeighbour { index, address } => {
            ("delete proxy neighbour", format!("{address} on link {index}"))
        }
        Request::AddForwarding { index, entry } => ("add forwarding entry", forwarding(*index, entry)),
        Request::DeleteForwarding { index, entry } => ("delete forwarding entry", forwarding(*index, entry)),
        Request::AddRoute(route) => ("add route", route_text(route)),
        Request::DeleteRoute(route) => ("delete route", route_text(route)),
        Request::AddRule(rule) => ("add rule", rule_text(rule)),
        Request::DeleteRule(rule) => ("delete rule", rule_text(rule)),
        Request::WriteSysctl { index, key, .. } => ("write sysctl", sysctl(*index, key)),
        Request::SetBandwidth { index, .. } => ("limit the bandwidth of", on(index)),
        Request::Firewall(changes) => ("change", format!("the firewall ({} changes)", changes.len())),
        Request::AddResolver { port } => ("lead questions to", format!("port {port} of the sandbox")),
        Request::DeleteResolver => ("stop leading", "the sandbox's questions".to_owned()),
        Request::FlushConntrack { address } => ("forget connections of", address.to_string()),
        Request::FlushPorts(stale) => ("forget connections to", format!("{} published ports", stale.len())),
    }
}

fn operation_of(setting: &LinkSetting) -> &'static str {
    match setting {
        LinkSetting::Up(true) => "set up",
        LinkSetting::Up(false) => "set down",
        LinkSetting::Mtu(_) => "set the mtu of",
        LinkSetting::Mac(_) => "set the MAC address of",
        LinkSetting::Controller(Some(_)) => "make a port of",
        LinkSetting::Controller(None) => "release from its bridge",
        LinkSetting::BridgePort(_) => "set bridge port attributes of",
        LinkSetting::AddressGeneration(_) => "set the address generation of",
    }
}

fn forwarding(index: Ifindex, entry: &ForwardingEntry) -> String {
    let mac = entry
        .mac
        .map_or_else(|| "00:00:00:00:00:00".to_owned(), |mac| mac.to_string());
    let to = entry.destination.map(|d| format!(" to {d}")).unwrap_or_default();
    format!("{mac}{to} on link {index}")
}

fn route_text(route: &Route) -> String {
    let via = route.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
    let link = route.link.map(|l| format!(" on link {l}")).unwrap_or_default();
    format!("{}{via}{link}", route.destination)
}

fn rule_text(rule: &Rule) -> String {
    format!("{} to table {}", rule.priority, rule.table)
}

/// As sysctl(8) names it, with the link's index in place of its name.
pub(super) fn sysctl(index: Ifindex, key: &SysctlKey) -> String {
    let family = if key.family == Family::Ipv4 { "ipv4" } else { "ipv6" };
    let table = if key.table == SysctlTable::Conf {
        "conf"
    } else {
        "neigh"
    };
    format!("net.{family}.{table}.<link {index}>.{}", key.key)
}

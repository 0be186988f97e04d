//! Rules as RTM_NEWRULE, RTM_DELRULE and RTM_GETRULE.

use jackfield_model::Family;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::RouteProtocol,
    rule::{RuleAction, RuleAttribute, RuleMessage},
};

use super::{CREATE_EXCLUSIVE, serialised};
use crate::{PROTOCOL, linux::socket::Message, plan::Rule};

/// A new rule, marked as ours.
pub(super) fn add(rule: &Rule) -> Message {
    serialised(CREATE_EXCLUSIVE, &RouteNetlinkMessage::NewRule(message(rule)))
}

/// A rule of ours taken away.
pub(super) fn delete(rule: &Rule) -> Message {
    serialised(0, &RouteNetlinkMessage::DelRule(message(rule)))
}

/// Asks for all rules of a family, to be sent as a dump.
pub(in crate::linux) fn rules(family: AddressFamily) -> Message {
    let mut message = RuleMessage::default();
    message.header.family = family;
    serialised(0, &RouteNetlinkMessage::GetRule(message))
}

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = match rule.family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    };
    message.header.action = RuleAction::ToTable;
    message.header.src_len = rule.from.map_or(0, |n| n.prefix());
    message.header.dst_len = rule.to.map_or(0, |n| n.prefix());
    message.attributes = [
        Some(RuleAttribute::Priority(rule.priority)),
        Some(RuleAttribute::Table(rule.table)),
        Some(RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL))),
        rule.from
            .filter(|n| n.prefix() > 0)
            .map(|n| RuleAttribute::Source(n.network())),
        rule.to
            .filter(|n| n.prefix() > 0)
            .map(|n| RuleAttribute::Destination(n.network())),
        rule.iif.as_ref().map(|name| RuleAttribute::Iifname(name.to_string())),
        rule.oif.as_ref().map(|name| RuleAttribute::Oifname(name.to_string())),
        rule.fwmark.map(RuleAttribute::FwMark),
    ]
    .into_iter()
    .flatten()
    .collect();
    message
}

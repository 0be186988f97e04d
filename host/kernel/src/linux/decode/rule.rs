//! RTM_NEWRULE.

use std::net::{Ipv4Addr, Ipv6Addr};

use jackfield_model::{Family, IpNetwork, LinkName};

use super::network;
use crate::{RuleInfo, linux::attributes::Attributes, plan::Rule};

/// struct fib_rule_hdr of include/uapi/linux/fib_rules.h: family, lengths, tos, table, two reserved, action, flags.
const HEADER: usize = 12;
const DESTINATION_LENGTH: usize = 1;
const SOURCE_LENGTH: usize = 2;
const TABLE: usize = 4;

// include/uapi/linux/fib_rules.h.
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_OIFNAME: u16 = 17;
const FRA_PROTOCOL: u16 = 21;

/// A rule of IPv4 or IPv6.
pub(in crate::linux) fn rule(message: &[u8]) -> Option<RuleInfo> {
    let attributes = Attributes::after(message, HEADER);
    let family = match i32::from(*message.first()?) {
        libc::AF_INET => Family::Ipv4,
        libc::AF_INET6 => Family::Ipv6,
        _ => return None,
    };
    let rule = Rule {
        family,
        priority: attributes.get_u32(FRA_PRIORITY).unwrap_or_default(),
        table: attributes.get_u32(FRA_TABLE).unwrap_or(u32::from(*message.get(TABLE)?)),
        from: prefix(attributes, FRA_SRC, family, *message.get(SOURCE_LENGTH)?),
        to: prefix(attributes, FRA_DST, family, *message.get(DESTINATION_LENGTH)?),
        iif: name(attributes, FRA_IIFNAME),
        oif: name(attributes, FRA_OIFNAME),
        fwmark: attributes.get_u32(FRA_FWMARK),
    };
    Some(RuleInfo {
        rule,
        protocol: attributes.get_u8(FRA_PROTOCOL).unwrap_or_default(),
    })
}

fn prefix(attributes: Attributes<'_>, kind: u16, family: Family, length: u8) -> Option<IpNetwork> {
    let any = match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    (length > 0)
        .then(|| network(attributes.get_ip(kind).unwrap_or(any), length))
        .flatten()
}

fn name(attributes: Attributes<'_>, kind: u16) -> Option<LinkName> {
    attributes.get_text(kind)?.parse().ok()
}

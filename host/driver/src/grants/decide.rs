//! The choke point: may this driver do that?

use std::fmt;

use jackfield_kernel::plan::{SysctlKey, SysctlTable};
use jackfield_model::{Error, ErrorCode, Family, IpNetwork};

use super::{Grants, covers, covers_network, line};

/// Something that a driver wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Want<'a> {
    /// Change or use a link of its own, or take back what it made. Always granted: whoever asks has checked whose link it is.
    Own,
    /// Make a link of that kind.
    MakeLink {
        /// As iproute2 names it.
        kind: &'a str,
    },
    /// Use a link of the host: as a parent or controller, to set addresses, routes and neighbours on, to look at.
    UseParent {
        /// Its name.
        name: &'a str,
    },
    /// Change a setting of a link of the host. Never granted.
    ChangeParent {
        /// Its name.
        name: &'a str,
        /// Which setting.
        setting: &'a str,
    },
    /// Take a bridge of the host into service as its network's own.
    Adopt {
        /// Its name.
        name: &'a str,
    },
    /// Lend a link of the host to the sandbox.
    Lend {
        /// Its name.
        name: &'a str,
    },
    /// Name a link itself.
    Name {
        /// The name it asks for.
        name: &'a str,
    },
    /// Put an address on a link.
    Address {
        /// With its prefix, since that makes a route.
        address: IpNetwork,
    },
    /// Add a route.
    Route {
        /// Where to.
        destination: IpNetwork,
    },
    /// Add a rule of routing policy.
    Rule,
    /// Add a neighbour, proxy neighbour or forwarding entry.
    Neighbour,
    /// Change the firewall.
    Firewall {
        /// `masquerade`, `publish`, `internal`, `isolate`, `guard`.
        verb: &'a str,
    },
    /// Masquerade a subnet.
    Masquerade {
        /// Which.
        subnet: IpNetwork,
    },
    /// Set a per-link sysctl.
    Sysctl {
        /// Which.
        key: &'a SysctlKey,
    },
    /// Limit what a link receives and sends.
    Bandwidth,
}

impl fmt::Display for Want<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("its own link"),
            Self::MakeLink { kind } => write!(f, "a {kind} link"),
            Self::UseParent { name } => write!(f, "the host's link {}", name.escape_default()),
            Self::ChangeParent { name, setting } => write!(f, "{setting} of the host's link {}", name.escape_default()),
            Self::Adopt { name } => write!(f, "the host's bridge {}", name.escape_default()),
            Self::Lend { name } => write!(f, "the host's link {} for a sandbox", name.escape_default()),
            Self::Name { name } => write!(f, "the link name \"{}\"", name.escape_default()),
            Self::Address { address } => write!(f, "the address {address}"),
            Self::Route { destination } => write!(f, "a route to {destination}"),
            Self::Rule => f.write_str("a routing policy rule"),
            Self::Neighbour => f.write_str("a neighbour or forwarding entry"),
            Self::Firewall { verb } => write!(f, "the firewall verb {verb}"),
            Self::Masquerade { subnet } => write!(f, "masquerading of {subnet}"),
            Self::Sysctl { key } => write!(f, "the sysctl {}", sysctl_name(key)),
            Self::Bandwidth => f.write_str("a bandwidth limit"),
        }
    }
}

/// A sysctl as the grants file spells it: `ipv4/conf/proxy_arp`.
pub(crate) fn sysctl_name(key: &SysctlKey) -> String {
    let family = match key.family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    let table = match key.table {
        SysctlTable::Conf => "conf",
        SysctlTable::Neigh => "neigh",
    };
    format!("{family}/{table}/{}", key.key)
}

/// A refusal by grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was wanted, in words.
    pub wanted: String,
    /// The line of the driver's table in the grants file that would allow it; None when none would.
    pub line: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some(line) => write!(
                f,
                "{} is not granted: the line {line} in the driver's grants would allow it",
                self.wanted
            ),
            None => write!(
                f,
                "{} cannot be granted: a driver may use a link of the host, but not change it",
                self.wanted
            ),
        }
    }
}

impl std::error::Error for Denial {}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Self {
        Self::new(ErrorCode::Denied, denial.to_string()).caused_by(denial)
    }
}

/// Whether the grants allow it. `pools` are the subnets of the network that the operation is for: those are the driver's to use.
///
/// # Errors
/// A denial, which names the line that would allow it.
pub fn decide(grants: &Grants, want: &Want<'_>, pools: &[IpNetwork]) -> Result<(), Denial> {
    if allowed(grants, want, pools) {
        return Ok(());
    }
    Err(Denial {
        wanted: want.to_string(),
        line: line_for(grants, want),
    })
}

fn allowed(grants: &Grants, want: &Want<'_>, pools: &[IpNetwork]) -> bool {
    match want {
        Want::Own => true,
        Want::MakeLink { kind } => covers(&grants.links, kind),
        Want::UseParent { name } => covers(&grants.parents, name),
        Want::ChangeParent { .. } => false,
        Want::Adopt { .. } => grants.adopts,
        Want::Lend { .. } => grants.lends,
        Want::Name { name } => covers(&grants.names, name),
        Want::Address { address } => covers_network(pools.iter().chain(&grants.addresses), address),
        Want::Route { destination } => covers_network(pools.iter().chain(&grants.routes), destination),
        Want::Rule => grants.rules,
        Want::Neighbour => grants.neighbours,
        Want::Firewall { verb } => covers(&grants.firewall, verb),
        // The verb is asked for besides: this is about the subnet.
        Want::Masquerade { subnet } => covers_network(pools.iter().chain(&grants.addresses), subnet),
        Want::Sysctl { key } => covers(&grants.sysctls, &sysctl_name(key)),
        Want::Bandwidth => grants.bandwidth,
    }
}

fn line_for(grants: &Grants, want: &Want<'_>) -> Option<String> {
    Some(match want {
        Want::Own | Want::ChangeParent { .. } | Want::Adopt { .. } | Want::Lend { .. } => return None,
        Want::MakeLink { kind } => line("links", &grants.links, [kind]),
        Want::UseParent { name } => line("parents", &grants.parents, [name]),
        Want::Name { name } => line("names", &grants.names, [name]),
        Want::Address { address: network } | Want::Masquerade { subnet: network } => {
            line("addresses", &grants.addresses, [subnet_of(network)])
        }
        Want::Route { destination } => line("routes", &grants.routes, [destination]),
        Want::Rule => "rules = true".to_owned(),
        Want::Neighbour => "neighbours = true".to_owned(),
        Want::Firewall { verb } => line("firewall", &grants.firewall, [verb]),
        Want::Sysctl { key } => line("sysctls", &grants.sysctls, [sysctl_name(key)]),
        Want::Bandwidth => "bandwidth = true".to_owned(),
    })
}

/// The grants file takes subnets only.
fn subnet_of(address: &IpNetwork) -> String {
    format!("{}/{}", address.network(), address.prefix())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    /// Each want, and the line that its denial names.
    fn wants(key: &SysctlKey) -> Vec<(Want<'_>, &'static str)> {
        vec![
            (Want::MakeLink { kind: "veth" }, r#"links = ["veth"]"#),
            (Want::UseParent { name: "eth0" }, r#"parents = ["eth0"]"#),
            (Want::Name { name: "br-lan" }, r#"names = ["br-lan"]"#),
            (
                Want::Address {
                    address: net("192.0.2.1/24"),
                },
                r#"addresses = ["192.0.2.0/24"]"#,
            ),
            (
                Want::Route {
                    destination: net("0.0.0.0/0"),
                },
                r#"routes = ["0.0.0.0/0"]"#,
            ),
            (Want::Rule, "rules = true"),
            (Want::Neighbour, "neighbours = true"),
            (Want::Firewall { verb: "masquerade" }, r#"firewall = ["masquerade"]"#),
            (
                Want::Masquerade {
                    subnet: net("192.0.2.0/24"),
                },
                r#"addresses = ["192.0.2.0/24"]"#,
            ),
            (Want::Sysctl { key }, r#"sysctls = ["ipv4/conf/proxy_arp"]"#),
            (Want::Bandwidth, "bandwidth = true"),
        ]
    }

    #[test]
    fn nothing_is_granted_by_default_and_each_denial_names_the_line_that_grants_it() {
        let key = SysctlKey {
            family: Family::Ipv4,
            table: SysctlTable::Conf,
            key: "proxy_arp".into(),
        };
        for (want, line) in wants(&key) {
            let denial = decide(&Grants::default(), &want, &[]).unwrap_err();
            assert_eq!(denial.line.as_deref(), Some(line), "{want}");
            let granted: Grants = toml::from_str(line).unwrap();
            assert_eq!(decide(&granted, &want, &[]), Ok(()), "{line} grants {want}");
            for (other, other_line) in wants(&key) {
                let same = other_line == line;
                assert_eq!(decide(&granted, &other, &[]).is_ok(), same, "{line} and {other}");
            }
            assert_eq!(decide(&Grants::everything(), &want, &[]), Ok(()));
        }
    }

    #[test]
    fn the_pools_of_the_network_are_the_drivers_to_use_and_no_more() {
        let pools = [net("10.1.0.0/24")];
        let nothing = Grants::default();
        assert!(
            decide(
                &nothing,
                &Want::Address {
                    address: net("10.1.0.1/24")
                },
                &pools
            )
            .is_ok()
        );
        assert!(
            decide(
                &nothing,
                &Want::Route {
                    destination: net("10.1.0.7/32")
                },
                &pools
            )
            .is_ok()
        );
        assert!(
            decide(
                &nothing,
                &Want::Masquerade {
                    subnet: net("10.1.0.0/24")
                },
                &pools
            )
            .is_ok()
        );
        assert!(
            decide(
                &nothing,
                &Want::Address {
                    address: net("10.1.0.1/16")
                },
                &pools
            )
            .is_err(),
            "would draw in the neighbours' traffic"
        );
        assert!(
            decide(
                &nothing,
                &Want::Route {
                    destination: net("10.0.0.0/8")
                },
                &pools
            )
            .is_err()
        );
    }

    #[test]
    fn no_grant_lets_a_driver_change_a_link_of_the_host() {
        let want = Want::ChangeParent {
            name: "eth0",
            setting: "MTU",
        };
        let denial = decide(&Grants::everything(), &want, &[]).unwrap_err();
        assert_eq!(denial.line, None);
        assert!(
            denial
                .to_string()
                .starts_with("MTU of the host's link eth0 cannot be granted")
        );
    }
}

//! The chains of other programs' tables in which others' rules may stand.

/// A chain of somebody else's in which others' rules may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) family: i32,
    pub(super) table: &'static str,
    pub(super) chain: &'static str,
}

/// Where we are asked. That of firewalld is its own chain: it has none for others.
pub(super) const ASKED: [Asked; 3] = [
    Asked {
        family: libc::NFPROTO_IPV4,
        table: "filter",
        chain: "DOCKER-USER",
    },
    Asked {
        family: libc::NFPROTO_IPV6,
        table: "filter",
        chain: "DOCKER-USER",
    },
    Asked {
        family: libc::NFPROTO_INET,
        table: "firewalld",
        chain: "filter_FORWARD",
    },
];

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let family = match self.family {
            libc::NFPROTO_IPV4 => "ip",
            libc::NFPROTO_IPV6 => "ip6",
            _ => "inet",
        };
        write!(f, "chain {} of {family} {}", self.chain, self.table)
    }
}

//! What both hosts are given: the same networks, and the same containers on them.

/// A network. Its subnets are 10.90.N.0/24 and, in both families, fd00:90:N::/64, by its place in the list from 1 on.
pub struct NetworkPlan {
    pub name: &'static str,
    pub ipv6: bool,
    pub internal: bool,
    /// One of Docker's own, which both are given in the same words.
    pub option: Option<(&'static str, &'static str)>,
}

pub struct ContainerPlan {
    pub name: &'static str,
    pub network: &'static str,
    /// Whether it has a network alias, which others may have too.
    pub alias: Option<&'static str>,
    /// A domain that its short names are looked for in.
    pub search: Option<&'static str>,
    /// Whether it publishes 80/tcp as 8080, and 53/udp as 5300.
    pub publishes: bool,
}

const fn network(name: &'static str) -> NetworkPlan {
    NetworkPlan {
        name,
        ipv6: true,
        internal: false,
        option: None,
    }
}

pub const NETWORKS: [NetworkPlan; 6] = [
    network("blue"),
    network("green"),
    NetworkPlan {
        internal: true,
        ..network("closed")
    },
    NetworkPlan {
        option: Some(("com.docker.network.bridge.enable_icc", "false")),
        ..network("apart")
    },
    NetworkPlan {
        option: Some(("com.docker.network.bridge.enable_ip_masquerade", "false")),
        ..network("plain")
    },
    NetworkPlan {
        ipv6: false,
        ..network("old")
    },
];

const fn container(name: &'static str, network: &'static str) -> ContainerPlan {
    ContainerPlan {
        name,
        network,
        alias: None,
        search: None,
        publishes: false,
    }
}

pub const CONTAINERS: [ContainerPlan; 10] = [
    ContainerPlan {
        alias: Some("db"),
        publishes: true,
        ..container("web", "blue")
    },
    ContainerPlan {
        alias: Some("db"),
        search: Some("corp.example"),
        ..container("other", "blue")
    },
    container("stranger", "green"),
    container("closed-a", "closed"),
    container("closed-b", "closed"),
    container("apart-a", "apart"),
    container("apart-b", "apart"),
    container("plain-a", "plain"),
    container("old-a", "old"),
    container("old-b", "old"),
];

/// Where Docker counts a network's subnets from, and so does the test.
pub fn subnets(number: usize, plan: &NetworkPlan) -> Vec<String> {
    let ipv6 = plan.ipv6.then(|| format!("fd00:90:{number}::/64"));
    [format!("10.90.{number}.0/24")].into_iter().chain(ipv6).collect()
}

/// Port of the host, port of the container, protocol.
pub const PUBLISHED: [(u16, u16, &str); 2] = [(8080, 80, "tcp"), (5300, 53, "udp")];

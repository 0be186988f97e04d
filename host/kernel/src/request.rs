//! One message to the kernel, typed. A plan is compiled to these, and both kernels, the real one and the simulated one, take them.

use jackfield_model::{IpNetwork, LinkName, MacAddr, PortMapping};

use crate::{
    Namespace,
    plan::{FirewallRule, ForwardingEntry, Ifindex, LinkSetting, NewLink, Place, Rate, Route, Rule, SysctlKey},
};

/// A message, or for a sysctl a file written, in one namespace. Every request of a batch is attempted, also after one that failed: that
/// is how the kernel treats a batch.
#[derive(Clone, Debug)]
pub enum Request {
    /// RTM_NEWLINK, CREATE and EXCL, one queue a direction. MTU, controller and group are folded in here because each costs a message otherwise.
    CreateLink {
        /// What to make. Its `at.place`, and its peer's, say in which of `namespaces`.
        link: Box<NewLink>,
        /// The bridge that it becomes a port of.
        controller: Option<Ifindex>,
        /// IFLA_GROUP, zero for none.
        group: u32,
        /// The sandbox's namespace, wherever the link or its peer has `Place::Sandbox`.
        sandbox: Option<Namespace>,
    },
    /// RTM_SETLINK.
    SetLink {
        /// Which.
        index: Ifindex,
        /// What.
        setting: LinkSetting,
    },
    /// RTM_SETLINK with IFLA_IFALIAS, which RTM_NEWLINK ignores.
    SetAlias {
        /// Which.
        index: Ifindex,
        /// At most 254 bytes.
        alias: String,
    },
    /// RTM_SETLINK with IFLA_IFNAME.
    RenameLink {
        /// Which.
        index: Ifindex,
        /// To what.
        name: LinkName,
    },
    /// RTM_SETLINK with IFLA_NET_NS_FD, IFLA_IFNAME and IFLA_NEW_IFINDEX: to another namespace, where it is down and has no addresses. EBUSY
    /// where the index is taken there. EEXIST for the name, and then the link has moved all the same unless its present name is taken there too.
    /// 16 to 20 ms.
    MoveLink {
        /// Which.
        index: Ifindex,
        /// Where to.
        to: Namespace,
        /// Its name there.
        name: LinkName,
        /// Its index there.
        new_index: Ifindex,
    },
    /// RTM_SETLINK: down, out of its bridge, into a group. What the reaper then deletes all at once.
    Retire {
        /// Which.
        index: Ifindex,
        /// The reaper's group.
        group: u32,
    },
    /// RTM_DELLINK of one link; 16 to 20 ms.
    DeleteLink {
        /// Which.
        index: Ifindex,
    },
    /// RTM_DELLINK of index zero with IFLA_GROUP: all links of the group, in the time of one.
    DeleteGroup {
        /// Which group.
        group: u32,
    },
    /// RTM_GETLINK with IFLA_EXT_MASK 8: makes the kernel run its deferred link work, so that a bridge's port forwards at once.
    Settle {
        /// Which.
        index: Ifindex,
    },
    /// RTM_NEWADDR, CREATE and EXCL, IFA_PROTO ours, no duplicate address detection.
    AddAddress {
        /// To which link.
        index: Ifindex,
        /// Which.
        address: IpNetwork,
    },
    /// RTM_DELADDR.
    DeleteAddress {
        /// From which link.
        index: Ifindex,
        /// Which.
        address: IpNetwork,
    },
    /// RTM_NEWNEIGH, permanent, protocol ours, CREATE and EXCL.
    AddNeighbour {
        /// On which link.
        index: Ifindex,
        /// Whose address.
        address: std::net::IpAddr,
        /// And MAC.
        mac: MacAddr,
    },
    /// RTM_DELNEIGH.
    DeleteNeighbour {
        /// On which link.
        index: Ifindex,
        /// Whose address.
        address: std::net::IpAddr,
    },
    /// RTM_NEWNEIGH with NTF_PROXY.
    AddProxyNeighbour {
        /// On which link.
        index: Ifindex,
        /// Which address.
        address: std::net::IpAddr,
    },
    /// RTM_DELNEIGH with NTF_PROXY.
    DeleteProxyNeighbour {
        /// On which link.
        index: Ifindex,
        /// Which address.
        address: std::net::IpAddr,
    },
    /// RTM_NEWNEIGH of PF_BRIDGE; REPLACE, since the kernel may have learned the entry already, or APPEND for the all-zero MAC, whose
    /// destinations add up.
    AddForwarding {
        /// A VXLAN, for an entry with a destination (NTF_SELF); else the port behind which the MAC is, for its bridge's database (NTF_MASTER).
        index: Ifindex,
        /// The entry.
        entry: ForwardingEntry,
    },
    /// RTM_DELNEIGH of PF_BRIDGE.
    DeleteForwarding {
        /// Whose database.
        index: Ifindex,
        /// The entry.
        entry: ForwardingEntry,
    },
    /// RTM_NEWROUTE, CREATE and EXCL, protocol ours.
    AddRoute(Route),
    /// RTM_DELROUTE, protocol ours.
    DeleteRoute(Route),
    /// RTM_NEWRULE, CREATE and EXCL, protocol ours.
    AddRule(Rule),
    /// RTM_DELRULE, protocol ours.
    DeleteRule(Rule),
    /// A sysctl of a link, by its index, written.
    WriteSysctl {
        /// Which link.
        index: Ifindex,
        /// Which key.
        key: SysctlKey,
        /// The value.
        value: String,
    },
    /// Queueing disciplines of a link replaced; None for no limit. Those of somebody else's are not: EEXIST.
    SetBandwidth {
        /// Which link: the host's end of what it is about, so that what the sandbox receives is what the link sends. For a link in the
        /// sandbox itself the sender of this exchanges the two.
        index: Ifindex,
        /// What the sandbox receives.
        ingress: Option<Rate>,
        /// What it sends.
        egress: Option<Rate>,
    },
    /// One nf_tables transaction: all these changes or none.
    Firewall(Vec<FirewallChange>),
    /// A sandbox's questions to 127.0.0.11 port 53 are led to this port there, exclusively.
    AddResolver {
        /// The port.
        port: u16,
    },
    /// They are not any more; an error where they were not.
    DeleteResolver,
    /// The tracked connections of an address are forgotten.
    FlushConntrack {
        /// Whose.
        address: std::net::IpAddr,
    },
    /// Tracked connections to published ports are forgotten, so that the next packet of each is looked at anew. Slow: the kernel goes through
    /// its whole table of connections, 5 to 15 ms where it has the 262,144 slots of a machine with 4 GB.
    FlushPorts(Vec<StaleConnections>),
}

/// Connections to a published port that are not to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleConnections {
    /// Which port, or range.
    pub mapping: PortMapping,
    /// The endpoint's address.
    pub target: std::net::IpAddr,
    /// Which of them.
    pub leading: Leading,
}

/// Which connections to a published port are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leading {
    /// Those that lead to its target: the port is published no more.
    There,
    /// Those that lead elsewhere, to an earlier target or to the host: the port is published now.
    Elsewhere,
}

/// A change of the host's own table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallChange {
    /// The table with its constant chains, sets and rules, where it is not there yet; no error where it is.
    EnsureTable,
    /// Elements added; an element already there is an error (EEXIST).
    Add(FirewallRule),
    /// Elements taken out; one that is missing is an error (ENOENT).
    Remove(FirewallRule),
    /// The whole table goes; no error where it is not there.
    DropTable,
}

/// Requests that go to one namespace in one send.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where.
    pub place: Place,
    /// What, in order.
    pub requests: Vec<Request>,
}

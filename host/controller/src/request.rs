//! The entire public surface of the controller: what may be asked, and what is answered.

use std::{fmt, net::IpAddr, os::fd::OwnedFd, path::PathBuf, str::FromStr, sync::Arc};

use jackfield_kernel::{NamespaceId, NamespaceSource};
use jackfield_model::{
    DnsLabel, DnsSettings, EndpointId, Error, Family, IpNetwork, LinkName, MacAddr, Name, NetworkDns, NetworkId,
    Options, Pool, PortMapping, Publish, Result, SandboxId, Service, StaticRoute,
};
use serde::{Deserialize, Serialize};

/// Which realm a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RealmRef {
    /// The daemon's own.
    #[default]
    Own,
    /// One that was opened before, by a caller's descriptor.
    Caller(NamespaceId),
}

/// A pool as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRequest {
    /// None lets IPAM choose one of its default pools.
    pub subnet: Option<IpNetwork>,
    /// Addresses are given out from this part only.
    pub range: Option<IpNetwork>,
    /// None: the first address of the range or subnet.
    pub gateway: Option<IpAddr>,
    /// Set aside, by name.
    pub auxiliary: Vec<(String, IpAddr)>,
}

impl PoolRequest {
    /// The family that is meant: that of the subnet, or of whatever else it names.
    pub fn family(&self) -> Family {
        let named = self
            .subnet
            .or(self.range)
            .map(|n| n.ip())
            .or(self.gateway)
            .or_else(|| self.auxiliary.first().map(|(_, a)| *a));
        named.map_or(Family::Ipv4, Family::of)
    }
}

/// A network as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateNetwork {
    /// None: a random one.
    pub id: Option<NetworkId>,
    /// Unique in the realm.
    pub name: Name,
    /// None: `bridge`.
    pub driver: Option<String>,
    /// Empty: one default IPv4 pool, and one IPv6 pool with `ipv6`.
    pub pools: Vec<PoolRequest>,
    /// Whether there is to be an IPv6 pool where none is given.
    pub ipv6: bool,
    /// Whether there is to be an IPv4 pool where none is given; None: when no pool at all is given.
    #[serde(default)]
    pub ipv4: Option<bool>,
    /// Who manages the addresses: `default`, `null`, or `runtime`, which asks for each address by itself and has no gateway but those given
    /// here. None: the driver where it does that, else `default`.
    #[serde(default)]
    pub ipam: Option<String>,
    /// The subnets asked for may overlap what the realm has routes to.
    #[serde(default)]
    pub allow_overlap: bool,
    /// No way in or out.
    pub internal: bool,
    /// Driver options, untouched.
    pub options: Options,
    /// Labels, untouched.
    pub labels: Options,
    /// What it wants of the name service.
    #[serde(default, skip_serializing_if = "NetworkDns::is_default")]
    pub dns: NetworkDns,
}

/// Where a sandbox's namespace comes from.
#[derive(Debug)]
pub enum SandboxKind {
    /// The host makes it.
    Made,
    /// It is there; the host configures it.
    Adopted(NamespaceSource),
    /// The same, by a descriptor that the caller sent.
    AdoptedFd {
        /// The descriptor.
        fd: OwnedFd,
        /// Where the caller says that it is: taken where it leads to the same namespace for the host too.
        source: Option<NamespaceSource>,
    },
    /// The runtime moves and configures the interface; only its key is known.
    Foreign(PathBuf),
}

/// A sandbox as asked for.
#[derive(Debug)]
pub struct CreateSandbox {
    /// None: a random one.
    pub id: Option<SandboxId>,
    /// None: the id's first digits.
    pub name: Option<Name>,
    /// Where its namespace comes from.
    pub kind: SandboxKind,
    /// Labels, untouched.
    pub labels: Options,
    /// What it wants of the name service.
    pub dns: DnsSettings,
}

/// An endpoint as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateEndpoint {
    /// None: a random one.
    pub id: Option<EndpointId>,
    /// None: no name.
    pub name: Option<Name>,
    /// Asked for; else what is reserved for its name; else IPAM chooses one of each family that the network has.
    pub addresses: Vec<IpAddr>,
    /// Its addresses are kept for its name, or else that of the sandbox that it is made for, when it is gone: until they are released.
    #[serde(default)]
    pub reserve: bool,
    /// Asked for; else the driver or the host chooses.
    pub mac: Option<MacAddr>,
    /// Driver options, untouched.
    pub options: Options,
    /// Labels, untouched.
    pub labels: Options,
    /// Further names in its network; others may have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<DnsLabel>,
    /// Services that are found by each of its names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
}

impl CreateEndpoint {
    /// Looks at what its types leave open.
    ///
    /// # Errors
    /// That there are more names or services than one endpoint may have.
    pub fn check(&self) -> Result<()> {
        /// Bounds what one request makes the host remember and look through.
        const MOST: usize = 64;
        for (count, what) in [(self.aliases.len(), "aliases"), (self.services.len(), "services")] {
            if count > MOST {
                return Err(Error::invalid(format!(
                    "{count} {what} are too many for one endpoint: expected at most {MOST}"
                )));
            }
        }
        Ok(())
    }
}

/// A join as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The sandbox's default route goes by the joined endpoint of the highest priority; by the oldest among equals.
    pub priority: i32,
    /// Asked for; else prefix and the first free number.
    pub interface: Option<LinkName>,
    /// The endpoint is one of those that this name of the network stands for: it has a virtual address, which spreads connections over them.
    #[serde(default)]
    pub behind: Option<Name>,
    /// Join options, untouched.
    pub options: Options,
    /// Ports of the endpoint that others reach on the host's addresses.
    #[serde(default)]
    pub publish: Vec<Publish>,
}

/// Whether something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done<T> {
    /// It was done.
    Done(T),
    /// It was so already; nothing happened.
    AlreadySo(T),
}

impl<T> Done<T> {
    /// What is now so.
    pub fn into_inner(self) -> T {
        let (Self::Done(value) | Self::AlreadySo(value)) = self;
        value
    }
}

/// A network, for people and programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: Name,
    /// Its driver.
    pub driver: String,
    /// Its pools.
    pub pools: Vec<PoolInfo>,
    /// No way in or out.
    pub internal: bool,
    /// Driver options.
    pub options: Options,
    /// Labels.
    pub labels: Options,
    /// `ready`, or `waiting: WHY` where its plan cannot be applied yet.
    pub state: String,
    /// When, in seconds since 1970.
    pub created: u64,
    /// Its endpoints.
    pub endpoints: Vec<EndpointId>,
}

/// A pool and its use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolInfo {
    /// As the driver sees it.
    #[serde(flatten)]
    pub pool: Pool,
    /// Part that addresses are given out from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpNetwork>,
    /// Addresses that endpoints can get unasked: those of the range, without gateway and auxiliary ones; saturates.
    pub capacity: u64,
    /// Those of them that endpoints have.
    pub used: u64,
    /// Those of them that are reserved, and that nobody has.
    pub reserved: u64,
    /// Addresses beside the range that endpoints have, or that are reserved.
    pub beside: u64,
    /// Who has which, by address. Only where one network is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseInfo>,
}

/// An address that an endpoint has, or that is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseInfo {
    /// Which.
    pub address: IpAddr,
    /// Who has it; None for one that is only reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// The sandbox that the endpoint is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// The name that it is kept for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<Name>,
    /// The service that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
}

impl LeaseInfo {
    /// Nobody has it, and it is kept for that name or for none.
    pub(crate) fn reserved(address: IpAddr, reserved_for: Option<Name>) -> Self {
        Self {
            address,
            endpoint: None,
            sandbox: None,
            reserved_for,
            service: None,
        }
    }
}

/// An endpoint, for people and programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointInfo {
    /// Its id.
    pub id: EndpointId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its network.
    pub network: NetworkId,
    /// The sandbox that it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// Its MAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Its addresses.
    pub addresses: Vec<IpNetwork>,
    /// Its interface in the sandbox, or in the realm for a foreign one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<LinkName>,
    /// Default gateways that the driver gave.
    pub gateways: Vec<IpAddr>,
    /// What is left to the runtime, in a foreign sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// Its published ports, with the host's ports that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMapping>,
    /// Driver name and version that answered its join.
    pub driver: String,
    /// Driver options.
    pub options: Options,
    /// Further names in its network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<DnsLabel>,
    /// Labels.
    pub labels: Options,
    /// `created`, `joined`, ...
    pub state: String,
}

/// What the runtime of a foreign sandbox does with the interface that it finds in the realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// What the interface is called in the sandbox, before its number.
    pub prefix: String,
    /// Routes that the sandbox gets besides the default ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
}

/// A pool as a runtime asks for one outside of any network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasePool {
    /// Who asks: he alone may ask for it again, once he said that he will ([`crate::Controller::replay_pools`]).
    pub owner: String,
    /// Which; None lets IPAM choose one of its default pools.
    pub subnet: Option<IpNetwork>,
    /// The part that addresses are given out from unasked.
    pub range: Option<IpNetwork>,
    /// Of which family, where none is named.
    pub family: Family,
}

/// A sandbox, for people and programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxInfo {
    /// Its id.
    pub id: SandboxId,
    /// Its name.
    pub name: Name,
    /// `made`, `adopted` or `foreign`.
    pub kind: String,
    /// A path that opens its namespace, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Its endpoints, the one with the default route first.
    pub endpoints: Vec<EndpointId>,
    /// Labels.
    pub labels: Options,
    /// What it wants of the name service.
    #[serde(default, skip_serializing_if = "DnsSettings::is_default")]
    pub dns: DnsSettings,
    /// Folder of its resolv.conf, hosts and hostname, to be mounted over those in /etc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
}

/// Something that happened. All of them, each told when it is done, with its attributes in brackets:
///
/// | object | action | when |
/// |---|---|---|
/// | `network` | `create`, `delete` | (`driver`) |
/// | | `recovered` | a start found it broken, or it waited, and it stands again (`driver`) |
/// | | `waiting` | it cannot be applied yet, and is tried again (`driver`, `why`) |
/// | | `release` | an address that was reserved on it may be given out again (`address`) |
/// | `endpoint` | `create`, `join`, `leave`, `delete` | (`network`; `sandbox` while it is in one; `ports` that it has published) |
/// | | `publish` | its published ports are others now, or are back after a change that was cut off (the same) |
/// | `sandbox` | `create`, `delete` | deleted too when its namespace is gone (`kind`) |
/// | | `names-failed` | it has no name service, or keeps it longer than it should (`error`) |
/// | `service` | `create`, `update`, `delete` | updated when its endpoints are others; has its network's id (`addresses`, `endpoints`) |
/// | `driver` | `load`, `upgrade`, `rollback`, `unload` | (`version`) |
/// | `firewall` | `heal` | somebody else had taken out of it what was put back (`missing` of the host's table, `beside`: other programs' chains that have the host's rule again) |
/// | | `blocked` | another firewall may drop what the host lets pass, and takes no rule of the host's; once, for as long as it is so (`by`, `reason`, `fix`) |
/// | | `freed` | it is not in the way any more (`by`) |
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Counts from 1 since the host started.
    pub sequence: u64,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it happened to.
    pub object: String,
    /// What happened.
    pub action: String,
    /// The object's id or the driver's name; of the firewall the realm's.
    pub id: String,
    /// The object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    pub attributes: Options,
}

/// Where the controller keeps things.
#[derive(Clone, Debug)]
pub struct Config {
    /// Boot-long: journal, pinned namespaces. On tmpfs.
    pub run_dir: PathBuf,
    /// Durable: networks, pools, drivers' keys.
    pub state_dir: PathBuf,
    /// Pools that networks get which ask for none: each is cut into subnets of that prefix length.
    pub default_pools: Vec<(IpNetwork, u8)>,
    /// Which of the machine's own links may be made to forward.
    pub forwarding: Forwarding,
}

/// Which of the machine's own links may be made to forward, for as long as there are networks that need it. What comes in by a link that
/// does not forward reaches the host itself and no sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Forwarding {
    /// None: that is left to whoever runs the machine.
    #[default]
    Off,
    /// Those by which it has default routes, whichever they are at the time.
    Uplinks,
    /// Those of these names.
    Links(Vec<LinkName>),
}

impl FromStr for Forwarding {
    type Err = jackfield_model::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "uplinks" => Ok(Self::Uplinks),
            names => names
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map(Self::Links),
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Uplinks => f.write_str("uplinks"),
            Self::Links(names) => {
                let names: Vec<&str> = names.iter().map(LinkName::as_str).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

/// Takes every event, in order; must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

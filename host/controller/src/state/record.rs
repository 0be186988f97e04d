//! What is kept of each object: networks in the durable store, endpoints and sandboxes in the boot-long journal.
//!
//! The records are JSON, and an upgraded host reads those of the old one: fields are only ever added, with a default.

use std::{path::PathBuf, sync::Arc};

use jackfield_driver::{Identity, OwnLink};
use jackfield_kernel::{Ifindex, LinkAt, Mark, NamespaceId, NamespaceSource, Plan};
use jackfield_model::{
    DnsSettings, EndpointSpec, Family, IpNetwork, LinkName, Name, NetworkId, NetworkSpec, OperationId, Options,
    PortMapping, Publish, SandboxId,
};
use serde::{Deserialize, Serialize};

use crate::{
    ipam::{Manager, PoolPlan},
    request::{CreateEndpoint, CreateNetwork, Handover, Join},
};

/// A network, as the durable store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// As its driver sees it.
    #[serde(with = "shared")]
    pub spec: Arc<NetworkSpec>,
    /// Its driver's name.
    pub driver: String,
    /// As it was asked for, with its id.
    pub asked: CreateNetwork,
    /// Who manages its addresses.
    #[serde(default)]
    pub manager: Manager,
    /// Its pools.
    pub pools: Vec<PoolPlan>,
    /// When, in seconds since 1970.
    pub created: u64,
    /// What its driver made of it.
    pub standing: Option<Standing>,
    /// The boot that it belongs to, for a network in a caller's realm: the realm does not outlive that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// An address that is kept for a name, as the durable store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Which.
    pub address: std::net::IpAddr,
    /// Whose: an endpoint of that name gets it, or one that is made for a sandbox of that name.
    pub name: Name,
}

/// A service, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Whose.
    pub network: NetworkId,
    /// Its name there.
    pub name: Name,
    /// Its virtual addresses, one of each family that the network has.
    pub addresses: Vec<IpNetwork>,
    /// The operation that has them on the network's link.
    pub anchor: OperationId,
    /// The operation that spreads connections to them.
    pub spread: OperationId,
    /// On which side that is: the first, unless an older host moved it, which changed sides with each change of the endpoints.
    #[serde(default)]
    pub side: bool,
    /// The endpoints' addresses.
    pub targets: Vec<std::net::IpAddr>,
}

/// A plan that stands in the kernel, or is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Under which operation the kernel crate knows it.
    pub operation: OperationId,
    /// The steps.
    #[serde(with = "shared")]
    pub plan: Arc<Plan>,
    /// The links that it makes, by label.
    #[serde(default)]
    pub links: Vec<OwnLink>,
    /// Names of the links that it uses and does not make: their indexes mean nothing after a reboot.
    #[serde(default)]
    pub parents: Vec<(Ifindex, LinkName)>,
    /// Addresses of the host that ports are published on where none is asked for, one of a family at most. Empty: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_bindings: Vec<std::net::IpAddr>,
}

/// An endpoint, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// As its driver sees it, with what the driver filled in.
    #[serde(with = "shared")]
    pub spec: Arc<EndpointSpec>,
    /// As it was asked for, with its id.
    pub asked: CreateEndpoint,
    /// Name and version of the driver that made it, then of the one that joined it.
    pub driver: Option<Identity>,
    /// Those of its addresses that IPAM gave it.
    pub leases: Vec<IpNetwork>,
    /// What create-endpoint recorded, to be applied with each join.
    #[serde(with = "shared")]
    pub deferred: Arc<Plan>,
    /// The links that create-endpoint recorded.
    #[serde(default)]
    pub links: Vec<OwnLink>,
    /// Its stay in a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<Stay>,
    /// Lower is older.
    pub age: u64,
}

impl EndpointRecord {
    /// As a person would say it.
    pub fn name(&self) -> String {
        self.asked
            .name
            .as_ref()
            .map_or_else(|| self.spec.id.short().to_owned(), ToString::to_string)
    }
}

/// A stay in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Where.
    pub sandbox: SandboxId,
    /// As it was asked for.
    pub asked: Join,
    /// Under which operation the kernel crate knows it.
    pub operation: OperationId,
    /// The links of create-endpoint and join, as they were made.
    #[serde(default)]
    pub links: Vec<OwnLink>,
    /// What the sandbox got.
    pub interface: Option<Interface>,
    /// The gateways that the driver gave.
    #[serde(default)]
    pub gateways: Vec<std::net::IpAddr>,
    /// The metric that the driver gave its default routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// What is left to the runtime, in a foreign sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// Its default routes that stand, and under which operation.
    #[serde(default)]
    pub defaults: Vec<(Family, OperationId)>,
    /// Its published ports that stand.
    #[serde(default)]
    pub ports: Vec<Publication>,
    /// Those that gave way to others which want the same host ports, and are not there yet: published again unless they come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gave_way: Vec<Publication>,
    /// Lower is older.
    pub age: u64,
}

impl Stay {
    /// Its own operation, and those of its default routes and published ports.
    pub fn operations(&self) -> impl Iterator<Item = &OperationId> {
        let defaults = self.defaults.iter().map(|(_, operation)| operation);
        let ports = self.ports.iter().map(|p| &p.operation);
        defaults.chain(ports).chain([&self.operation])
    }

    /// Of the ports that gave way, those that the host made and that stand still are its own as they were: nobody had gone so far as to take
    /// them back.
    pub fn keep_what_stands(&mut self, stands: impl Fn(&OperationId) -> bool) {
        let of_host = |p: &mut Publication| !p.by_driver && stands(&p.operation);
        let there: Vec<Publication> = self.gave_way.extract_if(.., of_host).collect();
        self.asked.publish.extend(there.iter().flat_map(|p| p.asked.clone()));
        self.ports.extend(there);
    }

    /// A default route was given (`Some`) or taken back.
    pub fn set_default(&mut self, family: Family, operation: Option<OperationId>) {
        self.defaults.retain(|(f, _)| *f != family);
        self.defaults.extend(operation.map(|o| (family, o)));
    }
}

/// Published ports that come and go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Under which operation the kernel crate knows them.
    pub operation: OperationId,
    /// As they were asked for.
    pub asked: Vec<Publish>,
    /// What became of that, one for each address of the host.
    pub mappings: Vec<PortMapping>,
    /// The driver programmed them.
    #[serde(default)]
    pub by_driver: bool,
    /// The link on which 127.0.0.1 has to lead somewhere for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub localnet: Option<Ifindex>,
}

impl Publication {
    /// What asks for just these ports again, with the host's ports that were chosen. Ports of one request have the same number on each
    /// address.
    pub fn as_it_was(&self) -> Vec<Publish> {
        let [asked] = self.asked.as_slice() else {
            return self.asked.clone();
        };
        // At the endpoint's own address nothing is chosen.
        let on_host = |m: &&PortMapping| asked.host_address().is_none_or(|on| on == m.host_address);
        let chosen = self.mappings.iter().filter(on_host).map(|m| m.host_port).next();
        vec![
            chosen
                .filter(|_| asked.is_any())
                .map_or_else(|| asked.clone(), |port| asked.at(port)),
        ]
    }
}

/// The interface of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name: in the sandbox, or in the realm for a foreign one.
    pub name: LinkName,
    /// Where and which.
    pub at: LinkAt,
}

/// A sandbox, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// Its id.
    pub id: SandboxId,
    /// Its name.
    pub name: Name,
    /// Where its namespace comes from.
    pub ground: Ground,
    /// Labels.
    #[serde(default)]
    pub labels: Options,
    /// What it wants of the name service.
    #[serde(default)]
    pub dns: DnsSettings,
    /// Where its resolver is, while it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<Resolver>,
    /// Folder of its files for /etc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
}

/// The resolver of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolver {
    /// Its port on 127.0.0.11.
    pub port: u16,
    /// Under which operation the kernel crate knows the way there.
    pub operation: OperationId,
}

/// Where a sandbox's namespace comes from, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// The host made it and keeps it alive by a file.
    Made {
        /// That file.
        path: PathBuf,
        /// None while it is being made.
        namespace: Option<NamespaceId>,
    },
    /// It is somebody else's. It is opened anew for each call and kept alive by nothing of ours.
    Adopted {
        /// None where only the caller could open it.
        source: Option<NamespaceSource>,
        /// Which it was.
        namespace: NamespaceId,
        /// By this the kernel says when it is gone, for one that nobody can open again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Mark>,
    },
    /// The runtime moves the interface there by itself.
    Foreign {
        /// Its key. Never opened.
        path: PathBuf,
        /// Whether something was seen there: that it is gone then means something. The runtime may live in another mount namespace.
        #[serde(default)]
        seen: bool,
    },
}

impl Ground {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Made { .. } => "made",
            Self::Adopted { .. } => "adopted",
            Self::Foreign { .. } => "foreign",
        }
    }

    /// Its namespace, where the host knows it.
    pub fn namespace(&self) -> Option<NamespaceId> {
        match self {
            Self::Made { namespace, .. } => *namespace,
            Self::Adopted { namespace, .. } => Some(*namespace),
            Self::Foreign { .. } => None,
        }
    }

    /// How it is opened, where it can be.
    pub fn source(&self) -> Option<NamespaceSource> {
        match self {
            Self::Made { path, .. } => Some(NamespaceSource::Path(path.clone())),
            Self::Adopted { source, .. } => source.clone(),
            Self::Foreign { .. } => None,
        }
    }
}

/// A value behind an [`Arc`], stored as the value.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

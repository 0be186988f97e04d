//! `jackfield network`

use std::{net::IpAddr, process::ExitCode};

use clap::{Args, Subcommand};
use jackfield_model::{DnsLabel, Error, LinkName, MacAddr, Name, NetworkId, Publish, Service};

use super::{
    Failure, Outcome, Session,
    arguments::{label, options, pair},
    conflist, driver_options, leases,
    output::{Output, commas, pairs, sheet, table, time},
    pools::PoolArguments,
};
use crate::{
    client::segment,
    wire::{Change, Connect, CreateNetwork, Disconnect, Endpoint, Network, NetworkNames, Pool, Ports, Pruned, Sandbox},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a network
    #[command(after_long_help = driver_options::of_networks())]
    Create(Box<Create>),
    /// List networks
    Ls,
    /// Show a network and its endpoints
    Inspect {
        /// Name, id or the beginning of an id
        network: String,
        /// Print a configuration by which CNI runtimes use it, for a file in /etc/cni/net.d
        #[arg(long)]
        cni: bool,
    },
    /// Remove networks
    Rm {
        /// Names, ids or beginnings of ids
        #[arg(required = true)]
        networks: Vec<String>,
    },
    /// Remove the networks that have no endpoints
    Prune,
    /// Connect a sandbox to a network
    #[command(after_long_help = driver_options::of_endpoints())]
    Connect(Box<ConnectArguments>),
    /// Change the published ports of a connected sandbox: those given, and no others
    Publish(PublishArguments),
    /// Keep addresses no longer for the name that they are reserved for
    Release {
        /// Name, id or the beginning of an id
        network: String,
        /// Reserved addresses
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<IpAddr>,
    },
    /// Disconnect a sandbox from a network
    Disconnect {
        /// Name, id or the beginning of an id
        network: String,
        /// Name, id or the beginning of an id
        sandbox: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name of the network
    name: Name,
    /// Driver that makes it
    #[arg(long, short, default_value = "bridge")]
    driver: String,
    #[command(flatten)]
    pools: PoolArguments,
    /// Give it an IPv6 subnet too
    #[arg(long)]
    ipv6: bool,
    /// Whether it has an IPv4 subnet where none is given [default: when no subnet at all is given]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ipv4: Option<bool>,
    /// Who manages its addresses: default, or null for nobody
    #[arg(long, value_name = "NAME")]
    ipam_driver: Option<String>,
    /// Let its subnets overlap what the host has routes to
    #[arg(long)]
    allow_overlap: bool,
    /// No way in or out
    #[arg(long)]
    internal: bool,
    /// Option for the driver
    #[arg(long = "opt", short = 'o', value_name = "KEY=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    /// Label
    #[arg(long = "label", short, value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// DNS server for what its sandboxes ask beyond its own names; once for each [default: the host's]
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// Its endpoints have no names
    #[arg(long)]
    no_names: bool,
    /// Id, 64 hexadecimal digits [default: a random one]
    #[arg(long)]
    id: Option<NetworkId>,
}

/// What an endpoint is asked to be.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct EndpointArguments {
    /// Address; once for each family
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Vec<IpAddr>,
    /// MAC address
    #[arg(long)]
    pub mac: Option<MacAddr>,
    /// Name of the interface in the sandbox [default: the driver's prefix and the first free number]
    #[arg(long, value_name = "NAME")]
    pub interface: Option<LinkName>,
    /// The sandbox's default route goes by the connection of the highest priority
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Further name in the network; others may have the same
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<DnsLabel>,
    /// Service that is found by each of its names (DNS SRV), as http:8080/tcp
    #[arg(long = "service", value_name = "NAME:PORT[/PROTOCOL]")]
    pub services: Vec<Service>,
    #[command(flatten)]
    pub ports: PortArguments,
}

/// Published ports.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PortArguments {
    /// Publish a port or a range on the host: [ADDRESS:][PORT[-END]:]PORT[-END][/udp|sctp]; once for each
    #[arg(long, short, value_name = "PORTS")]
    pub publish: Vec<Publish>,
}

#[derive(Debug, Args)]
pub(super) struct PublishArguments {
    /// Name, id or the beginning of an id
    network: String,
    /// Name, id or the beginning of an id
    sandbox: String,
    #[command(flatten)]
    ports: PortArguments,
}

#[derive(Debug, Args)]
pub(super) struct ConnectArguments {
    /// Name, id or the beginning of an id
    network: String,
    /// Name, id or the beginning of an id
    sandbox: String,
    #[command(flatten)]
    endpoint: EndpointArguments,
    /// Name of the endpoint
    #[arg(long)]
    name: Option<Name>,
    /// Keep its addresses for the next endpoint of that name, or of a sandbox of this one's name
    #[arg(long)]
    reserve: bool,
    /// Be one of the endpoints behind this name: it leads to a virtual address that spreads connections over them
    #[arg(long, value_name = "NAME")]
    behind: Option<Name>,
    /// Option for the driver
    #[arg(long = "opt", short = 'o', value_name = "KEY=VALUE", value_parser = pair)]
    options: Vec<(String, String)>,
    /// Label
    #[arg(long = "label", short, value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

impl Command {
    pub async fn run(self, session: &mut Session) -> Outcome {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::Ls => list(session).await,
            Self::Inspect { network, cni } => inspect(session, &network, cni).await,
            Self::Rm { networks } => remove(session, &networks).await,
            Self::Prune => prune(session).await,
            Self::Connect(connect) => connect.run(session).await,
            Self::Publish(publish) => publish.run(session).await,
            Self::Release { network, addresses } => leases::release(session, &network, &addresses).await,
            Self::Disconnect { network, sandbox } => disconnect(session, &network, sandbox).await,
        }
    }
}

impl Create {
    async fn run(self, session: &mut Session) -> Outcome {
        let request = CreateNetwork {
            id: self.id,
            name: self.name,
            driver: Some(self.driver),
            pools: self.pools.into_pools()?,
            ipv6: self.ipv6,
            ipv4: self.ipv4,
            ipam: self.ipam_driver,
            allow_overlap: self.allow_overlap,
            internal: self.internal,
            options: options("--opt", self.options)?,
            labels: options("--label", self.labels)?,
            dns: NetworkNames {
                servers: self.dns,
                off: self.no_names,
            },
        };
        let network: Network = session.client.post("/v1/networks", &request).await?;
        session.output.show(&network, |network| format!("{}\n", network.id))
    }
}

impl EndpointArguments {
    /// The request for this endpoint in that sandbox.
    pub fn into_connect(self, sandbox: String) -> Connect {
        let Self {
            ip,
            mac,
            interface,
            priority,
            aliases,
            services,
            ports,
        } = self;
        Connect {
            sandbox,
            addresses: ip,
            mac,
            interface,
            priority,
            aliases,
            services,
            publish: ports.publish,
            ..Connect::default()
        }
    }
}

impl ConnectArguments {
    async fn run(self, session: &mut Session) -> Outcome {
        let request = Connect {
            name: self.name,
            reserve: self.reserve,
            behind: self.behind,
            options: options("--opt", self.options)?,
            labels: options("--label", self.labels)?,
            ..self.endpoint.into_connect(self.sandbox)
        };
        let path = format!("/v1/networks/{}/connect", segment(&self.network));
        let endpoint: Endpoint = session.client.post(&path, &request).await?;
        session.output.show(&endpoint, connected)
    }
}

impl PublishArguments {
    async fn run(self, session: &mut Session) -> Outcome {
        let network: Network = session
            .client
            .get(&format!("/v1/networks/{}", segment(&self.network)))
            .await?;
        let sandbox: Sandbox = session
            .client
            .get(&format!("/v1/sandboxes/{}", segment(&self.sandbox)))
            .await?;
        let there = sandbox.endpoints.iter().find(|id| network.endpoints.contains(id));
        let endpoint = there.ok_or_else(|| {
            Failure::Own(Error::not_found(format!(
                "sandbox {} is not connected to network {}: connect it first",
                sandbox.name, network.name
            )))
        })?;
        let request = Ports {
            publish: self.ports.publish,
        };
        let path = format!("/v1/endpoints/{endpoint}/ports");
        let endpoint: Endpoint = session.client.put(&path, &request).await?;
        session.output.show(&endpoint, |it| {
            it.ports.iter().map(|port| format!("{port}\n")).collect()
        })
    }
}

fn connected(endpoint: &Endpoint) -> String {
    let interface = endpoint.interface.as_ref().map(ToString::to_string).unwrap_or_default();
    let words = [interface, commas(&endpoint.addresses), commas(&endpoint.ports)];
    words
        .iter()
        .filter(|word| !word.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
        + "\n"
}

async fn list(session: &mut Session) -> Outcome {
    let networks: Vec<Network> = session.client.get("/v1/networks").await?;
    session.output.show(&networks, |networks| listed(networks))
}

pub(super) fn listed(networks: &[Network]) -> String {
    let row = |it: &Network| {
        let subnets = commas(it.pools.iter().map(|pool| pool.subnet));
        let (id, endpoints) = (it.id.short().to_owned(), it.endpoints.len().to_string());
        [
            id,
            it.name.to_string(),
            it.driver.clone(),
            subnets,
            endpoints,
            it.state.clone(),
        ]
    };
    table(
        ["NETWORK ID", "NAME", "DRIVER", "SUBNETS", "ENDPOINTS", "STATE"],
        networks.iter().map(row),
    )
}

async fn inspect(session: &mut Session, network: &str, cni: bool) -> Outcome {
    let network: Network = session
        .client
        .get(&format!("/v1/networks/{}", segment(network)))
        .await?;
    if cni {
        let list = conflist::of(&network, session.client.socket());
        return Output { json: true }.show(&list, |_| String::new());
    }
    if session.output.json {
        return session.output.show(&network, |_| String::new());
    }
    let endpoints: Vec<Endpoint> = session.client.get("/v1/endpoints").await?;
    let sandboxes: Vec<Sandbox> = session.client.get("/v1/sandboxes").await?;
    session
        .output
        .show(&network, |network| described(network, &endpoints, &sandboxes))
}

pub(super) fn described(network: &Network, endpoints: &[Endpoint], sandboxes: &[Sandbox]) -> String {
    let mut lines = vec![
        ("Id", network.id.to_string()),
        ("Name", network.name.to_string()),
        ("Driver", network.driver.clone()),
        ("State", network.state.clone()),
        ("Created", time(network.created * 1000)),
        (
            "Internal",
            if network.internal {
                "yes".to_owned()
            } else {
                String::new()
            },
        ),
        ("Options", pairs(&network.options)),
        ("Labels", pairs(&network.labels)),
    ];
    lines.extend(network.pools.iter().map(|pool| ("Pool", pool_line(pool))));
    let mine: Vec<_> = endpoints
        .iter()
        .filter(|endpoint| endpoint.network == network.id)
        .collect();
    let rows = mine.iter().map(|endpoint| endpoint_row(endpoint, sandboxes));
    let table = table(
        [
            "ENDPOINT ID",
            "SANDBOX",
            "INTERFACE",
            "ADDRESSES",
            "MAC",
            "STATE",
            "PORTS",
        ],
        rows,
    );
    sheet(&lines)
        + &if mine.is_empty() {
            String::new()
        } else {
            format!("\n{table}")
        }
        + &leases::table_of(network, endpoints, sandboxes)
}

fn pool_line(pool: &Pool) -> String {
    let mut words = vec![pool.subnet.to_string()];
    words.extend(pool.gateway.map(|gateway| format!("gateway {gateway}")));
    words.extend(pool.range.map(|range| format!("range {range}")));
    words.extend(pool.auxiliary.iter().map(|it| format!("{} {}", it.name, it.address)));
    words.push(format!("{} of {} used", pool.used, pool.capacity));
    let counted = [(pool.reserved, "reserved"), (pool.beside, "beside the range")];
    words.extend(
        counted
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}")),
    );
    words.join(", ")
}

fn endpoint_row(endpoint: &Endpoint, sandboxes: &[Sandbox]) -> [String; 7] {
    let joined = |it: &&Sandbox| Some(&it.id) == endpoint.sandbox.as_ref();
    let sandbox = sandboxes.iter().find(joined).map(|it| it.name.to_string());
    [
        endpoint.id.short().to_owned(),
        sandbox.unwrap_or_default(),
        endpoint.interface.as_ref().map(ToString::to_string).unwrap_or_default(),
        commas(&endpoint.addresses),
        endpoint.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        endpoint.state.clone(),
        commas(&endpoint.ports),
    ]
}

async fn remove(session: &mut Session, networks: &[String]) -> Outcome {
    for network in networks {
        let _: Change = session
            .client
            .delete(&format!("/v1/networks/{}", segment(network)))
            .await?;
    }
    session.output.show(&networks, |networks| {
        networks.iter().map(|name| format!("{name}\n")).collect()
    })
}

async fn prune(session: &mut Session) -> Outcome {
    let pruned: Pruned = session.client.act("/v1/networks/prune").await?;
    session.output.show(&pruned, |pruned| {
        pruned.networks.iter().map(|name| format!("{name}\n")).collect()
    })
}

async fn disconnect(session: &mut Session, network: &str, sandbox: String) -> Outcome {
    let path = format!("/v1/networks/{}/disconnect", segment(network));
    let change: Change = session.client.post(&path, &Disconnect { sandbox }).await?;
    if session.output.json {
        return session.output.show(&change, |_| String::new());
    }
    Ok(ExitCode::SUCCESS)
}

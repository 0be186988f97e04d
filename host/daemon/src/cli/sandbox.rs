//! `jackfield sandbox`

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Args, Subcommand};
use jackfield_model::{DnsName, Name, SandboxId};

use super::{
    Failure, Outcome, Session,
    arguments::{label, options},
    exec,
    output::{commas, pairs, sheet, table},
};
use crate::{
    client::segment,
    wire::{Change, CreateSandbox, Endpoint, Network, Sandbox, SandboxNames},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a sandbox: a network namespace that networks connect to
    Create(Create),
    /// List sandboxes
    Ls,
    /// Show a sandbox and its endpoints
    Inspect {
        /// Name, id or the beginning of an id
        sandbox: String,
    },
    /// Remove sandboxes; their endpoints go with them
    Rm {
        /// Names, ids or beginnings of ids
        #[arg(required = true)]
        sandboxes: Vec<String>,
    },
    /// Run a command inside a sandbox
    Exec {
        /// Name, id or the beginning of an id
        sandbox: String,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name [default: the id's first digits]
    name: Option<Name>,
    #[command(flatten)]
    source: Source,
    /// Label
    #[arg(long = "label", short, value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    names: NameArguments,
    /// Id, 64 hexadecimal digits [default: a random one]
    #[arg(long)]
    id: Option<SandboxId>,
}

/// What a sandbox wants of the name service.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct NameArguments {
    /// DNS server for what none of its networks knows; once for each [default: its networks', else the host's]
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// Search domain; once for each [default: the host's]
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<DnsName>,
    /// Option for its resolv.conf, as ndots:2
    #[arg(long, value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Host name [default: its name]
    #[arg(long, value_name = "NAME")]
    hostname: Option<DnsName>,
    /// No name service in the sandbox
    #[arg(long)]
    no_names: bool,
}

impl NameArguments {
    /// As the request has them.
    pub fn into_names(self) -> SandboxNames {
        SandboxNames {
            servers: self.dns,
            search: self.dns_search,
            options: self.dns_option,
            hostname: self.hostname,
            off: self.no_names,
        }
    }
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Source {
    /// Take the existing namespace behind this file
    #[arg(long)]
    path: Option<PathBuf>,
    /// Take the existing namespace of this process
    #[arg(long)]
    pid: Option<u32>,
}

impl Command {
    pub async fn run(self, mut session: Session) -> Outcome {
        match self {
            Self::Create(create) => create.run(&mut session).await,
            Self::Ls => list(&mut session).await,
            Self::Inspect { sandbox } => inspect(&mut session, &sandbox).await,
            Self::Rm { sandboxes } => remove(&mut session, &sandboxes).await,
            Self::Exec { sandbox, command } => {
                let sandbox: Sandbox = session
                    .client
                    .get(&format!("/v1/sandboxes/{}", segment(&sandbox)))
                    .await?;
                exec::inside(&sandbox, &command).await
            }
        }
    }
}

impl Create {
    async fn run(self, session: &mut Session) -> Outcome {
        let absolute =
            |path: PathBuf| std::path::absolute(&path).map_err(|e| Failure::system("cannot resolve --path", e));
        let request = CreateSandbox {
            id: self.id,
            name: self.name,
            path: self.source.path.map(absolute).transpose()?,
            pid: self.source.pid,
            foreign: None,
            labels: options("--label", self.labels)?,
            dns: self.names.into_names(),
        };
        let sandbox: Sandbox = session.client.post("/v1/sandboxes", &request).await?;
        session.output.show(&sandbox, |sandbox| format!("{}\n", sandbox.id))
    }
}

async fn list(session: &mut Session) -> Outcome {
    let sandboxes: Vec<Sandbox> = session.client.get("/v1/sandboxes").await?;
    session.output.show(&sandboxes, |sandboxes| listed(sandboxes))
}

pub(super) fn listed(sandboxes: &[Sandbox]) -> String {
    let row = |it: &Sandbox| {
        let path = it
            .path
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        [
            it.id.short().to_owned(),
            it.name.to_string(),
            it.kind.clone(),
            it.endpoints.len().to_string(),
            path,
        ]
    };
    table(
        ["SANDBOX ID", "NAME", "KIND", "ENDPOINTS", "PATH"],
        sandboxes.iter().map(row),
    )
}

async fn inspect(session: &mut Session, sandbox: &str) -> Outcome {
    let sandbox: Sandbox = session
        .client
        .get(&format!("/v1/sandboxes/{}", segment(sandbox)))
        .await?;
    if session.output.json {
        return session.output.show(&sandbox, |_| String::new());
    }
    let endpoints: Vec<Endpoint> = session.client.get("/v1/endpoints").await?;
    let networks: Vec<Network> = session.client.get("/v1/networks").await?;
    session
        .output
        .show(&sandbox, |sandbox| described(sandbox, &endpoints, &networks))
}

pub(super) fn described(sandbox: &Sandbox, endpoints: &[Endpoint], networks: &[Network]) -> String {
    let path = sandbox
        .path
        .as_ref()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let lines = [
        ("Id", sandbox.id.to_string()),
        ("Name", sandbox.name.to_string()),
        ("Kind", sandbox.kind.clone()),
        ("Path", path),
        ("Labels", pairs(&sandbox.labels)),
    ];
    // In the sandbox's own order: the one with the default route first.
    let mine = sandbox
        .endpoints
        .iter()
        .filter_map(|id| endpoints.iter().find(|endpoint| endpoint.id == *id));
    let rows: Vec<_> = mine.map(|endpoint| endpoint_row(endpoint, networks)).collect();
    if rows.is_empty() {
        return sheet(&lines);
    }
    let head = [
        "ENDPOINT ID",
        "NETWORK",
        "INTERFACE",
        "ADDRESSES",
        "GATEWAYS",
        "DRIVER",
        "PORTS",
    ];
    format!("{}\n{}", sheet(&lines), table(head, rows))
}

fn endpoint_row(endpoint: &Endpoint, networks: &[Network]) -> [String; 7] {
    let network = networks.iter().find(|network| network.id == endpoint.network);
    [
        endpoint.id.short().to_owned(),
        network.map(|network| network.name.to_string()).unwrap_or_default(),
        endpoint.interface.as_ref().map(ToString::to_string).unwrap_or_default(),
        commas(&endpoint.addresses),
        commas(&endpoint.gateways),
        endpoint.driver.clone(),
        commas(&endpoint.ports),
    ]
}

async fn remove(session: &mut Session, sandboxes: &[String]) -> Outcome {
    for sandbox in sandboxes {
        let _: Change = session
            .client
            .delete(&format!("/v1/sandboxes/{}", segment(sandbox)))
            .await?;
    }
    session.output.show(&sandboxes, |sandboxes| {
        sandboxes.iter().map(|name| format!("{name}\n")).collect()
    })
}

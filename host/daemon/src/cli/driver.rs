//! `jackfield driver`

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use hyper::Method;

use super::{
    Failure, Outcome, Session,
    output::{commas, sheet, table},
    spinner::Spinner,
};
use crate::{
    client::segment,
    wire::{Calls, Change, Component, Driver},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Load a driver from a WebAssembly component
    Load {
        /// The component, a .wasm file
        file: PathBuf,
    },
    /// List drivers
    Ls,
    /// Show a driver and what it may do
    Inspect {
        /// Name of the driver
        driver: String,
    },
    /// Replace a driver by a newer build; calls in flight end on the version that they began on
    Upgrade {
        /// Name of the driver
        driver: String,
        /// The component, a .wasm file
        file: PathBuf,
    },
    /// Bring back the version before the last upgrade
    Rollback {
        /// Name of the driver
        driver: String,
    },
    /// Unload a driver that no network uses
    Unload {
        /// Name of the driver
        driver: String,
    },
}

impl Command {
    pub async fn run(self, session: &mut Session) -> Outcome {
        match self {
            Self::Load { file } => send(session, Method::POST, "/v1/drivers", file).await,
            Self::Ls => list(session).await,
            Self::Inspect { driver } => {
                let driver: Driver = session.client.get(&path(&driver)).await?;
                session.output.show(&driver, described)
            }
            Self::Upgrade { driver, file } => send(session, Method::PUT, &path(&driver), file).await,
            Self::Rollback { driver } => {
                let driver: Driver = session.client.act(&format!("{}/rollback", path(&driver))).await?;
                session
                    .output
                    .show(&driver, |driver| format!("{} {}\n", driver.name, driver.version))
            }
            Self::Unload { driver } => unload(session, &driver).await,
        }
    }
}

fn path(driver: &str) -> String {
    format!("/v1/drivers/{}", segment(driver))
}

async fn send(session: &mut Session, method: Method, path: &str, file: PathBuf) -> Outcome {
    let component = std::fs::read(&file).map_err(|e| Failure::system(&format!("cannot read {}", file.display()), e))?;
    let spinner = Spinner::start(format!("Compiling {}", file.display()));
    let driver: Result<Driver, _> = session.client.send_component(method, path, component).await;
    drop(spinner);
    session
        .output
        .show(&driver?, |driver| format!("{} {}\n", driver.name, driver.version))
}

async fn list(session: &mut Session) -> Outcome {
    let drivers: Vec<Driver> = session.client.get("/v1/drivers").await?;
    session.output.show(&drivers, |drivers| listed(drivers))
}

pub(super) fn listed(drivers: &[Driver]) -> String {
    let row = |it: &Driver| {
        [
            it.name.clone(),
            it.version.clone(),
            kind(it).to_owned(),
            scope(it),
            it.networks.len().to_string(),
        ]
    };
    table(
        ["NAME", "VERSION", "KIND", "SCOPE", "NETWORKS"],
        drivers.iter().map(row),
    )
}

fn kind(driver: &Driver) -> &'static str {
    match (&driver.absent, &driver.component, &driver.plugin) {
        (Some(_), ..) => "absent",
        (None, Some(_), _) => "component",
        (None, None, Some(_)) => "plugin",
        (None, None, None) => "built-in",
    }
}

fn scope(driver: &Driver) -> String {
    match driver.scope {
        jackfield_model::Scope::Local => "local",
        jackfield_model::Scope::Global => "global",
    }
    .to_owned()
}

pub(super) fn described(driver: &Driver) -> String {
    let mut lines = vec![
        ("Name", driver.name.clone()),
        ("Version", driver.version.clone()),
        ("Is", driver.description.clone().unwrap_or_default()),
        ("Kind", kind(driver).to_owned()),
        ("At", driver.plugin.clone().unwrap_or_default()),
        ("Absent", driver.absent.clone().unwrap_or_default()),
        ("Scope", scope(driver)),
        ("Features", commas(&driver.features)),
    ];
    lines.extend(driver.component.as_ref().map(component).into_iter().flatten());
    lines.push(("Networks", commas(&driver.networks)));
    lines.extend(grants(&driver.grants).into_iter().map(|line| ("May", line)));
    sheet(&lines)
}

fn component(component: &Component) -> [(&'static str, String); 5] {
    let Calls {
        begun,
        refused,
        trapped,
        timed_out,
        denied,
    } = component.calls;
    [
        ("API", component.api.clone()),
        ("Digest", component.digest.clone()),
        ("Size", format!("{} bytes", component.size)),
        ("Previous", component.previous.clone().unwrap_or_default()),
        (
            "Calls",
            format!("{begun} begun, {refused} refused, {trapped} trapped, {timed_out} timed out, {denied} denied"),
        ),
    ]
}

/// What is granted, a line a grant; nothing of what is not.
fn grants(grants: &serde_json::Value) -> Vec<String> {
    use serde_json::Value;
    let line = |(key, value): (&String, &Value)| match value {
        Value::Bool(true) => Some(key.clone()),
        Value::Array(items) if !items.is_empty() => Some(format!("{key}: {}", commas(items.iter().map(plain)))),
        Value::Object(fields) => {
            let limits = fields.iter().map(|(key, value)| format!("{key} {}", plain(value)));
            Some(format!("{key}: {}", commas(limits)))
        }
        _ => None,
    };
    grants.as_object().into_iter().flatten().filter_map(line).collect()
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn unload(session: &mut Session, driver: &str) -> Outcome {
    let change: Change = session.client.delete(&path(driver)).await?;
    if session.output.json {
        return session.output.show(&change, |_| String::new());
    }
    Ok(ExitCode::SUCCESS)
}

//! Sandboxes.

use std::path::PathBuf;

use jackfield_controller::request::{self, SandboxInfo, SandboxKind};
use jackfield_kernel::NamespaceSource;
use jackfield_model::{EndpointId, Error, Name, Options, SandboxId};
use serde::{Deserialize, Serialize};

use super::SandboxNames;

/// `POST /v1/sandboxes`. At most one of `path`, `pid` and `foreign`; with none of them the host makes a namespace.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreateSandbox {
    /// None: a random one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<SandboxId>,
    /// None: the id's first digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// A file that opens an existing namespace, which the host then configures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A process whose namespace it is, which the host then configures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The key of a namespace whose interfaces the runtime moves and configures itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign: Option<PathBuf>,
    /// Labels.
    #[serde(skip_serializing_if = "Options::is_empty")]
    pub labels: Options,
    /// What it wants of the name service.
    #[serde(skip_serializing_if = "SandboxNames::is_default")]
    pub dns: SandboxNames,
}

impl TryFrom<CreateSandbox> for request::CreateSandbox {
    type Error = Error;

    fn try_from(wire: CreateSandbox) -> Result<Self, Error> {
        let CreateSandbox {
            id,
            name,
            path,
            pid,
            foreign,
            labels,
            dns,
        } = wire;
        let kind = match (path, pid, foreign) {
            (None, None, None) => SandboxKind::Made,
            (Some(path), None, None) => SandboxKind::Adopted(NamespaceSource::Path(absolute("path", path)?)),
            (None, Some(0), None) => return Err(Error::invalid("pid: 0 is no process: expected a number from 1")),
            (None, Some(pid), None) => SandboxKind::Adopted(NamespaceSource::Pid(pid)),
            (None, None, Some(key)) => SandboxKind::Foreign(absolute("foreign", key)?),
            _ => {
                return Err(Error::invalid(
                    "a sandbox has one namespace: expected at most one of path, pid and foreign",
                ));
            }
        };
        Ok(Self {
            id,
            name,
            kind,
            labels,
            dns: dns.into(),
        })
    }
}

/// The caller's working folder is not the host's: a relative path would mean something else here.
fn absolute(field: &str, path: PathBuf) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::invalid(format!(
        "{field}: {path:?} is relative: expected an absolute path"
    )))
}

/// A sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sandbox {
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
    #[serde(default, skip_serializing_if = "SandboxNames::is_default")]
    pub dns: SandboxNames,
    /// Folder of its resolv.conf, hosts and hostname, to be mounted over those in /etc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
}

impl From<SandboxInfo> for Sandbox {
    fn from(info: SandboxInfo) -> Self {
        let SandboxInfo {
            id,
            name,
            kind,
            path,
            endpoints,
            labels,
            dns,
            files,
        } = info;
        Self {
            id,
            name,
            kind,
            path,
            endpoints,
            labels,
            dns: dns.into(),
            files,
        }
    }
}

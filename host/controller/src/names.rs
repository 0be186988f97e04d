//! What the controller asks of the name service. It may not know DNS or files: it says who is where, and when a sandbox gets its sockets.

use std::{fmt, path::PathBuf};

use jackfield_kernel::{Namespace, NamespaceSource};
use jackfield_model::{DnsName, DnsSettings, EndpointId, Member, Name, NetworkId, Result, SandboxId, VirtualService};

/// A sandbox that is to get its sockets.
#[derive(Clone, Debug)]
pub struct ResolverRequest {
    /// Which.
    pub sandbox: SandboxId,
    /// Its namespace.
    pub namespace: Namespace,
    /// How that is opened, for one that is not the host's own: the sockets close with what is behind it. None for the host's own.
    pub source: Option<NamespaceSource>,
    /// The realm that it belongs to.
    pub realm: Namespace,
    /// What it wants.
    pub settings: DnsSettings,
    /// The port that it had before; None for any.
    pub port: Option<u16>,
}

/// The name service. Its methods may block for as long as a few system calls take, and are called from many threads.
pub trait NameService: fmt::Debug + Send + Sync {
    /// Opens a sandbox's sockets on 127.0.0.11 and answers with their port.
    ///
    /// # Errors
    /// in-use where the port is taken.
    fn open(&self, request: ResolverRequest) -> Result<u16>;

    /// Closes them.
    fn close(&self, sandbox: &SandboxId);

    /// An endpoint is in its sandbox.
    fn joined(&self, member: Member);

    /// It is not any more.
    fn left(&self, endpoint: &EndpointId);

    /// A service stands, or its endpoints changed: its name leads to its virtual addresses, and to no endpoint that is called so.
    fn service_stands(&self, service: VirtualService);

    /// It is no more: its name is whose else it is.
    fn service_gone(&self, network: &NetworkId, name: &DnsName);

    /// Writes the files of a sandbox for /etc, and answers with their folder. Those that are there already stay as they are.
    ///
    /// # Errors
    /// That they cannot be written.
    fn write_files(&self, sandbox: &SandboxId, hostname: &DnsName, settings: &DnsSettings) -> Result<PathBuf>;

    /// Takes them away.
    fn remove_files(&self, sandbox: &SandboxId);
}

/// The host name of a sandbox: as it was asked for, or else its name, or else the beginning of its id.
pub fn hostname(id: &SandboxId, name: &Name, settings: &DnsSettings) -> Option<DnsName> {
    let asked = settings.hostname.clone();
    // HOST_NAME_MAX of limits.h; a name may be longer.
    let by_name = || name.as_str().parse().ok().filter(|n: &DnsName| n.as_str().len() <= 64);
    asked.or_else(by_name).or_else(|| id.short().parse().ok())
}

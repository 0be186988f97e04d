//! Attaching and detaching, as every runtime has it: a container's sandbox, adopted, and an endpoint in it for each of its interfaces.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use jackfield_controller::{
    Controller,
    request::{CreateEndpoint, CreateSandbox, EndpointInfo, Join, NetworkInfo, RealmRef, SandboxInfo, SandboxKind},
};
use jackfield_kernel::NamespaceSource;
use jackfield_model::{DnsSettings, Error, ErrorCode, LinkName, NetworkId, Options, Result, SandboxId};

use super::{
    caller::Caller,
    labels::{BY, CONTAINER, Key, endpoint_id, sandbox_id},
    ports,
};

/// What a runtime wants attached.
#[derive(Debug)]
pub struct Attachment<'a> {
    /// `cni` or `netavark`.
    pub by: &'static str,
    /// As the runtime names it.
    pub key: Key<'a>,
    /// What the interface is called in the sandbox.
    pub interface: LinkName,
    /// Where the runtime says that the sandbox is.
    pub path: &'a str,
    /// Addresses, MAC, aliases, options and labels.
    pub endpoint: CreateEndpoint,
    /// Published ports.
    pub join: Join,
    /// What the sandbox wants of the name service.
    pub dns: DnsSettings,
}

/// What came of it.
#[derive(Debug)]
pub struct Attached {
    pub endpoint: EndpointInfo,
    /// The host finds the sandbox again by its path.
    pub has_path: bool,
    /// The sandbox's default route goes by it.
    pub is_default: bool,
}

/// Attaches; a failure leaves nothing.
pub fn attach(
    controller: &Controller,
    caller: Caller,
    network: &NetworkInfo,
    wanted: Attachment<'_>,
) -> Result<Attached> {
    let realm = caller.realm;
    let id = sandbox_id(caller.namespace, wanted.key.container)?;
    let namespace = caller.sandbox.ok_or_else(|| {
        Error::not_found(format!(
            "there is no network namespace at \"{}\"",
            wanted.path.escape_default()
        ))
    })?;
    let sandbox = show(controller, realm, &id, &wanted, namespace)?;
    let attached = connect(controller, realm, &sandbox, network, &wanted);
    if attached.is_err() {
        delete_if_empty(controller, realm, &id);
    }
    let endpoint = attached?;
    let first = controller.sandbox(realm, id.as_str())?.endpoints.into_iter().next();
    Ok(Attached {
        has_path: sandbox.path.is_some(),
        is_default: first.as_ref() == Some(&endpoint.id),
        endpoint,
    })
}

/// The container's sandbox: the one that is there, or a new one.
fn show(
    controller: &Controller,
    realm: RealmRef,
    id: &SandboxId,
    wanted: &Attachment<'_>,
    namespace: OwnedFd,
) -> Result<SandboxInfo> {
    let again = || {
        let failed = |e| Error::new(ErrorCode::Exhausted, "the host has no descriptors left").caused_by(e);
        namespace.try_clone().map_err(failed)
    };
    match show_once(controller, realm, id, wanted, again()?) {
        // Of that name, or of that id and another namespace, which may be gone by now.
        Err(error) if error.code == ErrorCode::AlreadyExists => {
            let _ = controller.collect_gone(realm)?;
            show_once(controller, realm, id, wanted, again()?)
        }
        other => other,
    }
}

fn show_once(
    controller: &Controller,
    realm: RealmRef,
    id: &SandboxId,
    wanted: &Attachment<'_>,
    fd: OwnedFd,
) -> Result<SandboxInfo> {
    let container = wanted.key.container;
    let mut request = CreateSandbox {
        id: Some(id.clone()),
        name: None,
        kind: SandboxKind::AdoptedFd {
            fd,
            source: source(wanted.path),
        },
        labels: labels(wanted),
        dns: wanted.dns.clone(),
    };
    match controller.sandbox(realm, id.as_str()) {
        // A further interface of it: nothing about the sandbox changes.
        Ok(there) => {
            (request.name, request.labels, request.dns) = (Some(there.name), there.labels, there.dns);
        }
        // By its runtime's name, unless somebody else has that.
        Err(_) if controller.sandbox(realm, container).is_err() => request.name = container.parse().ok(),
        Err(_) => {}
    }
    Ok(controller.create_sandbox(realm, request)?.into_inner())
}

fn labels(wanted: &Attachment<'_>) -> Options {
    [(BY, wanted.by), (CONTAINER, wanted.key.container)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn source(path: &str) -> Option<NamespaceSource> {
    Path::new(path)
        .is_absolute()
        .then(|| NamespaceSource::Path(PathBuf::from(path)))
}

fn connect(
    controller: &Controller,
    realm: RealmRef,
    sandbox: &SandboxInfo,
    network: &NetworkInfo,
    wanted: &Attachment<'_>,
) -> Result<EndpointInfo> {
    let key = &wanted.key;
    let id = endpoint_id(&sandbox.id, &network.id, key.interface)?;
    if controller.endpoint(realm, id.as_str()).is_ok() {
        return Err(Error::new(
            ErrorCode::AlreadyExists,
            format!(
                "interface {} of container {} is there already",
                key.interface, key.container
            ),
        ));
    }
    let mut endpoint = wanted.endpoint.clone();
    endpoint.id = Some(id.clone());
    endpoint.labels.extend(key.labels(wanted.by));
    let others = ports::endpoints(controller, realm, sandbox);
    let publish = ports::not_had_yet(&others, &wanted.join.publish, &mut endpoint.labels);
    let join = Join {
        publish,
        interface: Some(wanted.interface.clone()),
        ..wanted.join.clone()
    };
    let (network, sandbox_id) = (network.id.as_str(), sandbox.id.as_str());
    if !is_in(controller, realm, sandbox, network) {
        let connected = controller.connect(realm, network, sandbox_id, endpoint, join)?;
        return Ok(connected.into_inner());
    }
    // A second interface on one network, which is more than one connect gives.
    let _made = controller.create_endpoint(realm, network, endpoint)?;
    let joined = controller.join(realm, id.as_str(), sandbox_id, join);
    if joined.is_err() {
        let _ = controller.delete_endpoint(realm, id.as_str());
    }
    Ok(joined?.into_inner())
}

fn is_in(controller: &Controller, realm: RealmRef, sandbox: &SandboxInfo, network: &str) -> bool {
    let endpoints = sandbox.endpoints.iter();
    let mut networks = endpoints.filter_map(|id| Some(controller.endpoint(realm, id.as_str()).ok()?.network));
    networks.any(|id: NetworkId| id.as_str() == network)
}

fn delete_if_empty(controller: &Controller, realm: RealmRef, id: &SandboxId) {
    if let Err(error) = controller.delete_empty_sandbox(realm, id) {
        tracing::warn!(sandbox = id.short(), %error, "a sandbox with nothing in it stays until its namespace is gone");
    }
}

/// Detaches; false where there is no such attachment. By what the host knows, whatever has become of the namespace; one that came along helps
/// with a sandbox that the host does not find by itself.
pub fn detach(controller: &Controller, caller: &Caller, key: &Key<'_>) -> Result<bool> {
    let (realm, id) = (caller.realm, sandbox_id(caller.namespace, key.container)?);
    let sandbox = match controller.sandbox(realm, id.as_str()) {
        Ok(sandbox) => sandbox,
        Err(error) if error.code == ErrorCode::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let act = || take_out(controller, realm, &sandbox, key);
    match &caller.sandbox {
        Some(shown) => controller.while_shown(realm, &id, shown, act),
        None => act(),
    }
}

fn take_out(controller: &Controller, realm: RealmRef, sandbox: &SandboxInfo, key: &Key<'_>) -> Result<bool> {
    let meant = |endpoint: &EndpointInfo| key.is(&endpoint.labels);
    let there = ports::endpoints(controller, realm, sandbox);
    if there.iter().all(meant) {
        // With the last of its attachments the sandbox is nobody's.
        controller.delete_sandbox(realm, sandbox.id.as_str())?;
        return Ok(!there.is_empty());
    }
    let (meant, left): (Vec<_>, Vec<_>) = there.into_iter().partition(meant);
    for endpoint in &meant {
        controller.leave(realm, endpoint.id.as_str())?;
        controller.delete_endpoint(realm, endpoint.id.as_str())?;
    }
    ports::pass_on(controller, realm, &left);
    Ok(!meant.is_empty())
}

//! Which calls there are, and how each is made: on a thread of its own, for as long as somebody may wait for it.
//!
//! ```text
//!   found --> its body is read --> done in time -----------------------------> the answer
//!                               \-> a refusal -------------------------------> in words, nothing changed
//!                               \-> too late, or nobody waits any more: refused in words; and when it is done after all, taken back
//! ```
//! Docker sets no time-out itself, and holds the container's lock all the while.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use axum::body::Bytes;
use jackfield_model::{Error, ErrorCode, Result};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Plugin, down, endpoint,
    fields::{self, Fields},
    ipam, network,
    reply::{Reply, Undo},
};
use jackfield_controller::request::RealmRef;

/// Longest time for an answer. A driver's own call has a shorter one.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How a call is read.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// It says nothing: whatever its body is.
    Bare(fn(&Plugin) -> Result<Reply>),
    /// It has a body.
    With(fn(&Plugin, Fields<'_>) -> Result<Reply>),
}

/// A call.
#[derive(Debug)]
pub struct Call {
    /// As Docker writes it.
    pub name: &'static str,
    run: Run,
}

impl Call {
    /// Where Docker looks for a refusal.
    pub fn error_key(&self) -> &'static str {
        if self.name.starts_with("IpamDriver.") {
            "Error"
        } else {
            "Err"
        }
    }
}

const fn bare(name: &'static str, run: fn(&Plugin) -> Result<Reply>) -> Call {
    let run = Run::Bare(run);
    Call { name, run }
}

const fn with(name: &'static str, run: fn(&Plugin, Fields<'_>) -> Result<Reply>) -> Call {
    let run = Run::With(run);
    Call { name, run }
}

/// Those that every name answers.
static ADDRESSES: [Call; 7] = [
    bare("Plugin.Activate", activate),
    bare("IpamDriver.GetCapabilities", ipam::capabilities),
    bare("IpamDriver.GetDefaultAddressSpaces", ipam::address_spaces),
    with("IpamDriver.RequestPool", ipam::request_pool),
    with("IpamDriver.ReleasePool", ipam::release_pool),
    with("IpamDriver.RequestAddress", ipam::request_address),
    with("IpamDriver.ReleaseAddress", ipam::release_address),
];

/// Those of a driver.
static NETWORKS: [Call; 15] = [
    bare("NetworkDriver.GetCapabilities", network::capabilities),
    with("NetworkDriver.GwAllocCheck", network::check_gateway),
    with("NetworkDriver.AllocateNetwork", network::allocate),
    with("NetworkDriver.FreeNetwork", network::free),
    with("NetworkDriver.CreateNetwork", network::create),
    with("NetworkDriver.DeleteNetwork", network::delete),
    with("NetworkDriver.CreateEndpoint", endpoint::create),
    with("NetworkDriver.DeleteEndpoint", endpoint::delete),
    with("NetworkDriver.EndpointOperInfo", endpoint::info),
    with("NetworkDriver.Join", endpoint::join),
    with("NetworkDriver.Leave", endpoint::leave),
    with("NetworkDriver.ProgramExternalConnectivity", endpoint::publish),
    with("NetworkDriver.RevokeExternalConnectivity", endpoint::revoke),
    with("NetworkDriver.DiscoverNew", network::discover),
    with("NetworkDriver.DiscoverDelete", network::discover),
];

/// The call of that name, where there is one.
pub fn find(name: &str, has_driver: bool) -> Option<&'static Call> {
    let networks = NETWORKS.iter().filter(|_| has_driver);
    ADDRESSES.iter().chain(networks).find(|call| call.name == name)
}

/// dockerd begins to use this name; it does so once in its life, and asks for all its pools again.
fn activate(plugin: &Plugin) -> Result<Reply> {
    plugin.controller.replay_pools(RealmRef::Own, &plugin.name)?;
    let implements = if plugin.driver.is_some() {
        json!(["NetworkDriver", "IpamDriver"])
    } else {
        json!(["IpamDriver"])
    };
    Ok(Reply::of(json!({ "Implements": implements })))
}

/// Makes the call.
///
/// # Errors
/// Its refusal; unavailable, when it takes too long.
pub async fn run(plugin: Arc<Plugin>, call: &'static Call, body: Bytes) -> Result<Value> {
    let (answer, mut answered) = oneshot::channel();
    let patience = plugin.patience;
    let work = move || {
        let result = guarded(&plugin, call, &body);
        let undo = result.as_ref().ok().and_then(|reply| reply.undo.clone());
        if answer.send(result).is_err()
            && let Some(undo) = undo
        {
            tracing::warn!(call = call.name, "nobody waits for it any more: it is taken back");
            take_back(&plugin, undo);
        }
    };
    let spawned = std::thread::Builder::new().name("docker-call".to_owned()).spawn(work);
    spawned.map_err(|e| Error::new(ErrorCode::Exhausted, "there is no thread left for this call").caused_by(e))?;
    let waited = timeout(patience, &mut answered).await.ok().and_then(Result::ok);
    // What came in this very moment counts; what comes later finds nobody.
    answered.close();
    let result = waited
        .or_else(|| answered.try_recv().ok())
        .unwrap_or_else(|| Err(too_late(call, patience)));
    result.map(|reply| reply.value)
}

fn guarded(plugin: &Plugin, call: &Call, body: &[u8]) -> Result<Reply> {
    let run = || match call.run {
        Run::Bare(run) => run(plugin),
        Run::With(run) => run(plugin, Fields::of(&fields::read(body)?, "the request")?),
    };
    // A panic is an answer; the panic hook has said where it was.
    let result = catch_unwind(AssertUnwindSafe(run));
    result.unwrap_or_else(|_| Err(Error::internal("jackfield failed at this call; its log says where")))
}

fn too_late(call: &Call, patience: Duration) -> Error {
    let message = format!(
        "{} took more than {} seconds and is taken back: try again, and see jackfield's log for what it waits for",
        call.name,
        patience.as_secs()
    );
    Error::new(ErrorCode::Unavailable, message)
}

fn take_back(plugin: &Plugin, undo: Undo) {
    let controller = &plugin.controller;
    let undone = match &undo {
        Undo::Network(id) => controller.delete_network(RealmRef::Own, id.as_str()).map(drop),
        Undo::Endpoint(id) => down::take_down(controller, id),
        Undo::Stay(id) => controller.leave(RealmRef::Own, id.as_str()).map(drop),
        Undo::Ports(id) => controller.set_ports(RealmRef::Own, id.as_str(), &[]).map(drop),
        Undo::Pool(pool) => controller.return_pool(RealmRef::Own, *pool).map(drop),
        Undo::Address(address) => controller.return_address(RealmRef::Own, *address).map(drop),
    };
    if let Err(error) = undone {
        tracing::error!(?undo, "what nobody waited for cannot be taken back: {error}");
    }
}

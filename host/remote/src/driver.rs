//! One plugin as a driver.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hyper::StatusCode;
use jackfield_driver::{Driver, Features, Identity, LinkId, LoadedDriver, Operation, grants::Grants};
use jackfield_kernel::NamespaceId;
use jackfield_model::{
    Capabilities, EndpointId, EndpointReply, EndpointSpec, Error, ErrorCode, IpNetwork, JoinReply, JoinSpec, NetworkId,
    NetworkSpec, Result,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Address,
    breaker::Breaker,
    client::{self, Answer, Silence},
    protocol,
};

/// A plugin, and what is known of it. Its name is Docker's for it; a version it has none, so that its address stands there.
pub struct RemoteDriver {
    identity: Identity,
    address: Address,
    grants: Arc<Grants>,
    /// The realm whose links it makes.
    realm: NamespaceId,
    deadline: Duration,
    breaker: Mutex<Breaker>,
    /// None until it was activated.
    capabilities: Mutex<Option<Capabilities>>,
}

impl fmt::Debug for RemoteDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteDriver")
            .field("name", &self.identity.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteDriver {
    /// The plugin of that name at that address. It is not called before somebody needs it.
    pub fn new(name: &str, address: Address, realm: NamespaceId) -> Self {
        let grants = Grants {
            lends: true,
            ..Grants::default()
        };
        Self {
            identity: Identity {
                name: name.to_owned(),
                version: address.to_string(),
            },
            address,
            deadline: Duration::from_millis(grants.limits.deadline_ms),
            grants: Arc::new(grants),
            realm,
            breaker: Mutex::default(),
            capabilities: Mutex::default(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The handshake, once. It tells whether this is a network plugin at all.
    fn activate(&self) -> Result<()> {
        if lock(&self.capabilities).is_some() {
            return Ok(());
        }
        let activated: protocol::Activated = self.call("Plugin.Activate", &protocol::Nothing {})?.unwrap_or_default();
        if !activated.implements.iter().any(|name| name == "NetworkDriver") {
            return Err(Error::new(
                ErrorCode::Unsupported,
                format!(
                    "{} is no network driver: it says that it implements {:?}",
                    self.name(),
                    activated.implements
                ),
            ));
        }
        // Docker takes a plugin without this method for a local one.
        let said: Option<protocol::Capabilities> = self.call("NetworkDriver.GetCapabilities", &protocol::Nothing {})?;
        let said = said.unwrap_or_default();
        *lock(&self.capabilities) = Some(Capabilities {
            scope: protocol::scope(&said.scope),
            connectivity_scope: protocol::scope(&said.connectivity_scope),
        });
        Ok(())
    }

    fn name(&self) -> String {
        format!("the plugin {} at {}", self.identity.name, self.address)
    }

    /// One call; None where the plugin does not know the method.
    fn call<T: DeserializeOwned + Default>(&self, method: &str, message: &impl Serialize) -> Result<Option<T>> {
        let body = serde_json::to_vec(message)
            .map_err(|cause| Error::internal(format!("the message {method} cannot be written")).caused_by(cause))?;
        let answer = self.ask(method, body)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.understand(method, &answer).map(Some)
    }

    /// Asks, where the breaker lets it.
    fn ask(&self, method: &str, body: Vec<u8>) -> Result<Answer> {
        let refused = lock(&self.breaker).admit(Instant::now());
        refused.map_err(|broken| {
            let message = format!(
                "{} is not asked at the moment: {}; it is tried again in {} s",
                self.name(),
                broken.why,
                broken.again_in.as_secs_f32().ceil()
            );
            Error::new(ErrorCode::Unavailable, message).retryable()
        })?;
        let answer = client::post(&self.address, method, body, self.deadline);
        match &answer {
            Ok(_) => lock(&self.breaker).answered(),
            Err(silence) => {
                lock(&self.breaker).silent(Instant::now(), silence.to_string());
                // Another process may be there the next time.
                *lock(&self.capabilities) = None;
            }
        }
        answer.map_err(|silence| self.silent(method, silence))
    }

    fn silent(&self, method: &str, silence: Silence) -> Error {
        let message = format!(
            "{} does not answer {method}: {silence}; see whether it runs",
            self.name()
        );
        Error::new(ErrorCode::Unavailable, message)
            .retryable()
            .caused_by(silence)
    }

    fn understand<T: DeserializeOwned>(&self, method: &str, answer: &Answer) -> Result<T> {
        #[derive(serde::Deserialize, Default)]
        #[serde(default)]
        struct Refusal {
            err: Option<String>,
        }
        let refusal = protocol::read::<Refusal>(&answer.body)
            .unwrap_or_default()
            .err
            .filter(|e| !e.is_empty());
        if refusal.is_some() || !answer.status.is_success() {
            let said = refusal.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned());
            let said: String = said.trim().chars().filter(|c| !c.is_control()).take(300).collect();
            let message = format!("{} refuses {method} ({}): {said}", self.name(), answer.status.as_u16());
            return Err(Error::new(ErrorCode::Unavailable, message));
        }
        protocol::read(&answer.body).map_err(|cause| {
            Error::internal(format!("the answer of {} to {method} is not as expected", self.name())).caused_by(cause)
        })
    }
}

impl LoadedDriver for RemoteDriver {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    fn capabilities(&self) -> Capabilities {
        lock(&self.capabilities).unwrap_or_default()
    }

    fn features(&self) -> Features {
        Features::default()
    }

    fn instance(&self) -> Result<Box<dyn Driver + '_>> {
        Ok(Box::new(Calls { driver: self }))
    }
}

/// The calls of one operation. Nothing is remembered between them: that is the plugin's part.
struct Calls<'a> {
    driver: &'a RemoteDriver,
}

impl Calls<'_> {
    /// A plugin makes its links where it runs, which is where the host runs.
    fn check_realm(&self, op: &Operation) -> Result<()> {
        let here = op
            .context()
            .is_some_and(|context| context.realm.id() == self.driver.realm);
        if here {
            return Ok(());
        }
        let message = format!(
            "{} works in the host's own network namespace only: use a driver of this host's for networks in another",
            self.driver.name()
        );
        Err(Error::new(ErrorCode::Unsupported, message))
    }

    fn tell(&self, method: &str, network: &NetworkId, endpoint: Option<&EndpointId>) -> Result<()> {
        self.driver.activate()?;
        let named = protocol::Named {
            network: network.to_string(),
            endpoint: endpoint.map(ToString::to_string),
        };
        self.driver.call::<serde_json::Value>(method, &named).map(drop)
    }

    /// Calls a method that every plugin must have.
    fn require<T: DeserializeOwned + Default>(&self, method: &str, message: &impl Serialize) -> Result<T> {
        self.driver.activate()?;
        self.driver.call(method, message)?.ok_or_else(|| {
            let message = format!("{} does not know {method}: a network driver has to", self.driver.name());
            Error::new(ErrorCode::Unsupported, message)
        })
    }
}

impl Driver for Calls<'_> {
    fn create_network(&mut self, op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        self.check_realm(op)?;
        let message = protocol::CreateNetwork::of(spec);
        self.require::<serde_json::Value>("NetworkDriver.CreateNetwork", &message)
            .map(drop)
    }

    fn delete_network(&mut self, _op: &mut Operation, network: &NetworkId) -> Result<()> {
        self.tell("NetworkDriver.DeleteNetwork", network, None)
    }

    fn create_endpoint(
        &mut self,
        op: &mut Operation,
        _network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        self.check_realm(op)?;
        let message = protocol::CreateEndpoint::of(spec);
        let created: protocol::EndpointCreated = self.require("NetworkDriver.CreateEndpoint", &message)?;
        let filled = created.interface.unwrap_or_default();
        let address = |text: &str| parse::<IpNetwork>(text, "an address with its prefix");
        Ok(EndpointReply {
            mac: parse(&filled.mac_address, "a MAC address")?,
            addresses: [address(&filled.address)?, address(&filled.address_ipv6)?]
                .into_iter()
                .flatten()
                .collect(),
        })
    }

    fn delete_endpoint(&mut self, _op: &mut Operation, network: &NetworkId, endpoint: &EndpointId) -> Result<()> {
        self.tell("NetworkDriver.DeleteEndpoint", network, Some(endpoint))
    }

    fn join(&mut self, op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        self.check_realm(op)?;
        let joined: protocol::Joined = self.require("NetworkDriver.Join", &protocol::Join::of(spec))?;
        let named = joined.interface_name.filter(|name| !name.source.is_empty());
        let interface = named
            .map(|name| Ok::<_, Error>((op.lend_link(&name.source.parse()?)?, name.prefix)))
            .transpose()?;
        let gateway = |text: &str| parse::<IpAddr>(text, "a gateway's address");
        Ok(JoinReply {
            interface,
            gateway_ipv4: gateway(&joined.gateway)?,
            gateway_ipv6: gateway(&joined.gateway_ipv6)?,
            metric: None,
            routes: joined
                .static_routes
                .iter()
                .map(protocol::Route::to_static)
                .collect::<Result<_>>()?,
        })
    }

    fn leave(&mut self, _op: &mut Operation, network: &NetworkId, endpoint: &EndpointId) -> Result<()> {
        self.tell("NetworkDriver.Leave", network, Some(endpoint))
    }
}

/// None for an empty text, which is how plugins say nothing.
fn parse<T: std::str::FromStr>(text: &str, expected: &str) -> Result<Option<T>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let shown: String = text.chars().take(60).collect();
        Error::invalid(format!(
            "the plugin answered \"{}\": expected {expected}, or nothing",
            shown.escape_default()
        ))
    })
}

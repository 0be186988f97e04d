//! One instance of a driver, for one operation.
//!
//! ```text
//!   fresh --first call--> alive --call--> alive
//!     |                     |
//!     +---- trap, exit, deadline: the whole store is dropped ----> dead --any call--> an error, at once
//! ```
//!
//! A call that the driver answers with an error leaves the instance alive. The operation is moved into the store for the length of a call and
//! back after it, however the call ended.

use std::{mem, time::Duration};

use jackfield_driver::{Driver, LinkId, Operation};
use jackfield_model::{
    Capabilities, EndpointId, EndpointReply, EndpointSpec, Error, ErrorCode, Family, JoinReply, JoinSpec, NetworkId,
    NetworkSpec, Options, PortMapping, Result,
};
use jackfield_wasm_bindings::{
    exports::jackfield::driver::{driver, external_connectivity},
    jackfield::driver::types,
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use crate::{convert, driver::WasmDriver, guest::Guest, statistics::End, trap};

/// Longest deadline, whatever was granted: a caller's thread is held as long.
const DEADLINE_MAX: Duration = Duration::from_secs(600);

/// An instance. Its calls block the thread that they are made on.
pub(crate) struct Instance<'a> {
    driver: &'a WasmDriver,
    life: Life,
    /// Its place in the pool.
    _place: OwnedSemaphorePermit,
}

enum Life {
    Fresh,
    Alive(Box<Alive>),
    Dead,
}

struct Alive {
    store: Store<Guest>,
    exports: Option<Exports>,
}

struct Exports {
    driver: driver::Guest,
    ports: Option<external_connectivity::Guest>,
}

/// What a guest answers, when it answers at all.
type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl<'a> Instance<'a> {
    pub(crate) fn new(driver: &'a WasmDriver, place: OwnedSemaphorePermit) -> Self {
        Self {
            driver,
            life: Life::Fresh,
            _place: place,
        }
    }

    /// Calls an export: moves the operation in, lets the guest run until its deadline, moves the operation out.
    fn call<T>(
        &mut self,
        function: &'static str,
        operation: &mut Operation,
        export: impl AsyncFnOnce(&mut Store<Guest>, &Exports) -> Answer<T>,
    ) -> Result<T> {
        // Dead until it has answered: a panic in one of the host's own functions leaves it so, too.
        let mut alive = match mem::replace(&mut self.life, Life::Dead) {
            Life::Fresh => Box::new(Alive {
                store: self.driver.store(),
                exports: None,
            }),
            Life::Alive(alive) => alive,
            Life::Dead => return Err(trap::dead(self.driver.id(), function)),
        };
        alive
            .store
            .data_mut()
            .begin(mem::replace(operation, Operation::detached()));
        let deadline = self.deadline();
        let answer = self.driver.engine().run(deadline, alive.answer(self.driver, export));
        let guest = alive.store.data_mut();
        *operation = mem::replace(&mut guest.operation, Operation::detached());
        let denials = mem::take(&mut guest.denials);
        let count = |end| self.driver.counters().count(end, denials);
        match answer {
            None => {
                count(End::Late);
                Err(trap::late(self.driver.id(), function, deadline))
            }
            Some(Err(error)) => {
                count(End::Trapped);
                Err(trap::trapped(self.driver.id(), function, error, alive.store.data()))
            }
            Some(Ok(Err(error))) => {
                count(End::Refused);
                self.life = Life::Alive(alive);
                Err(self.blame(function, convert::error_from_guest(error)))
            }
            Some(Ok(Ok(answer))) => {
                count(End::Answered);
                self.life = Life::Alive(alive);
                Ok(answer)
            }
        }
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(self.driver.limits().deadline_ms.max(1)).min(DEADLINE_MAX)
    }

    fn blame(&self, function: &'static str, error: Error) -> Error {
        error.driver(self.driver.id().to_string()).step(function)
    }

    /// A reply that was taken apart; one that means nothing is the driver's fault, not the caller's.
    fn replied<T>(&self, function: &'static str, reply: Result<T>) -> Result<T> {
        reply.map_err(|cause| {
            let message = format!(
                "the driver {} answered {function} with what cannot be: {}",
                self.driver.id(),
                cause.message
            );
            self.blame(function, Error::new(ErrorCode::Internal, message).caused_by(cause))
        })
    }

    fn join_reply(&mut self, reply: driver::JoinReply) -> Result<JoinReply<LinkId>> {
        let interface = match (reply.interface, &mut self.life) {
            (Some(interface), Life::Alive(alive)) => {
                let link = alive.store.data_mut().take_back(interface.link).map_err(|e| {
                    Error::internal("the link it gives is none of its own").caused_by(e.into_boxed_dyn_error())
                })?;
                Some((link, convert::name_prefix(interface.name_prefix)?))
            }
            _ => None,
        };
        Ok(JoinReply {
            interface,
            gateway_ipv4: convert::gateway(reply.gateway_ipv4, Family::Ipv4)?,
            gateway_ipv6: convert::gateway(reply.gateway_ipv6, Family::Ipv6)?,
            metric: None,
            routes: convert::static_routes(reply.routes)?,
        })
    }
}

impl Alive {
    async fn answer<T>(
        &mut self,
        driver: &WasmDriver,
        export: impl AsyncFnOnce(&mut Store<Guest>, &Exports) -> Answer<T>,
    ) -> Answer<T> {
        let exports = match self.exports.take() {
            Some(exports) => exports,
            None => instantiate(driver, &mut self.store).await?,
        };
        let answer = export(&mut self.store, &exports).await;
        self.exports = Some(exports);
        answer
    }
}

async fn instantiate(driver: &WasmDriver, store: &mut Store<Guest>) -> wasmtime::Result<Exports> {
    let linked = driver.linked();
    let instance = linked.instance.instantiate_async(&mut *store).await?;
    Ok(Exports {
        driver: linked.driver.load(&mut *store, &instance)?,
        ports: linked
            .ports
            .as_ref()
            .map(|ports| ports.load(&mut *store, &instance))
            .transpose()?,
    })
}

fn no_ports() -> wasmtime::Error {
    wasmtime::Error::msg("it does not export external-connectivity")
}

impl Driver for Instance<'_> {
    fn config(&mut self, op: &mut Operation, options: &Options) -> Result<Capabilities> {
        let options = convert::options_to_guest(options);
        let reply = self.call("config", op, async |store, exports| {
            exports.driver.call_config(store, &options).await
        })?;
        Ok(convert::capabilities(reply))
    }

    fn create_network(&mut self, op: &mut Operation, spec: &NetworkSpec) -> Result<()> {
        let spec = convert::network_spec_to_guest(spec);
        self.call("create-network", op, async |store, exports| {
            exports.driver.call_create_network(store, &spec).await
        })
    }

    fn delete_network(&mut self, op: &mut Operation, network: &NetworkId) -> Result<()> {
        let network = network.to_string();
        self.call("delete-network", op, async |store, exports| {
            exports.driver.call_delete_network(store, &network).await
        })
    }

    fn create_endpoint(
        &mut self,
        op: &mut Operation,
        network: &NetworkSpec,
        spec: &EndpointSpec,
    ) -> Result<EndpointReply> {
        let (network, spec) = (
            convert::network_spec_to_guest(network),
            convert::endpoint_spec_to_guest(spec),
        );
        let call = async |store: &mut Store<Guest>, exports: &Exports| {
            exports.driver.call_create_endpoint(store, &network, &spec).await
        };
        let reply = self.call("create-endpoint", op, call)?;
        self.replied("create-endpoint", convert::endpoint_reply(reply))
    }

    fn delete_endpoint(&mut self, op: &mut Operation, network: &NetworkId, endpoint: &EndpointId) -> Result<()> {
        let (network, endpoint) = (network.to_string(), endpoint.to_string());
        let call = async |store: &mut Store<Guest>, exports: &Exports| {
            exports.driver.call_delete_endpoint(store, &network, &endpoint).await
        };
        self.call("delete-endpoint", op, call)
    }

    fn join(&mut self, op: &mut Operation, spec: &JoinSpec) -> Result<JoinReply<LinkId>> {
        let spec = convert::join_spec_to_guest(spec);
        let reply = self.call("join", op, async |store, exports| {
            exports.driver.call_join(store, &spec).await
        })?;
        let reply = self.join_reply(reply);
        self.replied("join", reply)
    }

    fn leave(&mut self, op: &mut Operation, network: &NetworkId, endpoint: &EndpointId) -> Result<()> {
        let (network, endpoint) = (network.to_string(), endpoint.to_string());
        self.call("leave", op, async |store, exports| {
            exports.driver.call_leave(store, &network, &endpoint).await
        })
    }

    fn program(
        &mut self,
        op: &mut Operation,
        network: &NetworkId,
        endpoint: &EndpointId,
        ports: &[PortMapping],
    ) -> Result<()> {
        let (network, endpoint) = (network.to_string(), endpoint.to_string());
        let ports: Vec<_> = ports.iter().map(convert::port_to_guest).collect();
        self.call("program", op, async |store, exports| {
            let connectivity = exports.ports.as_ref().ok_or_else(no_ports)?;
            connectivity.call_program(store, &network, &endpoint, &ports).await
        })
    }

    fn revoke(&mut self, op: &mut Operation, network: &NetworkId, endpoint: &EndpointId) -> Result<()> {
        let (network, endpoint) = (network.to_string(), endpoint.to_string());
        self.call("revoke", op, async |store, exports| {
            let connectivity = exports.ports.as_ref().ok_or_else(no_ports)?;
            connectivity.call_revoke(store, &network, &endpoint).await
        })
    }
}

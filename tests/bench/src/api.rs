//! The host as its users meet it: `jackfield serve` in a realm of its own, HTTP on its socket.

use std::time::{Duration, Instant};

use jackfield_lab::{Client, Host, HostOptions, Lab, Sandbox, component};
use serde_json::{Value, json};

use crate::{
    failure::{During, Result},
    figure::{Measured, Taken},
    quiet,
    subject::Subject,
};

/// How long a leave's deferred work may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a host in the lab's realm.
///
/// # Errors
/// With its last words, when it does not serve.
pub fn host(lab: &Lab) -> Result<Host<'_>> {
    let options = HostOptions {
        grants: component::GRANTS.to_owned(),
        ..HostOptions::default()
    };
    Host::start(lab, options).during("start the host")
}

/// A POST that has to succeed.
///
/// # Errors
/// With the host's refusal.
pub fn post(client: &mut Client, path: &str, body: &Value) -> Result<()> {
    let answer = client.post(path, body).and_then(|answer| answer.ok("ask the host"));
    answer.map(drop).during(&format!("POST {path}"))
}

/// A DELETE that has to succeed.
///
/// # Errors
/// With the host's refusal.
pub fn delete(client: &mut Client, path: &str) -> Result<()> {
    let answer = client.delete(path).and_then(|answer| answer.ok("ask the host"));
    answer.map(drop).during(&format!("DELETE {path}"))
}

/// Loads a driver of drivers/.
///
/// # Errors
/// When it was not built, or the host refuses it.
pub fn load(lab: &Lab, driver: &str) -> Result<()> {
    let step = format!("load the component of {driver}");
    let bytes = component::read(driver).during(&step)?;
    let mut client = lab.client().during("connect to the host")?;
    send(&mut client, "POST", "/v1/drivers", &bytes).map(drop)
}

/// A sandbox that joins and leaves one network.
pub struct Join<'a> {
    lab: &'a Lab,
    client: Client,
    sandbox: Sandbox,
    network: &'static str,
    join: Measured,
    leave: Option<Measured>,
}

impl<'a> Join<'a> {
    /// On a network of the built-in bridge; its leaves are measured too.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn built_in(lab: &'a Lab) -> Result<Self> {
        Self::new(
            lab,
            ("native", "bridge", "10.81.0.0/24"),
            Measured::JoinApiBridge,
            Some(Measured::LeaveApiBridge),
        )
    }

    /// On a network of the bridge as a component, which is loaded first.
    ///
    /// # Errors
    /// When the component was not built, or the host refuses.
    pub fn component(lab: &'a Lab) -> Result<Self> {
        load(lab, "bridge")?;
        Self::new(
            lab,
            ("wasm", "bridge-component", "10.82.0.0/24"),
            Measured::JoinApiComponent,
            None,
        )
    }

    /// On a new network, whose name, driver and subnet are given.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn new(
        lab: &'a Lab,
        (network, driver, subnet): (&'static str, &str, &str),
        join: Measured,
        leave: Option<Measured>,
    ) -> Result<Self> {
        let mut client = lab.client().during("connect to the host")?;
        let request = json!({ "name": network, "driver": driver, "pools": [{ "subnet": subnet }] });
        let created = client
            .post("/v1/networks", &request)
            .and_then(|answer| answer.ok("create the network"));
        created.during("create the network")?;
        let sandbox = Sandbox::create(lab, &mut client, &format!("on-{network}")).during("create a sandbox")?;
        Ok(Self {
            lab,
            client,
            sandbox,
            network,
            join,
            leave,
        })
    }

    /// Until the reaper has deleted what a leave put aside. Both ends go at once, and the sandbox has few links to look through.
    fn await_quiet(&self) -> Result<()> {
        quiet::until("wait for the reaper", PATIENCE, || {
            let left = self
                .lab
                .dump_of(&self.sandbox.namespace)
                .during("look into the sandbox")?;
            Ok(left.links.len() == 1)
        })
    }
}

impl Subject for Join<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let start = Instant::now();
        self.sandbox.connect(&mut self.client, self.network).during("join")?;
        let joined = start.elapsed();
        let start = Instant::now();
        self.sandbox
            .disconnect(&mut self.client, self.network)
            .during("leave")?;
        let left = start.elapsed();
        self.await_quiet()?;
        Ok(std::iter::once((self.join, joined.into()))
            .chain(self.leave.map(|what| (what, left.into())))
            .collect())
    }
}

/// A driver that is loaded, each time in a build that the host has never seen, and unloaded.
pub struct Cold {
    client: Client,
    bytes: Vec<u8>,
    builds: u16,
}

impl Cold {
    /// Of `ptp`.
    ///
    /// # Errors
    /// When the component was not built.
    pub fn new(lab: &Lab) -> Result<Self> {
        let client = lab.client().during("connect to the host")?;
        let bytes = component::read("ptp").during("read the component")?;
        Ok(Self {
            client,
            bytes,
            builds: 0,
        })
    }

    fn next_build(&mut self) -> Result<Vec<u8>> {
        self.builds += 1;
        let [major, minor, patch] = [self.builds / 100 % 10, self.builds / 10 % 10, self.builds % 10];
        component::with_version(&self.bytes, &format!("{major}.{minor}.{patch}")).during("make a newer build")
    }
}

impl Subject for Cold {
    fn run_once(&mut self) -> Result<Taken> {
        let bytes = self.next_build()?;
        let took = send(&mut self.client, "POST", "/v1/drivers", &bytes)?;
        let unloaded = self
            .client
            .delete("/v1/drivers/ptp")
            .and_then(|answer| answer.ok("unload"));
        unloaded.during("unload the driver")?;
        Ok(vec![(Measured::DriverLoadCold, took.into())])
    }

    fn every(&self) -> usize {
        10
    }
}

/// A driver that goes back and forth between two builds. The host keeps the compiled code of a driver's current and previous build.
pub struct Cached {
    client: Client,
    builds: [Vec<u8>; 2],
    current: usize,
}

impl Cached {
    /// Of `macvlan`.
    ///
    /// # Errors
    /// When the component was not built, or the host refuses it.
    pub fn new(lab: &Lab) -> Result<Self> {
        let mut client = lab.client().during("connect to the host")?;
        let bytes = component::read("macvlan").during("read the component")?;
        let newer = component::with_version(&bytes, "9.0.1").during("make a newer build")?;
        send(&mut client, "POST", "/v1/drivers", &bytes)?;
        send(&mut client, "PUT", CACHED, &newer)?;
        Ok(Self {
            client,
            builds: [bytes, newer],
            current: 1,
        })
    }
}

const CACHED: &str = "/v1/drivers/macvlan";

impl Subject for Cached {
    fn run_once(&mut self) -> Result<Taken> {
        self.current = 1 - self.current;
        let took = send(&mut self.client, "PUT", CACHED, &self.builds[self.current])?;
        Ok(vec![(Measured::DriverLoadCached, took.into())])
    }
}

/// How long the host took to take a component.
fn send(client: &mut Client, method: &str, path: &str, bytes: &[u8]) -> Result<Duration> {
    let start = Instant::now();
    let answer = client
        .component(method, path, bytes)
        .and_then(|answer| answer.ok("load"));
    let took = start.elapsed();
    answer.during("load the driver")?;
    Ok(took)
}

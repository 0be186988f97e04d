//! A thousand sandboxes at once: made, joined to one network, each with a name and a published port, by one client that asks for one after
//! another; then, while they are idle, what memory each takes; then all removed, and the realm as it was.
//!
//! The floor is a bare program that makes as many namespaces and sends the messages of their joins, on one bridge too. It has no names, no
//! ports, no paths for its namespaces and no memory of what it did.

use std::time::{Duration, Instant};

use jackfield_lab::{Client, Lab, Sandbox, dns};
use serde_json::json;

use crate::{
    api,
    crowd::{self, Crowd},
    failure::{During, Result},
    figure::{Amount, Measured, Taken},
    memory::{self, Memory},
    place::Place,
    quiet,
    subject::Subject,
};

/// How many; a bridge has room for 1,023.
const COUNT: u16 = 1_000;
/// How long it may take until nothing of them is left.
const PATIENCE: Duration = Duration::from_secs(120);
/// The n-th has this port and n more; all below those that the host chooses by itself.
const FIRST_PORT: u16 = 20_000;
const NETWORK: &str = "mass";
/// In which rounds they are run.
const EVERY: usize = 50;

/// By a bare program.
pub struct Floor {
    place: Place,
}

impl Floor {
    /// With a bridge of its own.
    ///
    /// # Errors
    /// When a realm cannot be made.
    pub fn new() -> Result<Self> {
        let place = Place::new("mass-floor")?;
        Ok(Self { place })
    }
}

impl Subject for Floor {
    fn run_once(&mut self) -> Result<Taken> {
        crowd::await_departures()?;
        let realm = self.place.lab.dump().during("look at the realm")?;
        let before = memory::kernel()?;
        let start = Instant::now();
        let crowd = Crowd::join(&self.place, 0..COUNT)?;
        let took = start.elapsed();
        let each = (memory::kernel()? - before) / f64::from(COUNT);
        drop(crowd);
        quiet::until_as_before(&self.place.lab, &realm, PATIENCE)?;
        Ok(vec![
            (Measured::MassFloor, took.into()),
            (Measured::MemoryKernelFloor, Amount::kibibytes(each)),
        ])
    }

    fn every(&self) -> usize {
        EVERY
    }

    fn warm_up(&self) -> usize {
        0
    }
}

/// By a host: a new one for each run, whose memory is not that of the run before.
pub struct Sandboxes<'a> {
    lab: &'a Lab,
}

impl<'a> Sandboxes<'a> {
    /// In that realm.
    pub fn new(lab: &'a Lab) -> Self {
        Self { lab }
    }

    /// That the last of them has its name, for the first.
    fn check(&self, first: &Sandbox) -> Result<()> {
        let step = "ask for the last sandbox's name";
        let last = format!("{}.", name(COUNT - 1));
        let told = dns::ask(self.lab, &first.namespace, &last, "A", None).during(step)?;
        match told.data.len() {
            1 => Ok(()),
            _ => Err(format!("{told:?}")).during(step),
        }
    }
}

fn name(number: u16) -> String {
    format!("s{number}")
}

fn make(client: &mut Client, number: u16) -> Result<()> {
    let port = json!({ "container_port": 80, "host_port": FIRST_PORT + number });
    api::post(client, "/v1/sandboxes", &json!({ "name": name(number) }))?;
    let connect = json!({ "sandbox": name(number), "publish": [port] });
    api::post(client, &format!("/v1/networks/{NETWORK}/connect"), &connect)
}

fn remove(client: &mut Client, name: &str) -> Result<()> {
    api::delete(client, &format!("/v1/sandboxes/{name}"))
}

impl Subject for Sandboxes<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        crowd::await_departures()?;
        let realm = self.lab.dump().during("look at the realm")?;
        let host = api::host(self.lab)?;
        let mut client = host.client().during("connect to the host")?;
        let network = json!({ "name": NETWORK, "driver": "bridge", "pools": [{ "subnet": "10.86.0.0/16" }] });
        api::post(&mut client, "/v1/networks", &network)?;
        // One more, which is not counted: it finds the bridge without ports and the host cold, and asks afterwards.
        let first = Sandbox::create(self.lab, &mut client, "first").during("create a sandbox")?;
        first.connect(&mut client, NETWORK).during("connect a sandbox")?;
        let before = Memory::with(host.pid())?;
        let start = Instant::now();
        (0..COUNT).try_for_each(|number| make(&mut client, number))?;
        let took = start.elapsed();
        let each = Memory::with(host.pid())?.for_each(before, f64::from(COUNT));
        self.check(&first)?;
        drop(first);
        (0..COUNT).try_for_each(|number| remove(&mut client, &name(number)))?;
        remove(&mut client, "first")?;
        api::delete(&mut client, &format!("/v1/networks/{NETWORK}"))?;
        quiet::until_as_before(self.lab, &realm, PATIENCE)?;
        host.stop().during("stop the host")?;
        Ok(vec![
            (Measured::Mass, took.into()),
            (Measured::MemoryHost, Amount::kibibytes(each.process)),
            (Measured::MemoryKernel, Amount::kibibytes(each.kernel)),
        ])
    }

    fn every(&self) -> usize {
        EVERY
    }

    fn warm_up(&self) -> usize {
        0
    }
}

//! Publishing one port, on a host without any and on one with ten thousand: what it costs must not grow.
//!
//! The ports are those of many endpoints, a hundred each, as on a busy host. What is measured is one request of an endpoint that is there
//! already: all of its ports, which are one.

use std::time::{Duration, Instant};

use jackfield_lab::{Client, Host, Lab, Sandbox};
use serde_json::{Value, json};

use crate::{
    api,
    failure::{During, Result},
    figure::{Measured, Taken},
    subject::Subject,
};

/// Ports of one endpoint.
const EACH: u16 = 100;
/// Below the ports that the host chooses by itself.
const FIRST_PORT: u16 = 20_000;
/// The port that comes and goes; nobody else's.
const MEASURED: u16 = 40_000;

/// An endpoint that publishes a port and takes it back.
pub struct Publish<'a> {
    client: Client,
    path: String,
    what: Measured,
    _host: Host<'a>,
}

impl<'a> Publish<'a> {
    /// On a host that has so many ports published already.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn beside(lab: &'a Lab, others: u16, what: Measured) -> Result<Self> {
        let host = api::host(lab)?;
        let mut client = host.client().during("connect to the host")?;
        let network = json!({ "name": "ports", "driver": "bridge", "pools": [{ "subnet": "10.83.0.0/16" }] });
        let created = client.post("/v1/networks", &network);
        created
            .and_then(|answer| answer.ok("create the network"))
            .during("create the network")?;
        for first in (0..others).step_by(usize::from(EACH)) {
            connect(
                lab,
                &mut client,
                &format!("holder-{first}"),
                &ports(first, EACH.min(others - first)),
            )?;
        }
        let endpoint = connect(lab, &mut client, "measured", &json!([]))?;
        Ok(Self {
            client,
            path: format!("/v1/endpoints/{endpoint}/ports"),
            what,
            _host: host,
        })
    }

    fn set(&mut self, ports: &Value) -> Result<Duration> {
        let request = json!({ "publish": ports });
        let start = Instant::now();
        let answer = self.client.put(&self.path, &request);
        let took = start.elapsed();
        answer.and_then(|answer| answer.ok("publish")).during("publish")?;
        Ok(took)
    }
}

fn connect(lab: &Lab, client: &mut Client, name: &str, ports: &Value) -> Result<String> {
    let sandbox = Sandbox::create(lab, client, name).during("create a sandbox")?;
    let joined = sandbox.connect_with(client, "ports", json!({ "publish": ports }));
    Ok(joined.during("connect a sandbox")?.endpoint)
}

fn ports(first: u16, count: u16) -> Value {
    let port = |n| json!({ "container_port": 80, "host_port": FIRST_PORT + n });
    (first..first + count).map(port).collect()
}

impl Subject for Publish<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let took = self.set(&json!([{ "container_port": 80, "host_port": MEASURED }]))?;
        self.set(&json!([]))?;
        Ok(vec![(self.what, took.into())])
    }
}

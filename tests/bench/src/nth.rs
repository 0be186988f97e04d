//! A join to a network that has so many endpoints already, by a host. Its floor is [`crate::floor::Floor::beside`] as many ports.

use jackfield_lab::{Client, Host, Lab};
use serde_json::json;

use crate::{
    api::{self, Join},
    failure::{During, Result},
    figure::{Measured, Taken},
    subject::Subject,
};

/// In which rounds it is run, and its floor.
pub const EVERY: usize = 2;
const NETWORK: &str = "crowded";

/// See the module.
pub struct Nth<'a> {
    join: Join<'a>,
    _host: Host<'a>,
}

impl<'a> Nth<'a> {
    /// With a host of its own, on which so many sandboxes have joined.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn beside(lab: &'a Lab, others: u16, what: Measured) -> Result<Self> {
        let host = api::host(lab)?;
        let join = Join::new(lab, (NETWORK, "bridge", "10.85.0.0/16"), what, None)?;
        let mut client = host.client().during("connect to the host")?;
        (0..others).try_for_each(|number| connect(&mut client, number))?;
        Ok(Self { join, _host: host })
    }
}

fn connect(client: &mut Client, number: u16) -> Result<()> {
    let name = format!("other-{number}");
    api::post(client, "/v1/sandboxes", &json!({ "name": name }))?;
    let path = format!("/v1/networks/{NETWORK}/connect");
    api::post(client, &path, &json!({ "sandbox": name }))
}

impl Subject for Nth<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        self.join.run_once()
    }

    fn every(&self) -> usize {
        EVERY
    }
}

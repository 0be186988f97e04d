//! `macvlan`: endpoints on a link of the host, each with a MAC of its own.
//!
//! Sandboxes are on the network that the parent is on; its router is their gateway. The host itself does not reach them by that parent: so
//! macvlan is made.

use std::str::FromStr;

use jackfield_sdk::{
    Driver, EndpointReply, EndpointSpec, Error, JoinReply, JoinSpec, Link, MacvlanMode, NetworkSpec, Options, Pairs,
    Result, Takes,
};

/// The label of an endpoint's link.
const PORT: &str = "port";
const NETWORK_OPTIONS: &[Takes] = &[
    Takes::new("parent", "the name of a link of the host"),
    Takes::new("mode", "bridge, private, vepa or passthru"),
];

/// The driver.
#[derive(Debug)]
pub struct Macvlan;

jackfield_sdk::export!(Macvlan, manifest = "driver.toml");

/// A network's options, typed.
struct Settings {
    parent: String,
    mode: Mode,
}

struct Mode(MacvlanMode);

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(match text {
            "bridge" => MacvlanMode::Bridge,
            "private" => MacvlanMode::Private,
            "vepa" => MacvlanMode::Vepa,
            "passthru" => MacvlanMode::Passthru,
            _ => return Err(Error::invalid("no mode of a macvlan")),
        }))
    }
}

impl Settings {
    fn read(options: &Pairs) -> Result<Self> {
        let options = Options::read(options, NETWORK_OPTIONS)?;
        Ok(Self {
            parent: options.require("parent")?,
            mode: options.get("mode")?.unwrap_or(Mode(MacvlanMode::Bridge)),
        })
    }
}

impl Driver for Macvlan {
    /// Makes nothing, but finds the parent, so that a wrong name or a missing grant is told here and not at the first join.
    fn create_network(network: &NetworkSpec) -> Result<()> {
        Link::find(&Settings::read(&network.options)?.parent).map(|_| ())
    }

    fn create_endpoint(_network: &NetworkSpec, endpoint: &EndpointSpec) -> Result<EndpointReply> {
        Options::read(&endpoint.options, &[])?;
        Ok(EndpointReply::default())
    }

    fn join(join: &JoinSpec) -> Result<JoinReply> {
        Options::read(&join.options, &[])?;
        let settings = Settings::read(&join.network.options)?;
        let parent = Link::find(&settings.parent)?;
        let port = Link::create_macvlan(PORT, &parent, settings.mode.0)?;
        let reply = JoinReply::interface(port, "eth");
        if join.network.internal {
            return Ok(reply);
        }
        Ok(join
            .network
            .pools
            .iter()
            .filter_map(|pool| pool.gateway)
            .fold(reply, JoinReply::gateway))
    }
}

#[cfg(test)]
mod tests;

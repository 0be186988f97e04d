//! CNI: ADD and DEL of a container with masquerading and one published port, by a list of one plugin or of several.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jackfield_lab::{Lab, cni};
use serde_json::{Value, json};

use super::{container::Container, exec};
use crate::{
    crowd::Witness,
    failure::Result,
    figure::{Measured, Taken},
    subject::Subject,
};

/// Where Debian has the reference plugins.
const REFERENCE: &str = "/usr/lib/cni";
const VERSION: &str = "1.0.0";
/// The port of the container that stays, and that of those that come and go.
const PORTS: [u16; 2] = [20_100, 20_101];

/// What the chain of reference plugins needs and this machine does not have.
pub fn missing() -> Option<&'static str> {
    let reference = ["bridge", "host-local", "portmap"];
    let absent = reference.into_iter().find(|p| !Path::new(REFERENCE).join(p).exists());
    let iptables = ["/usr/sbin/iptables", "/sbin/iptables"];
    absent.or_else(|| (!iptables.iter().any(|p| Path::new(p).exists())).then_some("iptables"))
}

/// A runtime with a list of plugins.
pub struct Cni<'a> {
    lab: &'a Lab,
    plugins: Vec<Plugin>,
    add: Measured,
    del: Measured,
    containers: u32,
    stays: Option<Container<'a>>,
    witness: &'a Witness,
}

struct Plugin {
    program: PathBuf,
    config: Value,
}

impl Plugin {
    fn published(program: PathBuf, mut config: Value) -> Self {
        config["capabilities"] = json!({ "portMappings": true });
        Self { program, config }
    }

    /// Its configuration as a runtime writes it for one call.
    fn input(&self, port: u16, previous: Option<&Value>) -> Value {
        let mut config = self.config.clone();
        config["cniVersion"] = json!(VERSION);
        if config.get("capabilities").is_some() {
            let port = json!({ "hostPort": port, "containerPort": 80, "protocol": "tcp" });
            config["runtimeConfig"] = json!({ "portMappings": [port] });
        }
        if let Some(previous) = previous {
            config["prevResult"] = previous.clone();
        }
        config
    }
}

impl<'a> Cni<'a> {
    /// The program of ours alone.
    ///
    /// # Errors
    /// When the host refuses the container that stays.
    pub fn ours(lab: &'a Lab, witness: &'a Witness) -> Result<Self> {
        let config = json!({ "name": "pods", "type": "jackfield-cni", "subnets": ["10.95.0.0/16"] });
        let plugins = vec![Plugin::published(cni::plugin(), config)];
        Self::new((lab, witness), plugins, (Measured::CniAdd, Measured::CniDel))
    }

    /// What most do without us: `bridge` with `host-local` and masquerading, then `portmap`.
    ///
    /// # Errors
    /// When it refuses the container that stays.
    pub fn chain(lab: &'a Lab, witness: &'a Witness) -> Result<Self> {
        let ipam = json!({
            "type": "host-local", "subnet": "10.95.0.0/16", "routes": [{ "dst": "0.0.0.0/0" }],
            "dataDir": lab.path("host-local").display().to_string(),
        });
        let bridge = json!({
            "name": "chain", "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipam": ipam,
        });
        let portmap = json!({ "name": "chain", "type": "portmap" });
        let reference = |name| Path::new(REFERENCE).join(name);
        let plugins = vec![
            Plugin {
                program: reference("bridge"),
                config: bridge,
            },
            Plugin::published(reference("portmap"), portmap),
        ];
        Self::new((lab, witness), plugins, (Measured::CniAddChain, Measured::CniDelChain))
    }

    fn new(
        (lab, witness): (&'a Lab, &'a Witness),
        plugins: Vec<Plugin>,
        (add, del): (Measured, Measured),
    ) -> Result<Self> {
        let mut cni = Self {
            lab,
            plugins,
            add,
            del,
            containers: 0,
            stays: None,
            witness,
        };
        let stays = cni.next_container()?;
        cni.add(&stays, PORTS[0])?;
        cni.stays = Some(stays);
        Ok(cni)
    }

    fn next_container(&mut self) -> Result<Container<'a>> {
        self.containers += 1;
        Container::new(self.lab, format!("cni-{}", self.containers))
    }

    /// Each plugin continues the result of the one before.
    fn add(&self, container: &Container<'_>, port: u16) -> Result<(Duration, Value)> {
        let (mut took, mut result) = (Duration::ZERO, None);
        for plugin in &self.plugins {
            let input = plugin.input(port, result.as_ref());
            let (more, printed) = self.call("ADD", plugin, container, &input)?;
            took += more;
            result = Some(printed);
        }
        Ok((took, result.unwrap_or_default()))
    }

    /// The other way round.
    fn del(&self, container: &Container<'_>, port: u16, result: &Value) -> Result<Duration> {
        let plugins = self.plugins.iter().rev();
        let took = plugins.map(|plugin| {
            let input = plugin.input(port, Some(result));
            Ok(self.call("DEL", plugin, container, &input)?.0)
        });
        took.sum()
    }

    fn call(&self, verb: &str, plugin: &Plugin, container: &Container<'_>, input: &Value) -> Result<(Duration, Value)> {
        let mut command = Command::new(&plugin.program);
        command
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &container.name)
            .env("CNI_NETNS", container.path())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", REFERENCE)
            .env("JACKFIELD_SHIM_SOCKET", self.lab.path("shim.sock"));
        exec::timed(self.lab, command, input)
    }
}

impl Subject for Cni<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let container = self.next_container()?;
        let (added, result) = self.add(&container, PORTS[1])?;
        let deleted = self.del(&container, PORTS[1], &result)?;
        drop(container);
        self.witness.await_departures()?;
        Ok(vec![(self.add, added.into()), (self.del, deleted.into())])
    }
}

/// What starting a program and reading what it says takes anyway: it is asked for its versions, and does not ask the host.
pub struct Started<'a>(&'a Lab);

impl<'a> Started<'a> {
    /// In that realm.
    pub fn new(lab: &'a Lab) -> Self {
        Self(lab)
    }
}

impl Subject for Started<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let mut command = Command::new(cni::plugin());
        command.env("CNI_COMMAND", "VERSION");
        let (took, _) = exec::timed(self.0, command, &json!({ "cniVersion": VERSION }))?;
        Ok(vec![(Measured::CniVersion, took.into())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_to_the_plugin_that_declares_them_and_results_to_the_next() {
        let config = json!({ "name": "n" });
        let plain = Plugin {
            program: "bridge".into(),
            config: config.clone(),
        };
        assert_eq!(plain.input(8080, None), json!({ "name": "n", "cniVersion": VERSION }));
        let portmap = Plugin::published("portmap".into(), config).input(8080, Some(&json!({ "ips": [] })));
        assert_eq!(portmap["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
        assert_eq!(portmap["prevResult"], json!({ "ips": [] }));
    }
}

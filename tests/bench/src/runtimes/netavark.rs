//! netavark: setup and teardown of a container with one published port, as Podman asks for them.
//!
//! ```text
//!   plugin    jackfield-netavark alone, as netavark starts it: beside the work of netavark's own bridge
//!   through   netavark, which starts it: what Podman waits for
//!   own       netavark with its own bridge
//! ```

use std::{
    env,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use jackfield_lab::{Lab, shim};
use serde_json::{Value, json};

use super::{container::Container, exec};
use crate::{
    crowd::Witness,
    failure::{During, Result},
    figure::{Measured, Taken},
    subject::Subject,
};

/// Which netavark: Debian 12 has one without plugins.
const VARIABLE: &str = "JACKFIELD_NETAVARK";
const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];

/// netavark 2, where there is one that can work.
///
/// # Errors
/// In words, why there is none.
pub fn program() -> Result<PathBuf, String> {
    let given = env::var_os(VARIABLE).map(PathBuf::from);
    let program = given.ok_or_else(|| format!("{VARIABLE} does not say where netavark 2 is"))?;
    if !program.is_file() {
        return Err(format!("there is no {}", program.display()));
    }
    if !NFT.iter().any(|nft| Path::new(nft).exists()) {
        return Err("there is no nft, which netavark needs".to_owned());
    }
    Ok(program)
}

/// Who is asked.
enum Asked {
    /// Our program, which is told of one network.
    Plugin,
    /// netavark, which is told of all.
    Netavark { program: PathBuf, folder: PathBuf },
}

/// A network of Podman's, and one address of it for the container that stays and one for those that come and go.
struct Network {
    name: &'static str,
    driver: &'static str,
    octet: u8,
    first_port: u16,
}

/// Podman, as far as netavark can tell.
pub struct Netavark<'a> {
    lab: &'a Lab,
    asked: Asked,
    network: Network,
    setup: Measured,
    teardown: Measured,
    containers: u32,
    stays: Option<Container<'a>>,
    witness: &'a Witness,
}

impl<'a> Netavark<'a> {
    /// The plugin alone.
    ///
    /// # Errors
    /// When the host refuses the container that stays.
    pub fn plugin(lab: &'a Lab, witness: &'a Witness) -> Result<Self> {
        let network = Network {
            name: "nv-plugin",
            driver: "jackfield",
            octet: 96,
            first_port: 20_200,
        };
        let measured = (Measured::NetavarkSetup, Measured::NetavarkTeardown);
        Self::new((lab, witness), Asked::Plugin, network, measured)
    }

    /// That netavark, which starts the plugin.
    ///
    /// # Errors
    /// When the container that stays is refused.
    pub fn through(lab: &'a Lab, witness: &'a Witness, program: &Path) -> Result<Self> {
        let network = Network {
            name: "nv-through",
            driver: "jackfield",
            octet: 97,
            first_port: 20_300,
        };
        let measured = (Measured::NetavarkSetupThrough, Measured::NetavarkTeardownThrough);
        Self::new((lab, witness), netavark(lab, program)?, network, measured)
    }

    /// That netavark with its own bridge.
    ///
    /// # Errors
    /// When the container that stays is refused.
    pub fn own(lab: &'a Lab, witness: &'a Witness, program: &Path) -> Result<Self> {
        let network = Network {
            name: "nv-own",
            driver: "bridge",
            octet: 98,
            first_port: 20_400,
        };
        let measured = (Measured::NetavarkSetupOwn, Measured::NetavarkTeardownOwn);
        Self::new((lab, witness), netavark(lab, program)?, network, measured)
    }

    fn new(
        (lab, witness): (&'a Lab, &'a Witness),
        asked: Asked,
        network: Network,
        (setup, teardown): (Measured, Measured),
    ) -> Result<Self> {
        let mut netavark = Self {
            lab,
            asked,
            network,
            setup,
            teardown,
            containers: 0,
            stays: None,
            witness,
        };
        let stays = netavark.next_container()?;
        let input = netavark.input(&stays, 0);
        exec::timed(lab, netavark.command("setup", &stays), &input)?;
        netavark.stays = Some(stays);
        Ok(netavark)
    }

    fn next_container(&mut self) -> Result<Container<'a>> {
        self.containers += 1;
        Container::new(self.lab, format!("{}-{}", self.network.name, self.containers))
    }

    fn input(&self, container: &Container<'_>, number: u16) -> Value {
        match self.asked {
            Asked::Plugin => self.network.of_one(container, number),
            Asked::Netavark { .. } => self.network.of_all(container, number),
        }
    }

    fn command(&self, verb: &str, container: &Container<'_>) -> Command {
        let mut command = match &self.asked {
            Asked::Plugin => Command::new(shim("jackfield-netavark")),
            Asked::Netavark { program, folder } => {
                let mut command = Command::new(program);
                command
                    .arg("--config")
                    .arg(folder)
                    .arg("--plugin-directory")
                    .arg(folder);
                command
            }
        };
        command.arg(verb).arg(container.path());
        command.env("JACKFIELD_SHIM_SOCKET", self.lab.path("shim.sock"));
        command
    }
}

/// With a folder of plugins and of its own files.
fn netavark(lab: &Lab, program: &Path) -> Result<Asked> {
    let (step, folder) = ("make netavark's folder", lab.path("netavark"));
    std::fs::create_dir_all(&folder).during(step)?;
    symlink(shim("jackfield-netavark"), folder.join("jackfield")).during(step)?;
    Ok(Asked::Netavark {
        program: program.to_owned(),
        folder,
    })
}

impl Network {
    fn info(&self) -> Value {
        let (name, octet) = (self.name, self.octet);
        json!({
            "created": "2026-11-23T17:05:59.580823186Z", "dns_enabled": false, "driver": self.driver,
            "id": format!("{octet:02x}").repeat(32), "internal": false, "ipv6_enabled": false, "name": name,
            "network_interface": format!("br{octet}"), "ipam_options": { "driver": "host-local" },
            "subnets": [{ "gateway": format!("10.{octet}.0.1"), "subnet": format!("10.{octet}.0.0/24") }],
        })
    }

    /// What Podman wants of it for the n-th container: it gives out the addresses.
    fn options(&self, number: u16) -> Value {
        json!({
            "aliases": [], "interface_name": "eth0", "static_mac": null, "options": null,
            "static_ips": [format!("10.{}.0.{}", self.octet, 2 + number)],
        })
    }

    fn container(&self, container: &Container<'_>, number: u16) -> Value {
        let port = json!({
            "container_port": 80, "host_ip": "", "host_port": self.first_port + number, "protocol": "tcp", "range": 1,
        });
        json!({ "container_id": container.name, "container_name": container.name, "port_mappings": [port] })
    }

    /// What netavark tells a plugin.
    fn of_one(&self, container: &Container<'_>, number: u16) -> Value {
        let mut input = self.container(container, number);
        input["network"] = self.info();
        input["network_options"] = self.options(number);
        input
    }

    /// What Podman tells netavark.
    fn of_all(&self, container: &Container<'_>, number: u16) -> Value {
        let mut input = self.container(container, number);
        input["networks"] = json!({ self.name: self.options(number) });
        input["network_info"] = json!({ self.name: self.info() });
        input
    }
}

impl Subject for Netavark<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let container = self.next_container()?;
        let input = self.input(&container, 1);
        let (setup, _) = exec::timed(self.lab, self.command("setup", &container), &input)?;
        let (teardown, _) = exec::timed(self.lab, self.command("teardown", &container), &input)?;
        drop(container);
        self.witness.await_departures()?;
        Ok(vec![(self.setup, setup.into()), (self.teardown, teardown.into())])
    }
}

//! A Podman beside a host of ours.

use std::ops::{Deref, DerefMut};

use jackfield_kernel::Namespace;
use jackfield_lab::{
    Lab, Podman, Result,
    podman::{Backend, IMAGE},
};
use jackfield_scenarios::{
    Kind,
    runtimes::{Beside, Way, With, lay_cable, options},
};
use serde_json::{Value, json};

/// A container's MAC address where one is asked for.
pub const MAC: &str = "02:42:0a:5b:01:4d";

/// With what is the same for every runtime.
pub struct Scene<'a> {
    beside: Beside<'a>,
    pub podman: Podman<'a>,
}

impl<'a> Deref for Scene<'a> {
    type Target = Beside<'a>;

    fn deref(&self) -> &Self::Target {
        &self.beside
    }
}

impl DerefMut for Scene<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.beside
    }
}

/// The backend, where it can be had here; says why where not.
pub fn possible(backend: Result<Backend, String>) -> Option<Backend> {
    backend.inspect_err(|why| println!("skipped: {why}")).ok()
}

impl<'a> Scene<'a> {
    pub fn new(lab: &'a Lab, backend: &Backend, kinds: &[Kind]) -> Result<Self> {
        let outside = lay_cable(lab)?;
        let podman = Podman::start(lab, backend)?;
        let beside = Beside::start(lab, outside, options(Some(podman.machine()), &[]), kinds)?;
        Ok(Self { beside, podman })
    }

    pub fn podman(&self, line: &str) -> Result<String> {
        self.podman.podman(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn refused(&self, line: &str) -> Result<String> {
        self.podman.refusal(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// What runs a container that waits, with these arguments of `podman run`.
    pub fn run_line(&self, name: &str, arguments: &str) -> String {
        let cgroup = self.podman.machine().cgroup();
        format!("run -d --name {name} --cgroup-parent /{cgroup} --cap-add NET_RAW {arguments} {IMAGE} sleep 100000")
    }

    pub fn run(&self, name: &str, arguments: &str) -> Result<Namespace> {
        self.podman(&self.run_line(name, arguments))?;
        self.podman.namespace(name)
    }

    /// Ends containers at once.
    pub fn remove(&self, containers: &str) -> Result<()> {
        self.podman(&format!("rm -f -t 0 {containers}")).map(drop)
    }

    /// Makes a network of ours known to Podman: for CNI the host has it already and prints its list, for netavark it is made on first use.
    pub fn create(&self, way: &Way, name: &str, with: With) -> Result<()> {
        let (file, content) = match self.podman.backend() {
            Backend::Cni => (format!("{name}.conflist"), self.create_network(way, name, with)?),
            Backend::Netavark(_) => {
                let mut described = described(way, name, with);
                // A list of the host's says it as well.
                described["options"]["jackfield.socket"] = json!(self.lab.path("shim.sock"));
                (format!("{name}.json"), described.to_string())
            }
        };
        let path = format!("{}/{file}", self.podman.backend().networks());
        self.podman.machine().write(&path, &content)
    }

    /// Podman forgets it, and then the host.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.podman(&format!("network rm {name}"))?;
        self.host.cli(&["network", "rm", name]).map(drop)
    }

    /// See [`Beside::end`].
    pub fn end(self) -> Result<()> {
        self.beside.end()
    }
}

/// What netavark calls the driver.
fn plugin(way: &Way) -> String {
    match way.kind.driver {
        "bridge" => "jackfield".to_owned(),
        other => format!("jackfield-{other}"),
    }
}

/// A network as Podman keeps it for netavark.
fn described(way: &Way, name: &str, with: With) -> Value {
    let options = way.kind.options.iter().chain(with.options);
    let options: serde_json::Map<_, _> = options.map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    let id: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let (_, first, last) = way.range;
    let mut subnets = vec![json!({
        "subnet": way.subnet, "gateway": way.gateway, "lease_range": { "start_ip": first, "end_ip": last },
    })];
    subnets.extend(
        with.ipv6
            .then(|| json!({ "subnet": "fd00:91::/64", "gateway": "fd00:91::1" })),
    );
    json!({
        "name": name, "id": format!("{id:0<64}"), "driver": plugin(way), "network_interface": "", "options": options,
        "created": "2026-01-01T00:00:00Z", "subnets": subnets, "ipv6_enabled": with.ipv6, "internal": with.internal,
        "dns_enabled": false, "ipam_options": { "driver": "host-local" },
    })
}

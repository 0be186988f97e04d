//! A dockerd beside a host of ours.

use std::ops::{Deref, DerefMut};

use jackfield_kernel::Namespace;
use jackfield_lab::{
    Lab, Result,
    dockerd::{self, Dockerd, IMAGE},
};
use jackfield_scenarios::{
    Kind,
    runtimes::{Beside, Way, lay_cable, options},
};

/// With what is the same for every runtime.
pub struct Scene<'a> {
    beside: Beside<'a>,
    pub dockerd: Dockerd<'a>,
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

/// Whether scenarios can be run here; says why where not.
pub fn possible() -> bool {
    let missing = dockerd::missing();
    if let Some(missing) = missing {
        println!("skipped: this machine has no {missing}, which Docker needs");
    }
    missing.is_none()
}

/// Plays a scenario in a lab of that name, and looks that nothing is left of it.
pub fn play(name: &str, kind: &Kind, story: impl FnOnce(&mut Scene<'_>) -> Result<()>) -> Result<()> {
    play_with(name, kind, &[], story)
}

/// The same with these arguments of dockerd's.
pub fn play_with(
    name: &str,
    kind: &Kind,
    arguments: &[&str],
    story: impl FnOnce(&mut Scene<'_>) -> Result<()>,
) -> Result<()> {
    if !possible() {
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let mut scene = Scene::new(&lab, kind, arguments)?;
    story(&mut scene)?;
    // A dockerd that restores containers swaps the first two rules that it has there itself.
    scene
        .beside
        .end_but(|line| line.starts_with("filter ip chain FORWARD rule"))
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab, kind: &Kind, arguments: &[&str]) -> Result<Self> {
        let outside = lay_cable(lab)?;
        let dockerd = Dockerd::start(lab, arguments)?;
        let plugins = lab.path("plugins").display().to_string();
        let options = options(None, &["--docker-plugins", &plugins]);
        let beside = Beside::start(lab, outside, options, &[*kind])?;
        Ok(Self { beside, dockerd })
    }

    pub fn docker(&self, line: &str) -> Result<String> {
        self.dockerd.docker(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn refused(&self, line: &str) -> Result<String> {
        self.dockerd.refusal(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Makes a network of that kind, with these arguments besides.
    pub fn create(&self, way: &Way, name: &str, more: &str) -> Result<()> {
        self.docker(&create(way, name, more)).map(drop)
    }

    /// A container that waits, with these arguments of `docker run`.
    pub fn run(&self, name: &str, arguments: &str) -> Result<Namespace> {
        self.docker(&run(name, arguments))?;
        self.dockerd.namespace(name)
    }

    /// Ends containers at once, and then removes networks.
    pub fn remove(&self, containers: &str, networks: &str) -> Result<()> {
        self.docker(&format!("rm -f {containers}"))?;
        self.docker(&format!("network rm {networks}")).map(drop)
    }

    pub fn restart_host(&mut self) -> Result<()> {
        self.host.kill()?;
        self.start_host()
    }
}

/// What makes a network of that kind.
pub fn create(way: &Way, name: &str, more: &str) -> String {
    // Docker has a bridge and a macvlan of its own.
    let prefix = if way.kind.driver == "ptp" { "" } else { "jackfield-" };
    let options: String = way
        .kind
        .options
        .iter()
        .map(|(key, value)| format!(" -o {key}={value}"))
        .collect();
    let (driver, subnet, range, gateway) = (way.kind.driver, way.subnet, way.range.0, way.gateway);
    format!(
        "network create -d {prefix}{driver} --subnet {subnet} --ip-range {range} --gateway {gateway}{options} {more} {name}"
    )
}

/// What runs a container that waits.
pub fn run(name: &str, arguments: &str) -> String {
    format!("run -d --name {name} {arguments} {IMAGE} sleep 100000")
}

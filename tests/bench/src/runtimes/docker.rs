//! `docker run --rm`, from the start of the client to its end, with each way of networking of one dockerd.

use std::time::{Duration, Instant};

use jackfield_lab::{
    Host, HostOptions, Lab,
    dockerd::{self, Dockerd, IMAGE},
};

use crate::{
    failure::{During, Result},
    figure::{Measured, Samples, Taken},
    parts::{Pace, end, lab},
    quiet,
    subject::Subject,
};

/// How long may go on what follows a container's end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container that does nothing, on a network.
struct Run<'a> {
    dockerd: &'a Dockerd<'a>,
    lab: &'a Lab,
    network: &'static str,
    what: Measured,
    links: usize,
}

/// All ways; nothing where there is no Docker.
///
/// # Errors
/// The first failure.
pub fn run(pace: Pace) -> Result<Samples> {
    if let Some(missing) = dockerd::missing() {
        eprintln!("bench: this machine has no {missing}, which Docker needs, so its containers are not measured");
        return Ok(Samples::default());
    }
    let lab = lab("bench-docker")?;
    super::connect_to_the_world(&lab)?;
    let dockerd = Dockerd::start(&lab, &["--storage-driver", "overlay2"]).during("start dockerd")?;
    let plugins = lab.path("plugins").display().to_string();
    let options = HostOptions {
        arguments: vec!["--docker-plugins".to_owned(), plugins],
        ..HostOptions::default()
    };
    let host = Host::start(&lab, options).during("start the host")?;
    for (driver, subnet, network) in [
        ("bridge", "10.91.1.0/24", "docker"),
        ("jackfield-bridge", "10.91.2.0/24", "jackfield"),
    ] {
        let create = ["network", "create", "-d", driver, "--subnet", subnet, network];
        dockerd.docker(&create).during("create a network of Docker's")?;
        let stays = ["run", "-d", "--network", network, IMAGE, "sleep", "100000"];
        dockerd.docker(&stays).during("run the container that stays")?;
    }
    let links = lab.dump().during("look at the realm")?.links.len();
    let way = |network, what| -> Box<dyn Subject + '_> {
        Box::new(Run {
            dockerd: &dockerd,
            lab: &lab,
            network,
            what,
            links,
        })
    };
    let samples = pace.interleave(vec![
        way("none", Measured::DockerNone),
        way("docker", Measured::DockerBridge),
        way("jackfield", Measured::DockerOurs),
    ])?;
    drop(dockerd);
    host.stop().during("stop the host")?;
    end(&[&lab])?;
    Ok(samples)
}

impl Subject for Run<'_> {
    fn run_once(&mut self) -> Result<Taken> {
        let start = Instant::now();
        let run = ["run", "--rm", "--network", self.network, IMAGE, "true"];
        let ran = self.dockerd.docker(&run);
        let took = start.elapsed();
        ran.during("run a container")?;
        quiet::until("wait until the container's links are gone", PATIENCE, || {
            Ok(self.lab.dump().during("look at the realm")?.links.len() == self.links)
        })?;
        Ok(vec![(self.what, took.into())])
    }

    fn every(&self) -> usize {
        5
    }
}

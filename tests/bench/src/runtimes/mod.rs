//! What a container's network costs its runtime: the programs that runtimes start for us beside those that they start without us, and the
//! kinds of drivers beside each other.
//!
//! ```text
//!   programs   jackfield-cni         beside bridge + host-local + portmap     each started as a runtime does, for a container of its own
//!              jackfield-netavark    beside netavark's own bridge
//!   docker     docker run with us    beside Docker's own bridge, and none     one dockerd for all
//!   plugins    a classic plugin      beside a component and the built-in one  one host for all, over its API
//! ```
//! Each network is made beforehand, with a container in it that stays: what comes with a first container and goes with the last is nobody's
//! figure. What is not installed is left out, with a word.

mod cni;
mod container;
mod docker;
mod exec;
mod netavark;
mod plugins;

use jackfield_lab::Lab;

use crate::{
    api,
    crowd::Witness,
    failure::{During, Result},
    figure::Samples,
    parts::{Pace, end, lab},
    subject::Subject,
};

/// All of them.
///
/// # Errors
/// The first failure of any subject.
pub fn run(pace: Pace) -> Result<Samples> {
    let mut samples = programs(pace)?;
    samples.extend(docker::run(pace)?);
    samples.extend(plugins::run(pace)?);
    Ok(samples)
}

/// What runtimes start. Each has a realm of its own, so that nobody's rules grow by another's.
fn programs(pace: Pace) -> Result<Samples> {
    let (ours, chain, own) = (lab("bench-ours")?, lab("bench-chain")?, lab("bench-netavark")?);
    for lab in [&ours, &chain, &own] {
        connect_to_the_world(lab)?;
    }
    let (host, witness) = (api::host(&ours)?, Witness::new()?);
    let mut subjects: Vec<Box<dyn Subject + '_>> = vec![
        Box::new(cni::Cni::ours(&ours, &witness)?),
        Box::new(netavark::Netavark::plugin(&ours, &witness)?),
        // Not right before an ADD, to which it would leave the program's pages warm.
        Box::new(cni::Started::new(&ours)),
    ];
    match cni::missing() {
        Some(missing) => eprintln!("bench: there is no {missing}, so nothing is measured beside jackfield-cni"),
        None => subjects.push(Box::new(cni::Cni::chain(&chain, &witness)?)),
    }
    match netavark::program() {
        Err(why) => eprintln!("bench: {why}, so nothing is measured beside jackfield-netavark"),
        Ok(program) => {
            subjects.push(Box::new(netavark::Netavark::through(&ours, &witness, &program)?));
            subjects.push(Box::new(netavark::Netavark::own(&own, &witness, &program)?));
        }
    }
    let samples = pace.interleave(subjects)?;
    host.stop().during("stop the host")?;
    end(&[&ours, &chain, &own])?;
    Ok(samples)
}

/// A cable, an address and a default route, as a machine has them.
fn connect_to_the_world(lab: &Lab) -> Result<()> {
    let step = "lay a cable";
    let outside = lab.uplink("up0", "outside").during(step)?;
    let [here, there] = ["198.51.100.1/24", "198.51.100.2/24"].map(str::parse);
    let cable = (here.during(step)?, there.during(step)?);
    lab.address_uplink(&outside, &[cable]).during(step)
}

//! The benchmarks that the README quotes: run by `cargo xtask bench`, in private namespaces.
//!
//! Each subject is a small struct that does its work once and says how long it took. They are run in turn, so that whatever else the machine
//! does meets all of them alike, with a pause before each: a join comes to a machine that was doing something else.
//!
//! ```text
//!   Floor   Naive   KernelCrate   Join (built-in, component)   Cached, Cold          Call     each a Subject
//!     \       \         |             |                            |                 /
//!      +-------+------ interleave ----+----------------------------+----------------+--> Samples --> table, JSON
//! ```
#![forbid(unsafe_code)]

mod api;
mod call;
mod failure;
mod figure;
mod floor;
mod kernel;
mod naive;
mod names;
mod place;
mod publish;
mod raw;
mod report;
mod subject;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use jackfield_lab::{Lab, private};

use failure::{During, Result};
use figure::Measured;
use subject::Subject;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", about = "Measures against the raw netlink floor")]
struct Arguments {
    /// How many times each is run; what takes long is run in every tenth round only
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Milliseconds before each run: by default the kernel's deferred work of the run before is done by then, and caches are as cold as they
    /// are for a caller who comes now and then
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Writes the figures there as a list of {name, unit, n, median, p99}, in microseconds
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only what needs no host and no component: floor, kernel crate, the naive way
    #[arg(long)]
    kernel_only: bool,
    /// Only published ports
    #[arg(long, conflicts_with = "kernel_only")]
    ports_only: bool,
    /// Only names
    #[arg(long, conflicts_with_all = ["kernel_only", "ports_only"])]
    names_only: bool,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(call::COMPILE) {
        return jackfield_wasm::compile_child_main();
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if !private::entered() {
        private::enter().during("enter private namespaces")?;
    }
    let pause = Duration::from_millis(arguments.pause);
    let samples = if arguments.kernel_only {
        subject::interleave(&mut by_netlink()?, arguments.rounds, pause)?
    } else if arguments.ports_only {
        ports_alone(arguments.rounds, pause)?
    } else if arguments.names_only {
        names_alone(arguments.rounds, pause)?
    } else {
        beside_a_host(arguments.rounds, pause)?
    };
    let figures = samples.figures();
    println!("{}", report::table(&figures));
    arguments
        .json
        .as_ref()
        .map_or(Ok(()), |file| report::write_json(file, &figures))
}

/// Those that speak to the kernel themselves.
fn by_netlink<'a>() -> Result<Vec<Box<dyn Subject + 'a>>> {
    Ok(vec![
        Box::new(floor::Floor::new()?),
        Box::new(kernel::KernelCrate::new()?),
        Box::new(naive::Naive::new()?),
    ])
}

/// A realm for each of the hosts that publish.
fn port_labs() -> Result<(Lab, Lab)> {
    let lab = |name| Lab::new(name).during("make a realm");
    Ok((lab("bench-ports-first")?, lab("bench-ports-full")?))
}

/// The first port of a host, and the ten-thousandth of another.
fn ports<'a>(empty: &'a Lab, full: &'a Lab) -> Result<Vec<Box<dyn Subject + 'a>>> {
    Ok(vec![
        Box::new(publish::Publish::beside(empty, 0, Measured::PublishFirst)?),
        Box::new(publish::Publish::beside(full, 9_999, Measured::PublishTenThousandth)?),
    ])
}

fn ports_alone(rounds: usize, pause: Duration) -> Result<figure::Samples> {
    let (empty, full) = port_labs()?;
    let samples = subject::interleave(&mut ports(&empty, &full)?, rounds, pause)?;
    [&empty, &full].into_iter().try_for_each(Lab::passed).during("end")?;
    Ok(samples)
}

/// Names of a host, and of dnsmasq where there is one.
fn names<'a>(host: &'a Lab, dnsmasq: &'a Lab) -> Result<Vec<Box<dyn Subject + 'a>>> {
    let mut subjects: Vec<Box<dyn Subject + 'a>> = vec![Box::new(names::Answers::of_host(host)?)];
    if let Some(answers) = names::Answers::of_dnsmasq(dnsmasq)? {
        subjects.push(Box::new(answers));
    }
    Ok(subjects)
}

fn name_labs() -> Result<(Lab, Lab)> {
    let lab = |name| Lab::new(name).during("make a realm");
    Ok((lab("bench-names")?, lab("bench-dnsmasq")?))
}

fn names_alone(rounds: usize, pause: Duration) -> Result<figure::Samples> {
    let (host, dnsmasq) = name_labs()?;
    let samples = subject::interleave(&mut names(&host, &dnsmasq)?, rounds, pause)?;
    [&host, &dnsmasq].into_iter().try_for_each(Lab::passed).during("end")?;
    Ok(samples)
}

/// All of them, with a host at work.
fn beside_a_host(rounds: usize, pause: Duration) -> Result<figure::Samples> {
    let lab = Lab::new("bench").during("make a realm")?;
    let (empty, full) = port_labs()?;
    let (named, dnsmasq) = name_labs()?;
    let host = api::host(&lab)?;
    let mut subjects = by_netlink()?;
    subjects.push(Box::new(api::Join::built_in(&lab)?));
    subjects.push(Box::new(api::Join::component(&lab)?));
    subjects.push(Box::new(api::Cached::new(&lab)?));
    subjects.push(Box::new(api::Cold::new(&lab)?));
    subjects.push(Box::new(call::Call::new()?));
    subjects.extend(ports(&empty, &full)?);
    subjects.extend(names(&named, &dnsmasq)?);
    let samples = subject::interleave(&mut subjects, rounds, pause)?;
    drop(subjects);
    host.stop().during("stop the host")?;
    [&lab, &empty, &full, &named, &dnsmasq]
        .into_iter()
        .try_for_each(Lab::passed)
        .during("end")?;
    Ok(samples)
}

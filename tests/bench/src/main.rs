//! The benchmarks that the README quotes: run by `cargo xtask bench`, in private namespaces.
//!
//! Each subject is a small struct that does its work once and says how long it took. They are run in turn, so that whatever else the machine
//! does meets all of them alike, with a pause before each: a join comes to a machine that was doing something else. The parts of a run follow
//! one another, so that the thousands of namespaces of one are gone when the next begins.
//!
//! ```text
//!   Host                        Ports     Services   Names     Scale          Mass                  each a Part
//!   Floor Naive KernelCrate     Publish   Service    Answers   Floor, Nth     Floor, Sandboxes      each a Subject
//!   Join Cached Cold Call        |         |          |         |              |
//!     +------ interleave --------+---------+----------+---------+--------------+--> Samples --> table, JSON
//! ```
//! And one more, `runtimes`, with other people's programs in it.
#![forbid(unsafe_code)]

mod api;
mod call;
mod crowd;
mod failure;
mod figure;
mod floor;
mod guest;
mod kernel;
mod mass;
mod memory;
mod naive;
mod names;
mod nth;
mod parts;
mod place;
mod publish;
mod quiet;
mod raw;
mod report;
mod runtimes;
mod service;
mod subject;
mod wanted;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use jackfield_lab::private;

use failure::{During, Result};
use figure::Samples;
use parts::{Pace, Part};

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
    /// Writes the figures there as a list of {name, unit, n, median, p99}; the unit is `us` (microseconds) or `KiB`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only what needs no host and no component: floor, kernel crate, the naive way
    #[arg(long, group = "part")]
    kernel_only: bool,
    /// Only published ports
    #[arg(long, group = "part")]
    ports_only: bool,
    /// Only services
    #[arg(long, group = "part")]
    services_only: bool,
    /// Only names
    #[arg(long, group = "part")]
    names_only: bool,
    /// Only joins of the 10th and the 900th endpoint
    #[arg(long, group = "part")]
    scale_only: bool,
    /// Only a thousand sandboxes, and the memory that they take
    #[arg(long, group = "part")]
    mass_only: bool,
    /// What runtimes start, beside what they start without us: Debian's CNI plugins, Docker, and the netavark that JACKFIELD_NETAVARK names;
    /// only these, and not run without this
    #[arg(long, group = "part")]
    runtimes: bool,
}

impl Arguments {
    fn parts(&self) -> Vec<Part> {
        let asked = [
            (self.kernel_only, Part::Kernel),
            (self.ports_only, Part::Ports),
            (self.services_only, Part::Services),
            (self.names_only, Part::Names),
            (self.scale_only, Part::Scale),
            (self.mass_only, Part::Mass),
            (self.runtimes, Part::Runtimes),
        ];
        match asked.into_iter().find(|(asked, _)| *asked) {
            Some((_, part)) => vec![part],
            None => Part::WHOLE.to_vec(),
        }
    }
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
    raise_open_files();
    let pace = Pace {
        rounds: arguments.rounds,
        pause: Duration::from_millis(arguments.pause),
    };
    let mut samples = Samples::default();
    for part in arguments.parts() {
        samples.extend(part.run(pace)?);
    }
    let figures = samples.figures();
    println!("{}", report::table(&figures));
    arguments
        .json
        .as_ref()
        .map_or(Ok(()), |file| report::write_json(file, &figures))
}

/// A thousand namespaces and sockets are more than most systems allow at first.
fn raise_open_files() {
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};
    // Where it does not work, opening them says so.
    let _ = getrlimit(RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(RLIMIT_NOFILE, most, most));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(words: &[&str]) -> Option<Vec<Part>> {
        let words = std::iter::once("bench").chain(words.iter().copied());
        Arguments::try_parse_from(words).ok().map(|arguments| arguments.parts())
    }

    #[test]
    fn one_part_can_be_asked_for_and_without_one_all_are_run() {
        assert_eq!(parts(&[]), Some(Part::WHOLE.to_vec()));
        assert_eq!(parts(&["--scale-only"]), Some(vec![Part::Scale]));
        assert_eq!(parts(&["--mass-only"]), Some(vec![Part::Mass]));
        assert_eq!(parts(&["--runtimes"]), Some(vec![Part::Runtimes]));
        assert_eq!(parts(&["--names-only", "--ports-only"]), None);
    }
}

//! Development tasks, run as `cargo xtask TASK`. Each does all of its own set-up, says plainly what is missing where it cannot, and runs what
//! touches the network inside private namespaces, so that neither root nor the machine's own network is needed.
#![forbid(unsafe_code)]

mod build;
mod demo;
mod docker_plugin;
mod failure;
mod inside;
mod package;
mod runtimes;
mod setup;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Watch the main job happen: a Wasm driver connects two sandboxes, is upgraded under load, and leaves nothing behind
    Demo,
    /// Run every test, each scenario in namespaces of its own
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
        /// Only scenarios with container runtimes; Debian's packages of Docker, containerd and Podman are installed where that is possible
        #[arg(long)]
        runtimes: bool,
        /// With Podman's newer backend too, netavark 2.1, which is built where it is missing: some minutes
        #[arg(long, requires = "runtimes")]
        long: bool,
    },
    /// Measure against the raw netlink floor, and with --runtimes against other programs; interleaved, medians and p99
    Bench {
        /// Passed on, for instance --json FILE
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the drivers as components, and print where they are
    Drivers,
    /// Make a folder for `docker plugin create`: the host as a managed plugin, which a swarm needs
    DockerPlugin(docker_plugin::Arguments),
    /// Make the Debian package
    Package,
    /// Run a command inside private namespaces
    #[command(hide = true)]
    Inside {
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// The demo proper, inside
    #[command(hide = true)]
    DemoInside,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Failure> {
    match task {
        Task::Demo => {
            setup::check()?;
            build::host(build::Profile::Dev)?;
            build::drivers()?;
            inside::xtask(&["demo-inside"])
        }
        Task::Test {
            filter,
            runtimes: true,
            long,
        } => {
            setup::check()?;
            runtimes::test(filter.as_deref(), long)
        }
        Task::Test { filter, .. } => {
            setup::check()?;
            tidy::check()?;
            build::drivers()?;
            build::tests()?;
            inside::cargo_test(&[], filter.as_deref(), None)
        }
        Task::Bench { arguments } => {
            setup::check()?;
            build::drivers()?;
            build::host(build::Profile::Release)?;
            build::bench()?;
            inside::bench(&build::shims()?, &arguments)
        }
        Task::Drivers => {
            setup::check()?;
            build::drivers()?;
            build::DRIVERS
                .iter()
                .for_each(|d| println!("{}", build::component(d).display()));
            Ok(())
        }
        Task::DockerPlugin(arguments) => docker_plugin::make(arguments),
        Task::Package => package::make(),
        Task::Inside { command } => inside::become_command(&command),
        Task::DemoInside => demo::run(),
    }
}

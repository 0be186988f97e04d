//! The command line: one file a group of commands. Every command but `serve` is a client of the host's socket.
//!
//! Exit codes: 0 well, 1 the host or the command refused, 2 the command line is wrong; `run` and `exec` pass on their command's.

mod arguments;
mod conflist;
mod doctor;
mod driver;
mod driver_options;
mod etc;
mod events;
mod exec;
mod failure;
mod info;
mod leases;
mod manual;
mod network;
mod output;
mod pools;
mod run;
mod sandbox;
mod serve;
mod signals;
mod spinner;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    client::Client,
    paths::{Places, socket_in},
};
use failure::Failure;
use output::Output;

/// Heading of the options that every command has.
const EVERYWHERE: &str = "Everywhere";

/// What a command comes to: the exit code of the process, or why not.
type Outcome = Result<ExitCode, Failure>;

/// Networks for containers, by drivers that you can trust.
#[derive(Debug, Parser)]
#[command(
    name = "jackfield",
    version,
    arg_required_else_help = true,
    infer_subcommands = false
)]
struct Cli {
    /// Socket of the host [default: /run/jackfield/jackfield.sock for root]
    #[arg(long, global = true, env = "JACKFIELD_SOCKET", hide_env_values = true, value_name = "PATH", help_heading = EVERYWHERE)]
    socket: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the host
    Serve(serve::Arguments),
    /// Show the host
    Info,
    /// Tell whether the runtimes on this machine find the host, and how to mend it where they do not
    Doctor,
    /// Run a command in a sandbox of its own
    Run(run::Arguments),
    /// Show what happens, as it happens
    Events(events::Arguments),
    /// Networks
    #[command(subcommand)]
    Network(network::Command),
    /// Sandboxes
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Drivers
    #[command(subcommand)]
    Driver(driver::Command),
    /// Print the completions of a shell
    Completions(manual::Completions),
    /// Writes the manual pages; for packages
    #[command(hide = true)]
    ManualPages(manual::Pages),
    /// Compiles a component that comes on standard input; for the host itself
    #[command(hide = true)]
    CompileComponent,
}

/// What the clients' commands have at hand.
struct Session {
    client: Client,
    output: Output,
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run() {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

impl Cli {
    fn run(self) -> Outcome {
        let socket = self.socket;
        match self.command {
            Command::Serve(arguments) => arguments.run(socket),
            Command::CompileComponent => Ok(serve::compile_component()),
            Command::Completions(arguments) => arguments.run(),
            Command::ManualPages(arguments) => arguments.run(),
            command => {
                let socket = socket.unwrap_or_else(|| socket_in(&Places::of_this_user().run_dir));
                let session = Session {
                    client: Client::new(socket),
                    output: Output { json: self.json },
                };
                // One thread: a client waits for one thing at a time.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime
                    .map_err(|e| Failure::system("cannot start", e))?
                    .block_on(command.run(session))
            }
        }
    }
}

impl Command {
    async fn run(self, mut session: Session) -> Outcome {
        match self {
            Self::Info => info::show(&mut session).await,
            Self::Doctor => doctor::show(&mut session).await,
            Self::Run(arguments) => arguments.run(session).await,
            Self::Events(arguments) => arguments.run(session).await,
            Self::Network(command) => command.run(&mut session).await,
            Self::Sandbox(command) => command.run(session).await,
            Self::Driver(command) => command.run(&mut session).await,
            Self::Serve(_) | Self::CompileComponent | Self::Completions(_) | Self::ManualPages(_) => {
                unreachable!("run without a client")
            }
        }
    }
}

//! Completions for shells, and manual pages, made from the command line itself so that they say what it does.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, Outcome};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    /// Prints the script that the shell reads.
    pub fn run(self) -> Outcome {
        clap_complete::generate(self.shell, &mut Cli::command(), "jackfield", &mut io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct Pages {
    /// Where they are written
    folder: PathBuf,
}

impl Pages {
    /// A page for each command: `jackfield.1`, `jackfield-network-create.1`, ...
    pub fn run(self) -> Outcome {
        let failed = |cause| {
            Failure::system(
                &format!("cannot write manual pages to {}", self.folder.display()),
                cause,
            )
        };
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.folder).map_err(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}

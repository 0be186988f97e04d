//! Programs, as runtimes start them: in the realm, with JSON on standard input, and done when they have ended.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use jackfield_lab::{Lab, cni};
use serde_json::Value;

use crate::failure::{During, Result};

/// From before it is started until it has ended, and what it printed.
///
/// # Errors
/// When it cannot be run, or with its own words when it fails.
pub fn timed(lab: &Lab, command: Command, input: &Value) -> Result<(Duration, Value)> {
    let step = format!("run {}", command.get_program().display());
    let run = || {
        let start = Instant::now();
        let answer = cni::run(command, input);
        (start.elapsed(), answer)
    };
    let (took, answer) = lab.within(lab.realm(), run).during(&step)?;
    Ok((took, answer.during(&step)?.result(&step).during("ask a plugin")?))
}

//! A CNI runtime, as far as a plugin can tell: environment, standard input, and what it makes of the answer.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use jackfield_kernel::Namespace;
use serde_json::Value;

use crate::{
    Lab, Result,
    error::{During, LabError},
    host,
};

/// A runtime that calls from a namespace, with a configuration.
#[derive(Clone, Debug)]
pub struct Cni<'a> {
    lab: &'a Lab,
    from: &'a Namespace,
    /// CNI_ARGS.
    pub arguments: String,
    /// The configuration of the plugin, as a runtime writes it to its standard input.
    pub config: Value,
}

/// What a plugin answered.
#[derive(Clone, Debug)]
pub struct CniAnswer {
    /// It succeeded.
    pub ok: bool,
    /// Its standard output, `Null` where there was none.
    pub out: Value,
}

impl CniAnswer {
    /// The result of a success.
    ///
    /// # Errors
    /// With the plugin's own words.
    pub fn result(self, step: &str) -> Result<Value> {
        if self.ok {
            return Ok(self.out);
        }
        Err(LabError::new(step, self.out.to_string()))
    }

    /// The code of a refusal; zero for a success.
    pub fn code(&self) -> u64 {
        self.out["code"].as_u64().unwrap_or_default()
    }
}

impl<'a> Cni<'a> {
    /// One that calls from the lab's realm.
    pub fn new(lab: &'a Lab, config: Value) -> Self {
        Self::calling_from(lab, lab.realm(), config)
    }

    /// One that calls from another namespace.
    pub fn calling_from(lab: &'a Lab, from: &'a Namespace, config: Value) -> Self {
        Self {
            lab,
            from,
            arguments: String::new(),
            config,
        }
    }

    /// The same with other words in its configuration.
    #[must_use]
    pub fn with(&self, key: &str, value: Value) -> Self {
        let mut other = self.clone();
        other.config[key] = value;
        other
    }

    /// Calls the plugin; an empty path leaves the namespace out.
    ///
    /// # Errors
    /// When the program cannot be run, or prints what is no JSON.
    pub fn call(&self, verb: &str, container: &str, netns: &str, interface: &str) -> Result<CniAnswer> {
        let step = format!("CNI {verb} {container} {interface}");
        let mut command = Command::new(plugin());
        command
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", netns)
            .env("CNI_IFNAME", interface)
            .env("CNI_PATH", "/opt/cni/bin")
            .env("JACKFIELD_SHIM_SOCKET", self.lab.path("shim.sock"))
            .env("CNI_ARGS", &self.arguments);
        let run = || run(command, &self.config);
        self.lab.within(self.from, run)?.during(&step)
    }

    /// ADD of `eth0`, which has to succeed.
    ///
    /// # Errors
    /// With the plugin's own words.
    pub fn add(&self, container: &str, netns: &str) -> Result<Value> {
        self.call("ADD", container, netns, "eth0")?
            .result(&format!("ADD {container}"))
    }

    /// DEL of `eth0`, which has to succeed and say nothing.
    ///
    /// # Errors
    /// With the plugin's own words.
    pub fn del(&self, container: &str, netns: &str) -> Result<()> {
        let said = self
            .call("DEL", container, netns, "eth0")?
            .result(&format!("DEL {container}"))?;
        if said.is_null() {
            return Ok(());
        }
        Err(LabError::new(format!("DEL {container}"), format!("it printed {said}")))
    }
}

/// The plugin under test.
pub fn plugin() -> PathBuf {
    host::shim("jackfield-cni")
}

/// Runs a plugin with that on its standard input.
///
/// # Errors
/// When it cannot be run, or prints what is no JSON.
pub fn run(mut command: Command, input: &Value) -> std::io::Result<CniAnswer> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has heard enough reads no more.
        let _ = stdin.write_all(input.to_string().as_bytes());
    }
    let output = child.wait_with_output()?;
    let out = if output.stdout.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&output.stdout)?
    };
    Ok(CniAnswer {
        ok: output.status.success(),
        out,
    })
}

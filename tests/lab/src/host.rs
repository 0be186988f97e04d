//! `jackfield serve` in a lab's realm, as its users run it.

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Client, Lab, Result,
    error::{During, LabError},
    machine,
};

/// How long a host may take to serve or to stop before that counts as a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a scenario wants of its host.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Contents of the file of grants.
    pub grants: String,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(String, String)>,
    /// First process of the [`crate::Machine`] that it runs in, for runtimes' sake that name containers by paths; else it sees the lab's.
    pub machine: Option<u32>,
}

/// A host at work. Dropping it kills it.
#[derive(Debug)]
pub struct Host<'a> {
    lab: &'a Lab,
    options: HostOptions,
    child: Child,
    /// The host itself: in a machine it is the child's child.
    pid: Pid,
}

impl<'a> Host<'a> {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// With the end of its log, when it ends or does not serve in time.
    pub fn start(lab: &'a Lab, options: HostOptions) -> Result<Self> {
        std::fs::write(lab.path("grants.toml"), &options.grants).during("write the grants")?;
        let (child, pid) = spawn(lab, &options)?;
        let mut host = Self {
            lab,
            options,
            child,
            pid,
        };
        host.await_serving()?;
        Ok(host)
    }

    /// A host that is expected to die by itself; not waited for.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn start_doomed(lab: &'a Lab, options: HostOptions) -> Result<Self> {
        std::fs::write(lab.path("grants.toml"), &options.grants).during("write the grants")?;
        let (child, pid) = spawn(lab, &options)?;
        Ok(Self {
            lab,
            options,
            child,
            pid,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// A connection.
    pub fn client(&self) -> Result<Client> {
        self.lab.client()
    }

    /// The command line, run in the realm against this host.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = command(self.lab);
        command.args(arguments).stdin(Stdio::null());
        self.lab
            .within(self.lab.realm(), || command.output())?
            .during(&format!("run jackfield {}", arguments.join(" ")))
    }

    /// The same, for what has to succeed; answers with what it printed.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(LabError::new(
                format!("jackfield {}", arguments.join(" ")),
                format!("{}: {}", output.status, words.trim()),
            ));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// kill -9, and waits for the end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // It may have ended by itself, and then its id is nobody's or another's.
        if !self.ended()? {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        self.child.wait().during("wait for the host's end")
    }

    /// Ends it as systemd would.
    pub fn stop(mut self) -> Result<ExitStatus> {
        kill(self.pid, Signal::SIGTERM).during("ask the host to stop")?;
        self.await_end()
    }

    /// Waits for it to end by itself.
    pub fn await_end(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().during("wait for the host")? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(LabError::new(
                    "wait for the host's end",
                    format!("still there\n{}", self.log_end()),
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it has ended by now.
    pub fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().during("look after the host")?.is_some())
    }

    /// Starts it again, on the same folders, with these options.
    pub fn restart(&mut self, options: HostOptions) -> Result<()> {
        if !self.ended()? {
            self.kill()?;
        }
        (self.child, self.pid) = spawn(self.lab, &options)?;
        self.options = options;
        self.await_serving()
    }

    /// Waits until it answers.
    pub fn await_serving(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.lab.client().and_then(|mut c| c.get("/v1/info")).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().during("wait for the host")? {
                return Err(LabError::new(
                    "start the host",
                    format!("it ended with {status}\n{}", self.log_end()),
                ));
            }
            if Instant::now() > deadline {
                return Err(LabError::new(
                    "start the host",
                    format!("it does not serve\n{}", self.log_end()),
                ));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        machine::end_of(&self.lab.path("host.log"))
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        // What has ended may be another's process by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the host's last words:\n{}", self.log_end());
        }
    }
}

/// What was started, and the host's own process.
fn spawn(lab: &Lab, options: &HostOptions) -> Result<(Child, Pid)> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(lab.path("host.log"))
        .during("open the host's log")?;
    let mut command = server(lab, options.machine);
    command
        .arg("serve")
        .arg("--run-dir")
        .arg(lab.path("run"))
        .arg("--state-dir")
        .arg(lab.path("state"))
        .arg("--grants")
        .arg(lab.path("grants.toml"))
        // Not the machine's: who wants servers writes this file.
        .arg("--resolv-conf")
        .arg(lab.path("resolv.conf"))
        .args(&options.arguments)
        .envs(options.environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let spawned: io::Result<Child> = lab.within(lab.realm(), || command.spawn())?;
    let mut child = spawned.during(&format!("start {}", program().display()))?;
    let id = match options.machine {
        None => Some(child.id()),
        Some(_) => machine::first_child(child.id()),
    };
    let pid = id.and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    if pid.is_none() {
        let _ = child.kill();
    }
    let pid = pid.ok_or_else(|| LabError::new("start a host in a machine", "it ended at once"))?;
    Ok((child, pid))
}

/// The program in the realm, or in a machine, which has it in the lab's folder.
fn server(lab: &Lab, machine: Option<u32>) -> Command {
    let Some(first) = machine else { return command(lab) };
    let mut command = machine::enter(first);
    command.arg(lab.path("bin").join(program().file_name().unwrap_or_default()));
    command.env("JACKFIELD_SOCKET", lab.socket());
    command
}

fn command(lab: &Lab) -> Command {
    let mut command = Command::new(program());
    command.env("JACKFIELD_SOCKET", lab.socket());
    command
}

/// The program under test: `JACKFIELD_BIN`, or the one that was built beside the running program.
pub fn program() -> PathBuf {
    if let Some(given) = std::env::var_os("JACKFIELD_BIN") {
        return given.into();
    }
    program_named("jackfield")
}

/// A small program that runtimes start: in the folder `JACKFIELD_SHIMS`, or the one that was built beside the running program.
pub fn shim(name: &str) -> PathBuf {
    std::env::var_os("JACKFIELD_SHIMS").map_or_else(|| program_named(name), |folder| PathBuf::from(folder).join(name))
}

/// A program that was built beside the running one.
pub fn program_named(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    // target/debug/xtask, target/debug/deps/scenario-0123: the program is in the first folder above that has it.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|d| d.join(name))
        .find(|p| p.is_file());
    found.unwrap_or_else(|| name.into())
}

//! A real dockerd in a lab's realm, and containers of it.
//!
//! It runs in a [`Machine`], and so do its containers: they outlive it when it is killed, and end with the machine. It finds plugins in the folder
//! `plugins` of the lab. Its own firewall is as it makes it: what is forwarded is dropped.

use std::{
    fs,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use jackfield_kernel::Namespace;

use crate::{
    Lab, Result,
    error::{During, LabError},
    machine::{self, Machine, PATIENCE, end_of, run},
};

/// The client of the same version: newer ones leave out what it still knows.
const CLIENT: &str = "/usr/bin/docker";
/// The only image: a static busybox under the names of what is run.
pub const IMAGE: &str = "jackfield-box";
/// Programs without which there is no dockerd.
const NEEDED: [&str; 5] = ["dockerd", "containerd", "runc", "docker", "iptables"];

/// A dockerd.
#[derive(Debug)]
pub struct Dockerd<'a> {
    lab: &'a Lab,
    machine: Machine<'a>,
    arguments: Vec<String>,
}

/// Why there can be none here.
pub fn missing() -> Option<&'static str> {
    machine::missing(&NEEDED)
}

impl<'a> Dockerd<'a> {
    /// Starts one, with these further arguments, and waits until it serves.
    ///
    /// # Errors
    /// With its log, when it does not.
    pub fn start(lab: &'a Lab, arguments: &[&str]) -> Result<Self> {
        fs::create_dir_all(lab.path("plugins")).during("make the folder of plugins")?;
        let machine = Machine::start(lab)?;
        let plugins = r#"mkdir -p /etc/docker /run/docker/plugins; mount --bind "$1/plugins" /run/docker/plugins"#;
        machine.script(plugins, &[])?;
        let dockerd = Self {
            lab,
            machine,
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
        };
        dockerd.launch()?;
        dockerd.import()?;
        Ok(dockerd)
    }

    /// Starts it, where it is not running.
    ///
    /// # Errors
    /// With its log, when it does not serve.
    pub fn launch(&self) -> Result<()> {
        let script = r#"
            root=$1 cgroup=$2; shift 2
            rm -f "$root/docker.pid" "$root/exec/containerd/containerd.pid" "$root/docker.sock"
            exec dockerd --data-root "$root/docker" --exec-root "$root/exec" --pidfile "$root/docker.pid" -H "unix://$root/docker.sock" \
                --storage-driver vfs --cgroup-parent "/$cgroup" "$@" >>"$root/dockerd.log" 2>&1
        "#;
        let root = self.lab.path("");
        let mut command = self.machine.command("sh");
        command
            .args(["-c", script, "dockerd"])
            .arg(&root)
            .arg(self.machine.cgroup())
            .args(&self.arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Its own end is seen by what it answers; it ends with the machine.
        let _child = command.spawn().during("start dockerd")?;
        let begun = Instant::now();
        while self.docker(&["version"]).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(LabError::new("start dockerd", self.log_end()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// kill -9. Containers go on; containerd goes with it.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(&self) -> Result<()> {
        self.end("KILL")
    }

    /// Ends it as systemd would.
    ///
    /// # Errors
    /// When it was not running.
    pub fn stop(&self) -> Result<()> {
        self.end("TERM")
    }

    fn end(&self, signal: &str) -> Result<()> {
        let script = r#"
            pid=$(cat "$1/docker.pid"); kill "-$2" "$pid"
            while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
        "#;
        self.machine.script(script, &[signal]).map(drop)
    }

    /// A command of the client's.
    ///
    /// # Errors
    /// With what it printed, when it fails.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        run(&mut self.client(arguments))
    }

    /// The same, for what may fail.
    ///
    /// # Errors
    /// When it cannot be run at all.
    pub fn try_docker(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.client(arguments);
        command.output().during(&format!("run {command:?}"))
    }

    /// What a command that has to fail says.
    ///
    /// # Errors
    /// When it succeeds.
    pub fn refusal(&self, arguments: &[&str]) -> Result<String> {
        let output = self.try_docker(arguments)?;
        if output.status.success() {
            return Err(LabError::new(
                format!("docker {}", arguments.join(" ")),
                "it is not refused",
            ));
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// A command of the client's, to be run by the caller.
    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(CLIENT);
        command
            .arg("-H")
            .arg(format!("unix://{}", self.lab.path("docker.sock").display()));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The network namespace of a running container.
    ///
    /// # Errors
    /// When it is not running.
    pub fn namespace(&self, container: &str) -> Result<Namespace> {
        let pid = self.docker(&["inspect", "-f", "{{.State.Pid}}", container])?;
        self.machine.namespace(&pid)
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        end_of(&self.lab.path("dockerd.log"))
    }

    fn import(&self) -> Result<()> {
        self.machine.make_box()?;
        let script = r#"tar -C "$1/box" -c . | /usr/bin/docker -H "unix://$1/docker.sock" import - "$2""#;
        self.machine.script(script, &[IMAGE]).map(drop)
    }
}

impl Drop for Dockerd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("dockerd's last words:\n{}", self.log_end());
        }
    }
}

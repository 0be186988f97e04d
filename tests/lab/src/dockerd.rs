//! A real dockerd in a lab's realm, and containers of it.
//!
//! ```text
//!   holder: process and mount namespaces, ended with all that is in them when it is dropped
//!     dockerd: started in it, killed and started again; containers live in the holder
//! ```
//! It finds plugins in the folder `plugins` of the lab. Its own firewall is as it makes it: what is forwarded is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, Namespace, NamespaceSource};

use crate::{
    Lab, Result,
    error::{During, LabError},
    private,
};

/// How long dockerd may take to serve.
const PATIENCE: Duration = Duration::from_secs(30);
/// The client of the same version: newer ones leave out what it still knows.
const CLIENT: &str = "/usr/bin/docker";
/// The only image: a static busybox under each of these names.
pub const IMAGE: &str = "jackfield-box";
const PROGRAMS: [&str; 8] = ["sh", "sleep", "ip", "ping", "cat", "true", "nslookup", "wget"];
/// Programs without which there is no dockerd.
const NEEDED: [&str; 9] = [
    "dockerd",
    "containerd",
    "runc",
    "docker",
    "iptables",
    "busybox",
    "tini",
    "nsenter",
    "tar",
];

/// A dockerd.
#[derive(Debug)]
pub struct Dockerd<'a> {
    lab: &'a Lab,
    holder: Child,
    /// The holder's first process, by which its namespaces are entered.
    inside: u32,
    cgroup: String,
    arguments: Vec<String>,
}

/// Why there can be none here.
pub fn missing() -> Option<&'static str> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let there = |program: &&str| folders.iter().any(|folder| Path::new(folder).join(program).exists());
    let absent = NEEDED.into_iter().find(|program| !there(program));
    absent.or_else(|| private::mapped().then_some("root"))
}

impl<'a> Dockerd<'a> {
    /// Starts one, with these further arguments, and waits until it serves.
    ///
    /// # Errors
    /// With its log, when it does not.
    pub fn start(lab: &'a Lab, arguments: &[&str]) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(lab.path("plugins")).during("make the folder of plugins")?;
        fs::create_dir_all("/etc/docker").during("make /etc/docker")?;
        let holder = hold(lab)?;
        let inside = first_process(&holder)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dockerd = Self {
            lab,
            holder,
            inside,
            cgroup: format!("jackfield-{}-{number}", std::process::id()),
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
        let mut command = self.nsenter();
        command
            .args(["sh", "-c", script, "dockerd"])
            .arg(&root)
            .arg(&self.cgroup)
            .args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Its own end is seen by what it answers; its parent is the holder.
        let _child = self
            .lab
            .within(self.lab.realm(), || command.spawn())?
            .during("start dockerd")?;
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
        let mut command = self.nsenter();
        command
            .args(["sh", "-ec", script, "end"])
            .arg(self.lab.path(""))
            .arg(signal);
        run(&mut command).map(drop)
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
        let path: PathBuf = format!("/proc/{}/root/proc/{pid}/ns/net", self.inside).into();
        let opened = self.lab.kernel().open_namespace(&NamespaceSource::Path(path));
        opened.during(&format!("open the namespace of container {container}"))
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        let log = fs::read_to_string(self.lab.path("dockerd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn nsenter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.inside.to_string(), "-m", "-p"]);
        command
    }

    fn import(&self) -> Result<()> {
        let script = r#"
            root=$1 image=$2; shift 2
            mkdir -p "$root/box/bin" "$root/box/etc"; cp -L "$(command -v busybox)" "$root/box/bin/busybox"
            for program; do ln -sf busybox "$root/box/bin/$program"; done
            tar -C "$root/box" -c . | /usr/bin/docker -H "unix://$root/docker.sock" import - "$image"
        "#;
        let mut command = Command::new("sh");
        command
            .args(["-ec", script, "import"])
            .arg(self.lab.path(""))
            .arg(IMAGE)
            .args(PROGRAMS);
        run(&mut command).map(drop)
    }
}

impl Drop for Dockerd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("dockerd's last words:\n{}", self.log_end());
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // Its processes are gone a moment later, and only then the folders can be.
        let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let folders = controllers.map(|c| c.path().join(&self.cgroup));
        for folder in folders.filter(|f| f.is_dir()) {
            let begun = Instant::now();
            while remove(&folder).is_err() && begun.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// With what is below it.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten().filter(|e| e.path().is_dir()) {
        remove(&entry.path())?;
    }
    fs::remove_dir(folder)
}

fn hold(lab: &Lab) -> Result<Child> {
    let script = r#"
        mount -t tmpfs tmpfs /etc/docker
        mkdir -p /run/docker; mount -t tmpfs tmpfs /run/docker
        mkdir /run/docker/plugins; mount --bind "$1/plugins" /run/docker/plugins
        umount /sys/fs/cgroup/unified 2>/dev/null || true
        touch "$1/held"; exec tini -- sleep infinity
    "#;
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child=KILL",
        "--propagation",
        "private",
    ]);
    command
        .args(["sh", "-ec", script, "holder"])
        .arg(lab.path(""))
        .stdin(Stdio::null());
    let mut holder = lab
        .within(lab.realm(), || command.spawn())?
        .during("hold dockerd's namespaces")?;
    let begun = Instant::now();
    while !lab.path("held").exists() {
        let ended = holder.try_wait().during("look after the holder")?;
        if ended.is_some() || begun.elapsed() > PATIENCE {
            return Err(LabError::new(
                "hold dockerd's namespaces",
                "the holder ended, or is stuck",
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(holder)
}

/// The child of `unshare`, which is the first process of the new namespaces.
fn first_process(holder: &Child) -> Result<u32> {
    let path = format!("/proc/{0}/task/{0}/children", holder.id());
    let children = fs::read_to_string(&path).during("look for the holder's child")?;
    let child = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    child.ok_or_else(|| LabError::new("look for the holder's child", "it has none"))
}

fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().during(&shown)?;
    if !output.status.success() {
        return Err(LabError::new(shown, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

//! containerd on a machine, with its CRI plugin as a kubelet meets it, and `ctr`.
//!
//! Pods' sandboxes are of an image that is made here: a busybox that sleeps. Both ways use `/opt/cni/bin` and `/etc/cni/net.d`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use jackfield_kernel::Namespace;

use crate::{
    Lab, Result,
    error::{During, LabError},
    machine::{self, Machine, PATIENCE, end_of, run},
};

/// The image of sandboxes.
const IMAGE: &str = "localhost/jackfield-box:1";
/// Programs without which there is no containerd.
const NEEDED: [&str; 5] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "sha256sum"];
/// Where Debian's package containernetworking-plugins has them; the CRI plugin wants `loopback`.
const PLUGINS: &str = "/usr/lib/cni";

/// Where its CNI configurations are.
pub const NETWORKS: &str = "/etc/cni/net.d";

/// As a `docker save` writes it.
const SAVE: &str = r#"
    image=$1/image; mkdir -p "$image"; tar -C "$1/box" -cf "$image/layer.tar" .
    sum=$(sha256sum "$image/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/bin/sleep","100000"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$3" "$sum" >"$image/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$2" >"$image/manifest.json"
    tar -C "$image" -c manifest.json config.json layer.tar | ctr -a "$1/containerd.sock" -n k8s.io images import -
"#;

/// A containerd.
#[derive(Debug)]
pub struct Containerd<'a> {
    machine: Machine<'a>,
}

/// Why there can be none here.
pub fn missing() -> Option<&'static str> {
    let loopback = PathBuf::from(PLUGINS).join("loopback").exists();
    machine::missing(&NEEDED).or_else(|| (!loopback).then_some("CNI plugin `loopback` in /usr/lib/cni"))
}

impl<'a> Containerd<'a> {
    /// Starts one on a machine of its own, and waits until it serves.
    ///
    /// # Errors
    /// With its log, when it does not.
    pub fn start(lab: &'a Lab) -> Result<Self> {
        let machine = Machine::start(lab)?;
        machine.write("/etc/containerd/config.toml", &configuration(lab))?;
        let plugins = r#"mkdir -p /opt/cni/bin /etc/cni/net.d; cp "$2/loopback" /opt/cni/bin/; ln -s "$1/bin/jackfield-cni" /opt/cni/bin/"#;
        machine.script(plugins, &[PLUGINS])?;
        machine.make_box()?;
        let containerd = Self { machine };
        containerd.launch()?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        containerd.machine.script(SAVE, &[IMAGE, architecture])?;
        Ok(containerd)
    }

    fn launch(&self) -> Result<()> {
        let mut command = self.machine.command("sh");
        command.args(["-c", r#"exec containerd >"$1/containerd.log" 2>&1"#, "containerd"]);
        command.arg(self.machine.lab().path(""));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Its own end is seen by what it answers; it ends with the machine.
        let _child = command.spawn().during("start containerd")?;
        let begun = Instant::now();
        while self.ctr(&["version"]).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(LabError::new("start containerd", self.log_end()));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(())
    }

    /// What it runs on.
    pub fn machine(&self) -> &Machine<'a> {
        &self.machine
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.machine.lab().path("containerd.sock")
    }

    /// A command of `ctr`, to be run by the caller.
    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command("ctr");
        command.arg("-a").arg(self.socket()).args(arguments);
        command
    }

    /// What `ctr` prints.
    ///
    /// # Errors
    /// With what it says, when it fails.
    pub fn ctr(&self, arguments: &[&str]) -> Result<String> {
        run(&mut self.client(arguments))
    }

    /// The network namespace of a running task of `ctr`'s.
    ///
    /// # Errors
    /// When it is not running.
    pub fn namespace(&self, task: &str) -> Result<Namespace> {
        let tasks = self.ctr(&["tasks", "ls"])?;
        let pid = tasks.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(task)).then(|| words.next()).flatten()
        });
        let pid = pid.ok_or_else(|| LabError::new(format!("look for task {task}"), &tasks))?;
        self.machine.namespace(pid)
    }

    /// The last lines of its log.
    pub fn log_end(&self) -> String {
        end_of(&self.machine.lab().path("containerd.log"))
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("containerd's last words:\n{}", self.log_end());
        }
    }
}

/// Snapshots are plain copies, which every file system can hold; a machine may have no device mapper and no right to lower a score.
fn configuration(lab: &Lab) -> String {
    let folder = lab.path("").display().to_string();
    format!(
        r#"version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "{NETWORKS}"
"#
    )
}

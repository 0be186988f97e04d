//! Docker's daemon in a lab.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, Namespace, NamespaceSource};
use jackfield_lab::{Lab, LabError, Result};

use super::plan::CONTAINERS;

/// A dockerd in the lab's realm. Dropping it ends it with everything that it started.
pub struct Dockerd<'a> {
    lab: &'a Lab,
    child: Child,
    /// Where it keeps its containers' cgroups.
    cgroup: String,
}

impl<'a> Dockerd<'a> {
    /// In a process and a mount namespace of its own: the end of its first process ends all of it, and its folders are the lab's.
    /// It looks after IPv6 as after IPv4, which 20.10 does where it is told so.
    pub fn start(lab: &'a Lab, name: &str) -> Result<Self> {
        let script = r#"
            mount -t tmpfs tmpfs /etc/docker
            mount --bind "$1/resolv.conf" /etc/resolv.conf
            umount /sys/fs/cgroup/unified 2>/dev/null || true
            dockerd --data-root "$1/docker" --exec-root "$1/exec" --pidfile "$1/docker.pid" -H "unix://$1/docker.sock" \
                --storage-driver vfs --cgroup-parent "/$2" --experimental --ip6tables >"$1/dockerd.log" 2>&1
        "#;
        let cgroup = format!("jackfield-{name}-{}", std::process::id());
        std::fs::create_dir_all("/etc/docker").map_err(|e| LabError::new("make /etc/docker", e))?;
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
            .args(["sh", "-c", script, "dockerd"])
            .arg(lab.path(""))
            .arg(&cgroup)
            .stdin(Stdio::null());
        let child = lab
            .within(lab.realm(), || command.spawn())?
            .map_err(|e| LabError::new("start dockerd", e))?;
        let dockerd = Self { lab, child, cgroup };
        let begun = Instant::now();
        while dockerd.docker(&["version"]).is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                let log = std::fs::read_to_string(lab.path("dockerd.log")).unwrap_or_default();
                return Err(LabError::new("start dockerd", log));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(dockerd)
    }

    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        let socket = format!("unix://{}", self.lab.path("docker.sock").display());
        run(Command::new("docker").args(["-H", &socket]).args(arguments))
    }

    /// An image with nothing but a program that waits.
    pub fn import_image(&self) -> Result<()> {
        let script = r#"
            mkdir -p "$1/root"
            cp -L --parents /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') "$1/root"
            tar -C "$1/root" -c . | docker -H "unix://$1/docker.sock" import - waits
        "#;
        run(Command::new("sh")
            .args(["-ec", script, "import"])
            .arg(self.lab.path("")))
        .map(drop)
    }

    /// Seconds that a container waits for, by which its process is known.
    pub fn mark(&self, number: usize) -> String {
        format!("{}{number:03}", self.child.id())
    }

    /// A container's process as the lab sees it: the one that waits for that long.
    pub fn namespace(&self, seconds: &str) -> Result<Namespace> {
        let words = ["/bin/sleep", seconds].map(|word| format!("{word}\0")).concat();
        let is_it =
            |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == words.as_bytes());
        let entries = std::fs::read_dir("/proc").map_err(|e| LabError::new("list processes", e))?;
        let mut pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
        let pid = pids
            .find(is_it)
            .ok_or_else(|| LabError::new("find a container", seconds))?;
        let source = NamespaceSource::Path(format!("/proc/{pid}/ns/net").into());
        self.lab
            .kernel()
            .open_namespace(&source)
            .map_err(|e| LabError::new("open a container's namespace", e))
    }
}

impl Drop for Dockerd<'_> {
    fn drop(&mut self) {
        let names = CONTAINERS.iter().map(|plan| plan.name);
        let _ = self.docker(&["rm", "-f"].into_iter().chain(names).collect::<Vec<_>>());
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Empty by now; what is not would be in use.
        let controllers = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for folder in controllers.map(|c| c.path().join(&self.cgroup)).filter(|f| f.is_dir()) {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|e| LabError::new(&shown, e))?;
    if !output.status.success() {
        return Err(LabError::new(shown, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

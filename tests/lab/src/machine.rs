//! A machine for a container runtime: process and mount namespaces on a lab's realm, in which the runtime and the host see the same paths.
//!
//! ```text
//!   unshare (the holder)
//!     first process: whatever is in the namespaces ends with it, and it ends with the holder
//!       programs, started in them by `command`
//! ```
//! What runtimes write to is empty there and nobody else's: `/run`, `/var/lib`, `/opt`, and `/etc` is a copy. The lab's own folder is where it
//! is outside, and in its `bin` is what was built beside the host. What programs leave among the machine's control groups is removed at the end.

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
    host, private,
};

/// How long what is started may take to be there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long the kernel may take to end what is in a control group.
const EMPTYING: Duration = Duration::from_secs(5);
/// What a machine is held by.
const NEEDED: [&str; 5] = ["unshare", "nsenter", "tini", "busybox", "tar"];
/// What a box has, each a link to busybox.
const PROGRAMS: [&str; 8] = ["sh", "sleep", "ip", "ping", "cat", "true", "nslookup", "wget"];

/// Makes the folders, and then waits for ever. The copy of `/etc` has nothing of the machine's own runtimes.
const HOLD: &str = r#"
    lab=$1 programs=$2
    mkdir -p "$lab/bin"; mount --bind "$programs" "$lab/bin"
    mount --rbind "$lab" /mnt
    for folder in /run /var/lib /opt; do mount -t tmpfs tmpfs "$folder"; done
    mkdir -p "$lab" /run/etc /run/netns /run/lock /run/jackfield
    mount --move /mnt "$lab"
    cp -a /etc/. /run/etc/; rm -rf /run/etc/docker /run/etc/containers /run/etc/cni
    mount --bind /run/etc /etc
    umount /sys/fs/cgroup/unified 2>/dev/null || true
    touch "$lab/held"; exec tini -- sleep infinity
"#;

/// A machine. Dropping it ends all that runs in it.
#[derive(Debug)]
pub struct Machine<'a> {
    lab: &'a Lab,
    holder: Child,
    first: u32,
    cgroup: String,
}

/// What of these programs, and of those that a machine needs, is not here; `root` where this process is not that of the machine.
pub fn missing(programs: &[&'static str]) -> Option<&'static str> {
    let absent = NEEDED.iter().chain(programs).find(|program| !is_here(program));
    absent
        .copied()
        .or_else(|| private::mapped().then_some("root of the machine"))
}

/// Whether a program is installed.
pub fn is_here(program: &str) -> bool {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    folders.iter().any(|folder| Path::new(folder).join(program).exists())
}

impl<'a> Machine<'a> {
    /// Makes one on the lab's realm.
    ///
    /// # Errors
    /// When its namespaces cannot be made or its folders cannot be mounted.
    pub fn start(lab: &'a Lab) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let holder = hold(lab)?;
        let mut machine = Self {
            lab,
            holder,
            first: 0,
            cgroup: format!(
                "jackfield-{}-{}",
                std::process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            ),
        };
        machine.first = first_child(machine.holder.id()).ok_or_else(|| LabError::new("hold a machine", "it ended"))?;
        Ok(machine)
    }

    /// The lab that it is in.
    pub fn lab(&self) -> &'a Lab {
        self.lab
    }

    /// Process id of its first process, by which its namespaces are entered.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The name of the control group, below each controller's root, that its runtime is to put containers in.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// A program in it. Its output goes where the caller sends it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = enter(self.first);
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// What a program in it prints.
    ///
    /// # Errors
    /// With what it says, when it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        run(self.command(program).args(arguments))
    }

    /// What a script prints that runs in it, and ends at the first failure. Its first argument is the lab's folder.
    ///
    /// # Errors
    /// With what it says, when it fails.
    pub fn script(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command("sh");
        command.args(["-ec", script, "script"]).arg(self.lab.path(""));
        run(command.args(arguments))
    }

    /// Writes a file of its own, with the folders above it. The path may not lead over absolute links: they would lead outside.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let path = self.seen_from_outside(path);
        let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = folder.and_then(|()| fs::write(&path, content));
        written.during(&format!("write {}", path.display()))
    }

    /// A file of its own.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.seen_from_outside(path)).during(&format!("read {path}"))
    }

    /// The network namespace of a process that has that id in there.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn namespace(&self, pid: &str) -> Result<Namespace> {
        let path = self.seen_from_outside(&format!("/proc/{pid}/ns/net"));
        let opened = self.lab.kernel().open_namespace(&NamespaceSource::Path(path));
        opened.during(&format!("open the network namespace of process {pid}"))
    }

    /// Makes `box` in the lab's folder, the root of a container with a static busybox, and returns its path.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn make_box(&self) -> Result<PathBuf> {
        let script = r#"
            box=$1/box; shift
            mkdir -p "$box/bin" "$box/etc" "$box/proc" "$box/sys" "$box/dev"; cp -L "$(command -v busybox)" "$box/bin/busybox"
            for program; do ln -sf busybox "$box/bin/$program"; done
        "#;
        self.script(script, &PROGRAMS)?;
        Ok(self.lab.path("box"))
    }

    fn seen_from_outside(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root{path}", self.first).into()
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        // Its processes are gone a moment later, and only then the folders can be.
        let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let folders = controllers.map(|c| c.path().join(&self.cgroup));
        for folder in folders.filter(|f| f.is_dir()) {
            let begun = Instant::now();
            while remove(&folder).is_err() && begun.elapsed() < EMPTYING {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// What enters a machine's namespaces, and runs what is appended.
pub(crate) fn enter(first: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &first.to_string(), "-m", "-n", "-p", "--"]);
    command
}

/// The child of a program that starts another one and waits for it; None when it ended before it had one.
pub(crate) fn first_child(parent: u32) -> Option<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let children = fs::read_to_string(&path).ok()?;
        if let Some(child) = children.split_whitespace().next() {
            return child.parse().ok();
        }
        // What ended and was not waited for has no child any more.
        if fs::read_link(format!("/proc/{parent}/exe")).is_err() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// What a command prints.
///
/// # Errors
/// With what it says, when it fails.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output: Output = command.output().during(&shown)?;
    if !output.status.success() {
        return Err(LabError::new(shown, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The last lines of a log.
pub(crate) fn end_of(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

fn hold(lab: &Lab) -> Result<Child> {
    let step = "hold a machine";
    let program = host::program();
    let mut command = Command::new("unshare");
    let namespaces = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"];
    command.args(namespaces).args(["--propagation", "private"]);
    command.args(["sh", "-ec", HOLD, "holder"]).arg(lab.path(""));
    command.arg(program.parent().unwrap_or(Path::new("/usr/bin")));
    command.stdin(Stdio::null());
    let mut holder = lab.within(lab.realm(), || command.spawn())?.during(step)?;
    let begun = Instant::now();
    while !lab.path("held").exists() {
        let ended = holder.try_wait().during(step)?;
        if ended.is_some() || begun.elapsed() > PATIENCE {
            let _ = holder.kill();
            return Err(LabError::new(step, "the holder ended, or is stuck"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(holder)
}

/// With what is below it.
fn remove(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten().filter(|e| e.path().is_dir()) {
        remove(&entry.path())?;
    }
    fs::remove_dir(folder)
}

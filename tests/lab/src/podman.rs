//! Podman on a machine, with either of its network backends.
//!
//! Each call is a process of its own, and what it keeps is in the lab's folder. Containers are held by conmon and end with the machine.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use jackfield_kernel::Namespace;

use crate::{
    Lab, Result,
    error::{During, LabError},
    machine::{self, Machine, run},
};

/// The only image: a static busybox under the names of what is run.
pub const IMAGE: &str = "localhost/jackfield-box";
/// Programs without which there is no Podman.
const NEEDED: [&str; 3] = ["podman", "conmon", "runc"];
/// Names a netavark that knows plugins: 1.6 or newer.
const NETAVARK: &str = "JACKFIELD_NETAVARK";
/// The last Podman that was built with CNI.
const LAST_WITH_CNI: u32 = 4;

const POLICY: &str = r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#;

/// How Podman makes networks.
#[derive(Clone, Debug)]
pub enum Backend {
    /// By CNI's plugins.
    Cni,
    /// By this netavark, and its plugins.
    Netavark(PathBuf),
}

impl Backend {
    /// CNI's, or why it cannot be had here.
    ///
    /// # Errors
    /// With that reason.
    pub fn cni() -> Result<Self, String> {
        is_possible()?;
        let printed = Command::new("podman").arg("--version").output();
        let version = String::from_utf8_lossy(&printed.map_err(|e| e.to_string())?.stdout).into_owned();
        match major(&version) {
            Some(major) if major <= LAST_WITH_CNI => Ok(Self::Cni),
            _ => Err(format!("{} has no CNI backend", version.trim())),
        }
    }

    /// netavark's, or why it cannot be had here.
    ///
    /// # Errors
    /// With that reason.
    pub fn netavark() -> Result<Self, String> {
        is_possible()?;
        let named = std::env::var_os(NETAVARK).map(PathBuf::from);
        named.filter(|path| path.is_file()).map(Self::Netavark).ok_or_else(|| {
            format!("{NETAVARK} names no netavark, 1.6 or newer; cargo xtask test --runtimes --long builds one")
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Cni => "cni",
            Self::Netavark(_) => "netavark",
        }
    }

    /// The folder that its networks are described in.
    pub fn networks(&self) -> &'static str {
        match self {
            Self::Cni => "/etc/cni/net.d",
            Self::Netavark(_) => "/etc/containers/networks",
        }
    }
}

/// Of `podman version 4.3.1`.
fn major(version: &str) -> Option<u32> {
    version.split_whitespace().last()?.split('.').next()?.parse().ok()
}

fn is_possible() -> Result<(), String> {
    let missing = machine::missing(&NEEDED);
    missing.map_or(Ok(()), |missing| {
        Err(format!("this machine has no {missing}, which Podman needs"))
    })
}

/// A Podman.
#[derive(Debug)]
pub struct Podman<'a> {
    machine: Machine<'a>,
    backend: Backend,
}

impl<'a> Podman<'a> {
    /// Sets one up on a machine of its own, with plugins that lead to the host's programs.
    ///
    /// # Errors
    /// When its files cannot be written, or it cannot import its image.
    pub fn start(lab: &'a Lab, backend: &Backend) -> Result<Self> {
        let machine = Machine::start(lab)?;
        let podman = Self {
            machine,
            backend: backend.clone(),
        };
        podman.configure()?;
        podman.lead_to_host()?;
        podman.machine.make_box()?;
        let import = r#"tar -C "$1/box" -c . | podman import - "$2""#;
        podman.machine.script(import, &[IMAGE])?;
        Ok(podman)
    }

    /// What it runs on.
    pub fn machine(&self) -> &Machine<'a> {
        &self.machine
    }

    /// How it makes networks.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// A command of its own, to be run by the caller.
    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command("podman");
        command.args(arguments);
        command
    }

    /// What a command prints.
    ///
    /// # Errors
    /// With what it says, when it fails.
    pub fn podman(&self, arguments: &[&str]) -> Result<String> {
        run(&mut self.client(arguments))
    }

    /// What a command that has to fail says.
    ///
    /// # Errors
    /// When it succeeds.
    pub fn refusal(&self, arguments: &[&str]) -> Result<String> {
        let step = format!("podman {}", arguments.join(" "));
        let output: Output = self.client(arguments).output().during(&step)?;
        if output.status.success() {
            return Err(LabError::new(step, "it is not refused"));
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The network namespace of a running container.
    ///
    /// # Errors
    /// When it is not running.
    pub fn namespace(&self, container: &str) -> Result<Namespace> {
        let pid = self.podman(&["inspect", "-f", "{{.State.Pid}}", container])?;
        self.machine.namespace(&pid)
    }

    fn configure(&self) -> Result<()> {
        let folder = self.machine.lab().path("podman").display().to_string();
        let storage =
            format!("[storage]\ndriver = \"vfs\"\nrunroot = \"{folder}/run\"\ngraphroot = \"{folder}/root\"\n");
        for (file, content) in [
            ("containers.conf", configuration(&self.backend)),
            ("storage.conf", storage),
            ("policy.json", POLICY.to_owned()),
        ] {
            self.machine.write(&format!("/etc/containers/{file}"), &content)?;
        }
        Ok(())
    }

    /// Puts the host's small programs where the backend looks for plugins.
    fn lead_to_host(&self) -> Result<()> {
        let lab = self.machine.lab();
        // Podman looks for the folder with either backend.
        self.machine.script("mkdir -p /opt/cni/bin", &[])?;
        let script = match &self.backend {
            Backend::Cni => r#"mkdir -p /etc/cni/net.d; ln -s "$1/bin/jackfield-cni" /opt/cni/bin/"#,
            Backend::Netavark(program) => {
                fs::copy(program, lab.path("netavark")).during("copy netavark")?;
                // Podman of that age does not say where plugins are.
                r#"
                mkdir -p /opt/helpers /opt/plugins /etc/containers/networks
                for name in jackfield jackfield-ptp jackfield-macvlan; do ln -s "$1/bin/jackfield-netavark" "/opt/plugins/$name"; done
                printf '#!/bin/sh\nexec "%s/netavark" --plugin-directory /opt/plugins "$@"\n' "$1" >/opt/helpers/netavark
                chmod +x /opt/helpers/netavark
                "#
            }
        };
        self.machine.script(script, &[]).map(drop)
    }
}

/// `containers.conf`. Limits are such as an unprivileged machine has, and nothing is asked of systemd.
fn configuration(backend: &Backend) -> String {
    format!(
        r#"[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
helper_binaries_dir = ["/opt/helpers"]
[network]
network_backend = "{}"
network_config_dir = "{}"
cni_plugin_dirs = ["/opt/cni/bin"]
"#,
        backend.name(),
        backend.networks()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_podman_prints() {
        assert_eq!(major("podman version 4.3.1\n"), Some(4));
        assert_eq!(major("podman version 5.4.2"), Some(5));
        assert_eq!(major(""), None);
    }
}

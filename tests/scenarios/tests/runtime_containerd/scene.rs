//! A containerd beside a host of ours.

use std::ops::{Deref, DerefMut};

use jackfield_kernel::Namespace;
use jackfield_lab::{
    Containerd, Lab, Result,
    containerd::{self, NETWORKS},
};
use jackfield_scenarios::{
    Kind,
    runtimes::{Beside, Way, With, lay_cable, options},
};

use crate::cri::{self, Config, Linux, Metadata, Port};

/// Stands between containerd and the plugin, and writes down what is called.
const RECORDER: &str = r#"
    rm /opt/cni/bin/jackfield-cni
    cat >/opt/cni/bin/jackfield-cni <<END
#!/bin/sh
echo "\$CNI_COMMAND \$CNI_CONTAINERID \$CNI_NETNS" >>"$1/calls"
exec "$1/bin/jackfield-cni"
END
    chmod +x /opt/cni/bin/jackfield-cni
"#;

/// With what is the same for every runtime.
pub struct Scene<'a> {
    beside: Beside<'a>,
    pub containerd: Containerd<'a>,
}

impl<'a> Deref for Scene<'a> {
    type Target = Beside<'a>;

    fn deref(&self) -> &Self::Target {
        &self.beside
    }
}

impl DerefMut for Scene<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.beside
    }
}

/// A pod that runs.
pub struct Pod {
    pub id: String,
    pub namespace: Namespace,
    pub addresses: Vec<String>,
}

/// Whether scenarios can be run here; says why where not.
pub fn possible() -> bool {
    let missing = containerd::missing();
    if let Some(missing) = missing {
        println!("skipped: this machine has no {missing}, which containerd needs");
    }
    missing.is_none()
}

impl<'a> Scene<'a> {
    pub fn new(lab: &'a Lab, kind: &Kind) -> Result<Self> {
        let outside = lay_cable(lab)?;
        let containerd = Containerd::start(lab)?;
        let beside = Beside::start(lab, outside, options(Some(containerd.machine()), &[]), &[*kind])?;
        Ok(Self { beside, containerd })
    }

    /// Makes a network, and has containerd use it for what starts from now on.
    pub fn create(&self, way: &Way, name: &str, with: With) -> Result<()> {
        let list = self.create_network(way, name, with)?;
        let machine = self.containerd.machine();
        machine.write(&format!("{NETWORKS}/10-{name}.conflist"), &list)?;
        // It watches the folder.
        self.until("containerd's network is ready", || {
            cri::is_ready(&self.containerd.socket())
        })
    }

    /// Writes down from now on what the plugin is called with; see [`Scene::calls`].
    pub fn record(&self) -> Result<()> {
        self.containerd.machine().script(RECORDER, &[]).map(drop)
    }

    /// Verb, container and namespace of each call that was written down.
    pub fn calls(&self) -> Vec<[String; 3]> {
        let calls = std::fs::read_to_string(self.lab.path("calls")).unwrap_or_default();
        let call = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            [(); 3].map(|()| words.next().unwrap_or_default())
        };
        calls.lines().map(call).collect()
    }

    pub fn config(&self, name: &str, ports: &[Port]) -> Config {
        Config {
            metadata: Some(Metadata {
                name: name.into(),
                uid: format!("uid-{name}"),
                namespace: "lab".into(),
                attempt: 0,
            }),
            hostname: name.into(),
            port_mappings: ports.to_vec(),
            linux: Some(Linux {
                cgroup_parent: format!("/{}", self.containerd.machine().cgroup()),
            }),
        }
    }

    pub fn run_pod(&self, name: &str, ports: &[Port]) -> Result<Pod> {
        let socket = self.containerd.socket();
        let id = cri::run(&socket, self.config(name, ports))?;
        let seen = cri::status(&socket, &id)?;
        Ok(Pod {
            namespace: self.containerd.machine().namespace(&seen.pid)?,
            addresses: seen.addresses,
            id,
        })
    }

    /// Ends it, as a kubelet does.
    pub fn remove_pod(&self, pod: Pod) -> Result<()> {
        let socket = self.containerd.socket();
        drop(pod.namespace);
        cri::stop(&socket, &pod.id)?;
        cri::remove(&socket, &pod.id)
    }

    /// See [`Beside::end`].
    pub fn end(self, network: &str) -> Result<()> {
        self.host.cli(&["network", "rm", network])?;
        self.beside.end()
    }
}

/// A port of the host's for one of a pod's.
pub fn port(transport: &str, host_port: u16, container_port: u16) -> Port {
    Port {
        protocol: i32::from(transport == "udp"),
        container_port: container_port.into(),
        host_port: host_port.into(),
        host_ip: String::new(),
    }
}

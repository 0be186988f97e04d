//! What Docker's own bridge does where it is the reference: the same packets are sent on a host of ours and on one of Docker 20.10, and
//! arrive or do not on both alike.
//!
//! It needs dockerd, docker and iptables, and root, since dockerd does: without them it says so and does nothing.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, Namespace, NamespaceSource};
use jackfield_lab::{Host, HostOptions, Lab, LabError, Result, Sandbox, probe};
use serde_json::json;

const HOST: &str = "198.51.100.1";
const OUTSIDE: &str = "198.51.100.2";
/// Containers by name, the network of each, and whether it publishes.
const CONTAINERS: [(&str, &str, bool); 7] = [
    ("web", "blue", true),
    ("other", "blue", false),
    ("stranger", "green", false),
    ("closed-a", "closed", false),
    ("closed-b", "closed", false),
    ("apart-a", "apart", false),
    ("apart-b", "apart", false),
];
/// Where dockerd keeps its containers' cgroups.
const CGROUP: &str = "jackfield-lab";
/// Networks by name, with the option that makes them what they are.
const NETWORKS: [(&str, &str); 4] = [("blue", ""), ("green", ""), ("closed", "internal"), ("apart", "icc")];

/// A container: where it is, and its address.
struct Member {
    name: &'static str,
    namespace: Namespace,
    address: IpAddr,
}

/// A lab with its outside host, prepared in the same way for either.
fn prepare(name: &str) -> Result<(Lab, Namespace)> {
    let lab = Lab::new(name)?;
    let outside = lab.uplink("up0", "outside")?;
    let cable = (
        format!("{HOST}/24").parse().unwrap(),
        format!("{OUTSIDE}/24").parse().unwrap(),
    );
    lab.address_uplink(&outside, &[cable])?;
    Ok((lab, outside))
}

/// What arrives, each in words with its verdict.
fn verdicts(lab: &Lab, outside: &Namespace, members: &[Member]) -> Vec<(String, bool)> {
    let member = |name: &str| members.iter().find(|m| m.name == name).unwrap();
    let web = member("web");
    let host: IpAddr = HOST.parse().unwrap();
    let inside = |port| SocketAddr::new(web.address, port);
    let mut verdicts = Vec::new();
    for (who, from, to) in [
        ("outside", outside, host),
        ("the host", lab.realm(), host),
        ("the host by 127.0.0.1", lab.realm(), [127, 0, 0, 1].into()),
        ("itself", &web.namespace, host),
        ("a neighbour", &member("other").namespace, host),
        ("another network", &member("stranger").namespace, host),
    ] {
        let tcp = probe::tcp(lab, from, &web.namespace, inside(80), SocketAddr::new(to, 8080)).is_ok();
        let udp = probe::udp(lab, from, &web.namespace, inside(53), SocketAddr::new(to, 5300)).is_ok();
        verdicts.push((format!("from {who} to the published TCP port"), tcp));
        verdicts.push((format!("from {who} to the published UDP port"), udp));
    }
    for (from, to) in [
        ("other", "web"),
        ("stranger", "web"),
        ("closed-a", "closed-b"),
        ("closed-a", "web"),
        ("apart-a", "apart-b"),
    ] {
        let (client, server) = (member(from), member(to));
        let target = SocketAddr::new(server.address, 7000);
        let reached = probe::tcp(lab, &client.namespace, &server.namespace, target, target).is_ok();
        verdicts.push((format!("from {from} to {to}'s own address"), reached));
    }
    let there: SocketAddr = SocketAddr::new(OUTSIDE.parse().unwrap(), 7000);
    for from in ["web", "closed-a", "apart-a"] {
        let seen = probe::tcp(lab, &member(from).namespace, outside, there, there).ok();
        verdicts.push((format!("from {from} to outside"), seen.is_some()));
        if let Some(seen) = seen {
            verdicts.push((format!("from {from} to outside, as the host"), seen.ip() == host));
        }
    }
    verdicts
}

/// On a host of ours.
fn ours() -> Result<Vec<(String, bool)>> {
    let (lab, outside) = prepare("docker-ours")?;
    let options = HostOptions {
        arguments: vec!["--forwarding".to_owned(), "uplinks".to_owned()],
        ..HostOptions::default()
    };
    let host = Host::start(&lab, options)?;
    let mut client = host.client()?;
    for (number, (name, kind)) in (1..).zip(NETWORKS) {
        let apart = if kind == "icc" {
            json!({ "isolated": "true" })
        } else {
            json!({})
        };
        let request = json!({
            "name": name, "driver": "bridge", "internal": kind == "internal", "options": apart,
            "pools": [{ "subnet": format!("10.90.{number}.0/24") }],
        });
        client.post("/v1/networks", &request)?.ok("create network")?;
    }
    let mut members = Vec::new();
    for (name, network, publishes) in CONTAINERS {
        let sandbox = Sandbox::create(&lab, &mut client, name)?;
        let ports = json!({ "publish": [
            { "container_port": 80, "host_port": 8080 },
            { "container_port": 53, "host_port": 5300, "transport": "udp" },
        ] });
        let request = if publishes { ports } else { json!({}) };
        let joined = sandbox.connect_with(&mut client, network, request)?;
        members.push(Member {
            name,
            namespace: sandbox.namespace.clone(),
            address: joined.addresses[0],
        });
    }
    let verdicts = verdicts(&lab, &outside, &members);
    for (name, ..) in CONTAINERS {
        client.delete(&format!("/v1/sandboxes/{name}"))?.ok("remove")?;
    }
    drop((members, client));
    host.stop()?;
    lab.passed()?;
    Ok(verdicts)
}

/// A dockerd in the lab's realm. Dropping it ends it with everything that it started.
struct Dockerd<'a> {
    lab: &'a Lab,
    child: Child,
}

impl<'a> Dockerd<'a> {
    /// In a process and a mount namespace of its own: the end of its first process ends all of it, and its folders are the lab's.
    fn start(lab: &'a Lab) -> Result<Self> {
        let script = r#"
            mount -t tmpfs tmpfs /etc/docker
            umount /sys/fs/cgroup/unified 2>/dev/null || true
            dockerd --data-root "$1/docker" --exec-root "$1/exec" --pidfile "$1/docker.pid" -H "unix://$1/docker.sock" \
                --storage-driver vfs --cgroup-parent "/$2" >"$1/dockerd.log" 2>&1
        "#;
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
            .arg(CGROUP)
            .stdin(Stdio::null());
        let child = lab
            .within(lab.realm(), || command.spawn())?
            .map_err(|e| LabError::new("start dockerd", e))?;
        let dockerd = Self { lab, child };
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

    fn docker(&self, arguments: &[&str]) -> Result<String> {
        let socket = format!("unix://{}", self.lab.path("docker.sock").display());
        run(Command::new("docker").args(["-H", &socket]).args(arguments))
    }

    /// An image with nothing but a program that waits.
    fn import_image(&self) -> Result<()> {
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

    /// A container's process as the lab sees it: the newest child of its name that waits for that long.
    fn namespace(&self, seconds: &str) -> Result<Namespace> {
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
        for (name, ..) in CONTAINERS {
            let _ = self.docker(&["rm", "-f", name]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Empty by now; what is not would be in use.
        let controllers = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for folder in controllers.map(|c| c.path().join(CGROUP)).filter(|f| f.is_dir()) {
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

/// On a host of Docker's.
fn dockers() -> Result<Vec<(String, bool)>> {
    let (lab, outside) = prepare("docker-theirs")?;
    let dockerd = Dockerd::start(&lab)?;
    dockerd.import_image()?;
    for (number, (name, kind)) in (1..).zip(NETWORKS) {
        let subnet = format!("10.90.{number}.0/24");
        let mut arguments = vec!["network", "create", "--subnet", &subnet];
        arguments.extend(match kind {
            "internal" => &["--internal"][..],
            "icc" => &["-o", "com.docker.network.bridge.enable_icc=false"],
            _ => &[],
        });
        arguments.push(name);
        dockerd.docker(&arguments)?;
    }
    let mut members = Vec::new();
    for (number, (name, network, publishes)) in (1..).zip(CONTAINERS) {
        let seconds = format!("{}{number}", std::process::id());
        let mut arguments = vec!["run", "-d", "--name", name, "--network", network];
        if publishes {
            arguments.extend(["-p", "8080:80", "-p", "5300:53/udp"]);
        }
        arguments.extend(["waits", "/bin/sleep", &seconds]);
        dockerd.docker(&arguments)?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = dockerd.docker(&["inspect", "-f", format, name])?.parse();
        members.push(Member {
            name,
            namespace: dockerd.namespace(&seconds)?,
            address: address.map_err(|e| LabError::new("read an address", e))?,
        });
    }
    let verdicts = verdicts(&lab, &outside, &members);
    drop((members, dockerd));
    lab.passed()?;
    Ok(verdicts)
}

/// Why it cannot run here.
fn missing() -> Option<&'static str> {
    let there = |program: &str| {
        let folders = [
            "/usr/bin",
            "/usr/sbin",
            "/usr/local/bin",
            "/usr/local/sbin",
            "/bin",
            "/sbin",
        ];
        folders.iter().any(|folder| Path::new(folder).join(program).exists())
    };
    let programs = ["dockerd", "docker", "iptables", "unshare", "ldd", "tar"];
    let absent = programs.into_iter().find(|program| !there(program));
    absent.or_else(|| jackfield_lab::private::mapped().then_some("root"))
}

#[test]
fn packets_arrive_where_they_do_with_dockers_bridge() -> Result<()> {
    if let Some(missing) = missing() {
        println!("skipped: this machine has no {missing}, which Docker needs");
        return Ok(());
    }
    let (ours, theirs) = (ours()?, dockers()?);
    let shown = |verdicts: &[(String, bool)]| {
        let line = |(what, reached): &(String, bool)| format!("{} {what}\n", if *reached { "yes" } else { " no" });
        verdicts.iter().map(line).collect::<String>()
    };
    println!("{}", shown(&theirs));
    assert!(ours == theirs, "ours:\n{}\nDocker's:\n{}", shown(&ours), shown(&theirs));
    Ok(())
}

//! A caller who is not root, as rootless Podman is one: in a user namespace of his own, with a private network namespace that serves as host,
//! and a mount namespace whose `/run` has nothing of the machine's.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
};

use jackfield_lab::{CniAnswer, Lab, LabError, Result, cni, private, program_named};
use serde_json::{Value, json};

use crate::scene::{Scene, await_that, described};

/// Two users of no account.
const ADA: u32 = 4242;
const BOB: u32 = 4343;

/// A program that keeps namespaces alive. Ends with the scenario.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(mut command: Command, uid: u32) -> Result<Holder> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = quiet.uid(uid).gid(uid).spawn();
    child
        .map(Holder)
        .map_err(|e| LabError::new("start a user's program", e))
}

/// Where he sees the lab's folder, and with it the plugins and the socket.
const SEEN: &str = "/mnt";

/// A user's network and mount namespaces with a user namespace of his own above them.
struct User {
    uid: u32,
    holder: Holder,
}

impl User {
    fn new(lab: &Lab, uid: u32) -> Result<Self> {
        let hold = r#"mount --rbind "$1" "$2"; mount -t tmpfs tmpfs /run; exec sleep 300"#;
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "sh",
            "-ec",
            hold,
            "hold",
        ]);
        command.arg(lab.path("")).arg(SEEN);
        let user = Self {
            uid,
            holder: spawn(command, uid)?,
        };
        user.await_other_than_ours(&user.holder)?;
        Ok(user)
    }

    /// A namespace inside, as of a container.
    fn container(&self) -> Result<Holder> {
        let mut command = self.inside(&["unshare", "--net", "sleep", "300"]);
        command.stderr(Stdio::null());
        let holder = spawn(command, self.uid)?;
        await_that("a container's namespace is there", || {
            let own = |holder: &Holder| fs::read_link(path(holder)).ok();
            Ok(own(&holder) != own(&self.holder)
                && own(&holder) != fs::read_link("/proc/self/ns/net").ok()
                && is_sleep(&holder))
        })?;
        Ok(holder)
    }

    fn await_other_than_ours(&self, holder: &Holder) -> Result<()> {
        await_that("a user's namespaces are there", || Ok(is_sleep(holder)))
    }

    /// A command in his namespaces, as himself.
    fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--preserve-credentials",
            "-U",
            "-n",
            "-m",
            "-t",
            &self.holder.0.id().to_string(),
            "--",
        ]);
        command.args(words);
        command
    }

    fn call(&self, verb: &str, container: &str, netns: &str) -> Result<CniAnswer> {
        let mut command = self.inside(&[&format!("{SEEN}/jackfield-cni")]);
        command
            .uid(self.uid)
            .gid(self.uid)
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", netns)
            .env("CNI_IFNAME", "eth0");
        let mut config = described();
        config["socket"] = json!(format!("{SEEN}/shim.sock"));
        cni::run(command, &config).map_err(|e| LabError::new(format!("{verb} of a user"), e))
    }

    /// As netavark calls its plugin.
    fn netavark(&self, verb: &str, netns: &str) -> Result<CniAnswer> {
        let mut command = self.inside(&[&format!("{SEEN}/jackfield-netavark"), verb, netns]);
        command.uid(self.uid).gid(self.uid);
        let input = json!({
            "container_id": "c", "container_name": "c", "port_mappings": [],
            "network": {
                "name": "his", "id": "2".repeat(64), "driver": "jackfield", "network_interface": "", "internal": false, "ipv6_enabled": false,
                "dns_enabled": false, "created": "2026-01-01T00:00:00Z", "ipam_options": { "driver": "host-local" },
                "subnets": [{ "subnet": "10.96.0.0/24", "gateway": "10.96.0.1" }], "options": { "jackfield.socket": format!("{SEEN}/shim.sock") },
            },
            "network_options": { "interface_name": "net0", "static_ips": ["10.96.0.7"], "static_mac": null, "aliases": [], "options": null },
        });
        cni::run(command, &input).map_err(|e| LabError::new(format!("{verb} of a user"), e))
    }
}

/// It has become what it was to become: before that it is in our namespaces.
fn is_sleep(holder: &Holder) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", holder.0.id()));
    name.is_ok_and(|name| name.trim() == "sleep")
}

fn path(holder: &Holder) -> String {
    format!("/proc/{}/ns/net", holder.0.id())
}

/// Links in a holder's network namespace.
fn links(scene: &Scene<'_>, holder: &Holder) -> Result<Vec<String>> {
    let source = jackfield_kernel::NamespaceSource::Path(path(holder).into());
    let kernel = scene.lab.kernel();
    let namespace = jackfield_kernel::Kernel::open_namespace(&**kernel, &source);
    let namespace = namespace.map_err(|e| LabError::new("open a user's namespace", e))?;
    let dump = scene.lab.dump_of(&namespace);
    jackfield_kernel::Kernel::forget(&**kernel, &namespace);
    Ok(dump?.links.into_iter().map(|link| link.name.to_string()).collect())
}

#[test]
fn a_user_attaches_in_his_own_namespaces_and_in_no_others() -> Result<()> {
    if private::mapped() {
        println!("skipped: only root of the machine can be another user");
        return Ok(());
    }
    let lab = Lab::new("cni-rootless")?;
    let scene = Scene::new(&lab)?;
    open_to_all(&lab)?;
    let (ada, bob) = (User::new(&lab, ADA)?, User::new(&lab, BOB)?);
    let mine = ada.container()?;
    let result = ada.call("ADD", "c", &path(&mine))?.result("ADD of a user")?;
    assert_eq!(result["ips"][0]["gateway"], "10.95.0.1");
    assert!(links(&scene, &mine)?.contains(&"eth0".to_owned()));
    assert!(
        links(&scene, &ada.holder)?.iter().any(|name| name.starts_with("br-")),
        "its bridge is his"
    );
    assert_eq!(scene.count("networks")?, 0, "and none of the host's own");

    // Neither may reach what is the other's or the host's: their own programs cannot even open it, so a descriptor is sent.
    let theirs = bob.container()?;
    for (uid, realm, sandbox) in [
        (ADA, path(&ada.holder), path(&theirs)),
        (ADA, path(&bob.holder), path(&mine)),
        (BOB, path(&ada.holder), path(&mine)),
        (
            ADA,
            lab.namespace_path("realm").to_string_lossy().into_owned(),
            path(&mine),
        ),
    ] {
        let refused = send(&lab, uid, &realm, &sandbox)?;
        assert_eq!(refused["code"], 104, "{refused}");
    }
    assert_eq!(links(&scene, &theirs)?, ["lo"]);

    // Podman's newer backend, with a network of the user's own description.
    let status = ada.netavark("setup", &path(&mine))?.result("setup of a user")?;
    assert_eq!(status["interfaces"]["net0"]["subnets"][0]["ipnet"], "10.96.0.7/24");
    assert!(links(&scene, &mine)?.contains(&"net0".to_owned()));
    ada.netavark("teardown", &path(&mine))?.result("teardown of a user")?;
    assert!(!links(&scene, &mine)?.contains(&"net0".to_owned()));

    // His container goes without a word, and later all of his.
    ada.call("DEL", "c", "")?.result("DEL of a user")?;
    assert!(!links(&scene, &mine)?.contains(&"eth0".to_owned()));
    ada.call("ADD", "c", &path(&mine))?.result("ADD again")?;
    drop((mine, ada));
    let log = || std::fs::read_to_string(lab.path("host.log")).map_err(|e| LabError::new("read the host's log", e));
    await_that("the host forgets a user who is gone", || {
        Ok(log()?.contains("is gone and forgotten"))
    })?;
    scene.end(&[])
}

/// The interfaces that a container knows; what is on its way out has another name and is down.
fn named(scene: &Scene<'_>, holder: &Holder) -> Result<Vec<String>> {
    let mut links = links(scene, holder)?;
    links.retain(|name| name.starts_with("eth") || name.starts_with("net"));
    Ok(links)
}

/// Rootless runtimes pin their containers' namespaces where nobody else sees it.
#[test]
fn a_container_that_only_its_user_finds_is_left_when_del_returns() -> Result<()> {
    if private::mapped() {
        println!("skipped: only root of the machine can be another user");
        return Ok(());
    }
    let lab = Lab::new("cni-rootless-hidden")?;
    let scene = Scene::new(&lab)?;
    open_to_all(&lab)?;
    let ada = User::new(&lab, ADA)?;
    let mine = ada.container()?;
    let pin = format!("touch /run/c && mount --bind {} /run/c", path(&mine));
    let mut pin = ada.inside(&["sh", "-ec", &pin]);
    let pinned = pin.uid(ADA).gid(ADA).status();
    assert!(pinned.is_ok_and(|status| status.success()), "the namespace is pinned");
    // Left to the deletion of the other end, it would be there for a moment, more often than not.
    for _ in 0..10 {
        ada.call("ADD", "c", "/run/c")?.result("ADD of a user")?;
        ada.netavark("setup", "/run/c")?.result("setup of a user")?;
        assert_eq!(named(&scene, &mine)?, ["eth0", "net0"]);
        ada.netavark("teardown", "/run/c")?.result("teardown of a user")?;
        assert_eq!(named(&scene, &mine)?, ["eth0"]);
        ada.call("DEL", "c", "/run/c")?.result("DEL of a user")?;
        assert_eq!(named(&scene, &mine)?, [""; 0]);
    }
    drop((mine, ada));
    scene.end(&[])
}

/// The lab's folder is root's; the plugin and the socket in it are everybody's.
fn open_to_all(lab: &Lab) -> Result<()> {
    let open = || {
        for (program, name) in [
            (cni::plugin(), "jackfield-cni"),
            (program_named("jackfield-netavark"), "jackfield-netavark"),
        ] {
            fs::copy(program, lab.path(name))?;
            fs::set_permissions(lab.path(name), fs::Permissions::from_mode(0o755))?;
        }
        fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o711))
    };
    open().map_err(|e: std::io::Error| LabError::new("open the lab's folder", e))
}

/// As a user who got hold of descriptors that are not his: this program again, which opens them as root and asks as him.
fn send(lab: &Lab, uid: u32, realm: &str, sandbox: &str) -> Result<Value> {
    let step = "send a request as another user";
    let fail = |e: std::io::Error| LabError::new(step, e);
    let program = std::env::current_exe().map_err(fail)?;
    let output = Command::new(program)
        .args(["--exact", "rootless::asks_as_another_user", "--nocapture"])
        .env(AS, uid.to_string())
        .env("REALM", realm)
        .env("SANDBOX", sandbox)
        .env("SOCKET", lab.path("shim.sock"))
        .output()
        .map_err(fail)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().find_map(|line| line.strip_prefix("ANSWER "));
    let answer = answer.ok_or_else(|| LabError::new(step, format!("no answer in {text}")))?;
    serde_json::from_str(answer).map_err(|e| LabError::new(step, e))
}

/// As whom this program is to ask.
const AS: &str = "JACKFIELD_TEST_ASK_AS";

/// No scenario of its own: what [`send`] starts. It does nothing otherwise.
#[test]
fn asks_as_another_user() -> Result<()> {
    let Ok(uid) = std::env::var(AS) else { return Ok(()) };
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let open = |name: &str| fs::File::open(variable(name)).map_err(|e| LabError::new("open a namespace", e));
    let (realm, sandbox) = (open("REALM")?, open("SANDBOX")?);
    let uid = nix::unistd::Uid::from_raw(uid.parse().unwrap());
    nix::unistd::setresuid(uid, uid, uid).map_err(|e| LabError::new("become another user", e))?;
    let call = jackfield_shims::protocol::CniCall {
        verb: "ADD".into(),
        container: "stolen".into(),
        netns: variable("SANDBOX"),
        interface: "eth0".into(),
        config: json!(described()).to_string(),
        ..Default::default()
    };
    let request = jackfield_shims::protocol::Request {
        protocol: jackfield_shims::protocol::PROTOCOL,
        sandbox: true,
        call: jackfield_shims::protocol::Call::Cni(call),
    };
    use std::os::fd::AsFd;
    let namespaces = [realm.as_fd(), sandbox.as_fd()];
    let reply = jackfield_shims::call::ask(variable("SOCKET").as_ref(), &request, &namespaces);
    println!("ANSWER {}", reply.map_err(|e| LabError::new("ask", e))?.output);
    Ok(())
}

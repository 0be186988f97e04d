//! Podman of a user who is not root: in his own user, mount and network namespaces, the last of which serves him as host. Its `/run` is not the
//! machine's, so that his network says where the host's socket is.

use jackfield_kernel::Namespace;
use jackfield_lab::{
    Lab, Result,
    machine::is_here,
    podman::{Backend, IMAGE},
    probe,
};
use jackfield_scenarios::runtimes::{BRIDGE, address_of};
use serde_json::json;

use crate::scene::{Scene, possible};

/// What Podman needs besides where it is not root's.
const NEEDED: [&str; 3] = ["newuidmap", "slirp4netns", "setpriv"];

/// An account with a home, identities to give out, and a device by which Podman makes his network; and the lab's folder where he sees it.
const ACCOUNT: &str = r#"
    echo "ada:x:4242:4242::/opt/ada:/bin/sh" >>/etc/passwd; echo "ada:x:4242:" >>/etc/group
    echo ada:200000:65536 >>/etc/subuid; echo ada:200000:65536 >>/etc/subgid
    mkdir -p /opt/ada/.config/containers /opt/ada/networks /run/user/4242 /opt/lab
    printf '[network]\nnetwork_config_dir = "/opt/ada/networks"\n' >/opt/ada/.config/containers/containers.conf
    cp -r "$1/box" /opt/ada/box
    chown -R 4242:4242 /opt/ada /run/user/4242; chmod 700 /run/user/4242
    mount -t tmpfs tmpfs /dev/net; mknod -m 666 /dev/net/tun c 10 200
    chmod 711 "$1"; mount --rbind "$1" /opt/lab
    if [ -e /opt/cni/bin/jackfield-cni ]; then ln -sf /opt/lab/bin/jackfield-cni /opt/cni/bin/; fi
    if [ -e /opt/helpers/netavark ]; then
        sed -i "s#$1/*netavark#/opt/lab/netavark#" /opt/helpers/netavark
        ln -sf /opt/lab/bin/jackfield-netavark /opt/plugins/jackfield
    fi
"#;

struct User<'s, 'a>(&'s Scene<'a>);

impl User<'_, '_> {
    fn shell(&self, line: &str) -> Result<String> {
        let script = format!("cd; {line}");
        let identity = ["--reuid", "4242", "--regid", "4242", "--clear-groups"];
        let environment = ["env", "HOME=/opt/ada", "XDG_RUNTIME_DIR=/run/user/4242"];
        let shell = ["sh", "-ec", &script];
        let words = [&identity[..], &environment, &shell].concat();
        self.0.podman.machine().run("setpriv", &words)
    }

    fn run(&self, name: &str, arguments: &str) -> Result<Namespace> {
        self.shell(&format!(
            "podman run -d --name {name} --network his {arguments} {IMAGE} sleep 100000"
        ))?;
        let pid = self.shell(&format!("podman inspect -f '{{{{.State.Pid}}}}' {name}"))?;
        self.0.podman.machine().namespace(&pid)
    }
}

/// His network, as his Podman keeps it; described, since the host's own networks are not his.
fn network(backend: &Backend) -> (&'static str, String) {
    let socket = "/opt/lab/shim.sock";
    match backend {
        Backend::Cni => {
            let plugin = json!({
                "type": "jackfield-cni", "socket": socket, "subnets": ["10.91.1.0/24"], "capabilities": { "ips": true, "mac": true },
            });
            let list = json!({ "cniVersion": "1.0.0", "name": "his", "plugins": [plugin] });
            ("his.conflist", list.to_string())
        }
        Backend::Netavark(_) => {
            let network = json!({
                "name": "his", "id": "3".repeat(64), "driver": "jackfield", "network_interface": "", "created": "2026-01-01T00:00:00Z",
                "subnets": [{ "subnet": "10.91.1.0/24", "gateway": "10.91.1.1" }], "options": { "jackfield.socket": socket },
                "ipv6_enabled": false, "internal": false, "dns_enabled": false, "ipam_options": { "driver": "host-local" },
            });
            ("his.json", network.to_string())
        }
    }
}

fn lives(name: &str, backend: Result<Backend, String>) -> Result<()> {
    let Some(backend) = possible(backend) else {
        return Ok(());
    };
    if let Some(missing) = NEEDED.into_iter().find(|program| !is_here(program)) {
        println!("skipped: this machine has no {missing}, which Podman needs where it is not root's");
        return Ok(());
    }
    let lab = Lab::new(name)?;
    let scene = Scene::new(&lab, &backend, &[])?;
    let machine = scene.podman.machine();
    let (file, content) = network(&backend);
    machine.write(&format!("/opt/ada/networks/{file}"), &content)?;
    machine.script(ACCOUNT, &[])?;
    let ada = User(&scene);
    ada.shell(&format!("tar -C box -c . | podman import - {IMAGE}"))?;
    let web = ada.run(
        "web",
        &format!("--ip {} --mac-address 02:42:0a:5b:01:4d", BRIDGE.address),
    )?;
    let other = ada.run("other", "")?;
    assert_eq!(address_of(&lab, &web, "eth0")?.to_string(), BRIDGE.address);
    probe::ping(&lab, &other, BRIDGE.address.parse().unwrap())?;
    assert_eq!(scene.count("networks")?, 0, "none of the host's own");
    ada.shell("podman network disconnect his other")?;
    assert!(address_of(&lab, &other, "eth0").is_err());
    ada.shell("podman network connect his other")?;
    probe::ping(&lab, &other, BRIDGE.address.parse().unwrap())?;
    drop((web, other));
    ada.shell("podman rm -f -t 0 web other")?;
    scene.until("the host forgets his network", || {
        let log = std::fs::read_to_string(lab.path("host.log")).unwrap_or_default();
        Ok(log.contains("is gone and forgotten") || log.contains("are let go"))
    })?;
    scene.end()
}

#[test]
fn a_user_has_networks_of_his_own_by_cni() -> Result<()> {
    lives("podman-cni-rootless", Backend::cni())
}

#[test]
fn a_user_has_networks_of_his_own_by_netavark() -> Result<()> {
    lives("podman-netavark-rootless", Backend::netavark())
}

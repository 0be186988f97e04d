//! A CNI runtime's life with the plugin: attach, packets, check, collect, detach; with the host away, and with callers that are not root.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};

use jackfield_kernel::{Dump, Namespace};
use jackfield_lab::{Cni, Host, HostOptions, Lab, Result, probe};
use jackfield_scenarios::expect_as_before;
use serde_json::{Value, json};

const HOST: &str = "198.51.100.1";
const OUTSIDE: &str = "198.51.100.2";

/// A described network with masquerade.
fn described() -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "jackfield-cni",
        "subnets": ["10.95.0.0/24"],
        "capabilities": { "portMappings": true },
        "runtimeConfig": { "portMappings": [{ "HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "" }] },
    })
}

/// A host with an uplink, and another host at its other end.
struct Scene<'a> {
    lab: &'a Lab,
    outside: Namespace,
    before: Dump,
    host: Host<'a>,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab) -> Result<Self> {
        let outside = lab.uplink("up0", "outside")?;
        let ends = [HOST, OUTSIDE].map(|a| format!("{a}/24").parse().unwrap());
        lab.address_uplink(&outside, &[(ends[0], ends[1])])?;
        let before = lab.dump()?;
        let options = HostOptions {
            arguments: vec!["--forwarding".into(), "uplinks".into()],
            ..HostOptions::default()
        };
        Ok(Self {
            lab,
            outside,
            before,
            host: Host::start(lab, options)?,
        })
    }

    /// A container's namespace, as a runtime makes it, and its path.
    fn container(&self, name: &str) -> Result<(Namespace, String)> {
        let namespace = self.lab.namespace(name)?;
        Ok((namespace, self.lab.namespace_path(name).to_string_lossy().into_owned()))
    }

    fn end(self) -> Result<()> {
        for network in ["pods", "blue"] {
            self.host.run(&["network", "rm", network])?;
        }
        self.host.stop()?;
        expect_as_before(self.lab, &self.before)?;
        self.lab.passed()
    }
}

fn address(result: &Value) -> IpAddr {
    let text = result["ips"][0]["address"].as_str().unwrap();
    text.split('/').next().unwrap().parse().unwrap()
}

#[test]
fn a_container_is_attached_reached_and_detached() -> Result<()> {
    let lab = Lab::new("cni-life")?;
    let scene = Scene::new(&lab)?;
    let cni = Cni::new(&lab, described());
    let (web, path) = scene.container("web")?;
    let result = cni.add("c1", &path)?;
    assert_eq!(result["cniVersion"], "1.1.0");
    let interface = &result["interfaces"][0];
    assert_eq!(
        (&interface["name"], &interface["sandbox"]),
        (&json!("eth0"), &json!(path))
    );
    assert!(interface["mac"].is_string(), "{result}");
    assert_eq!(result["ips"][0]["gateway"], "10.95.0.1");
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0", "gw": "10.95.0.1" }]));

    // Out, with the host's address, and in by the published port.
    let server = SocketAddr::new(OUTSIDE.parse().unwrap(), 99);
    let seen = probe::tcp(&lab, &web, &scene.outside, server, server)?;
    assert_eq!(seen.ip().to_string(), HOST, "what leaves has the host's address");
    let inside = SocketAddr::new(address(&result), 80);
    let published = SocketAddr::new(HOST.parse().unwrap(), 8080);
    probe::tcp(&lab, &scene.outside, &web, inside, published)?;

    let again = cni.call("ADD", "c1", &path, "eth0")?;
    assert!(!again.ok && again.code() >= 100, "{:?}", again.out);
    cni.del("c1", &path)?;
    cni.del("c1", &path)?;
    cni.del("c1", "")?;
    cni.del("never", "")?;
    // And once more, with the same address free again.
    cni.add("c1", &path)?;
    drop(web);
    cni.del("c1", "")?;
    scene.end()
}

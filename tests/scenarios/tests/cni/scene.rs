//! What the scenarios share.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use jackfield_kernel::{Dump, Namespace};
use jackfield_lab::{Client, Host, HostOptions, Lab, LabError, Result, component};
use jackfield_scenarios::expect_as_before;
use serde_json::{Value, json};

pub const HOST: &str = "198.51.100.1";
pub const OUTSIDE: &str = "198.51.100.2";

/// A described network.
pub fn described() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "type": "jackfield-cni", "subnets": ["10.95.0.0/24"] })
}

/// A host with an uplink, and another host at its other end.
pub struct Scene<'a> {
    pub lab: &'a Lab,
    pub outside: Namespace,
    pub before: Dump,
    pub host: Host<'a>,
}

pub fn options() -> HostOptions {
    HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: vec!["--forwarding".into(), "uplinks".into()],
        ..HostOptions::default()
    }
}

impl<'a> Scene<'a> {
    pub fn new(lab: &'a Lab) -> Result<Self> {
        let outside = lab.uplink("up0", "outside")?;
        let ends = [HOST, OUTSIDE].map(|a| format!("{a}/24").parse().unwrap());
        lab.address_uplink(&outside, &[(ends[0], ends[1])])?;
        let before = lab.dump()?;
        let host = Host::start(lab, options())?;
        Ok(Self {
            lab,
            outside,
            before,
            host,
        })
    }

    /// A container's namespace, as a runtime makes it, and its path.
    pub fn container(&self, name: &str) -> Result<(Namespace, String)> {
        let namespace = self.lab.namespace(name)?;
        Ok((namespace, self.lab.namespace_path(name).to_string_lossy().into_owned()))
    }

    /// The container dies: nobody holds its namespace any more.
    pub fn bury(&self, name: &str, namespace: Namespace) -> Result<()> {
        let kernel = self.lab.kernel();
        jackfield_kernel::Kernel::forget(&**kernel, &namespace);
        drop(namespace);
        let path = self.lab.namespace_path(name);
        jackfield_kernel::Kernel::unpin(&**kernel, &path).map_err(|e| LabError::new("bury a container", e))
    }

    pub fn client(&self) -> Result<Client> {
        self.host.client()
    }

    /// How many of those the host has.
    pub fn count(&self, what: &str) -> Result<usize> {
        let listed = self.client()?.get(&format!("/v1/{what}"))?.ok(what)?;
        Ok(listed.as_array().map_or(0, Vec::len))
    }

    /// Removes the networks and expects the realm to be as it was.
    pub fn end(self, networks: &[&str]) -> Result<()> {
        for network in networks {
            self.host.cli(&["network", "rm", network])?;
        }
        assert_eq!((self.count("networks")?, self.count("sandboxes")?), (0, 0));
        self.host.stop()?;
        expect_as_before(self.lab, &self.before)?;
        self.lab.passed()
    }
}

/// The first address of a result.
pub fn address(result: &Value) -> IpAddr {
    let text = result["ips"][0]["address"].as_str().unwrap();
    text.split('/').next().unwrap().parse().unwrap()
}

/// Waits for that, but not for ever.
pub fn await_that(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(LabError::new(what, "it does not happen"))
}

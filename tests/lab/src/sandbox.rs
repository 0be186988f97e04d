//! Sandboxes that the host made, as a client of its API moves them.

use std::net::IpAddr;

use jackfield_kernel::{Ifindex, Kernel, LinkQuery, Namespace, NamespaceSource, RouteLookup};
use jackfield_model::LinkName;
use serde_json::{Value, json};

use crate::{
    Client, Lab, Result,
    error::{During, LabError},
};

/// A sandbox that the host made.
#[derive(Debug)]
pub struct Sandbox {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Namespace,
}

/// What a sandbox got by joining.
#[derive(Debug)]
pub struct Joined {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its interface.
    pub interface: String,
    /// Default gateways that the driver gave.
    pub gateways: Vec<IpAddr>,
    /// Driver and version that answered.
    pub driver: String,
    /// Id of the endpoint.
    pub endpoint: String,
}

impl Sandbox {
    /// Has one made.
    pub fn create(lab: &Lab, client: &mut Client, name: &str) -> Result<Self> {
        Self::create_with(lab, client, name, json!({}))
    }

    /// Has one made, with further fields of the request.
    pub fn create_with(lab: &Lab, client: &mut Client, name: &str, mut request: Value) -> Result<Self> {
        request["name"] = json!(name);
        let made = client.post("/v1/sandboxes", &request)?.ok("create sandbox")?;
        let path = made["path"]
            .as_str()
            .ok_or_else(|| LabError::new("create sandbox", "it has no path"))?;
        let source = NamespaceSource::Path(path.into());
        let namespace = lab
            .kernel()
            .open_namespace(&source)
            .map_err(|cause| LabError::new("open the sandbox", cause))?;
        Ok(Self {
            name: name.to_owned(),
            namespace,
        })
    }

    /// Has it join.
    pub fn connect(&self, client: &mut Client, network: &str) -> Result<Joined> {
        self.connect_with(client, network, json!({}))
    }

    /// Has it join, with further fields of the request.
    pub fn connect_with(&self, client: &mut Client, network: &str, mut request: Value) -> Result<Joined> {
        request["sandbox"] = json!(self.name);
        let path = format!("/v1/networks/{network}/connect");
        let endpoint = client.post(&path, &request)?.ok(&format!("connect {}", self.name))?;
        Ok(Joined::read(&endpoint))
    }

    /// Has it leave.
    pub fn disconnect(&self, client: &mut Client, network: &str) -> Result<Value> {
        let path = format!("/v1/networks/{network}/disconnect");
        client
            .post(&path, &json!({ "sandbox": self.name }))?
            .ok(&format!("disconnect {}", self.name))
    }

    /// Has it removed.
    pub fn delete(&self, client: &mut Client) -> Result<Value> {
        client
            .delete(&format!("/v1/sandboxes/{}", self.name))?
            .ok(&format!("delete {}", self.name))
    }

    /// How it reaches an address, and by which of its links.
    pub fn route(&self, lab: &Lab, to: IpAddr) -> Result<Option<(RouteLookup, LinkName)>> {
        let step = format!("look up the route from {} to {to}", self.name);
        let Some(found) = lab.kernel().lookup_route(&self.namespace, to).during(&step)? else {
            return Ok(None);
        };
        let index: Ifindex = found
            .link
            .ok_or_else(|| LabError::new(&step, "the route has no link"))?;
        let link = lab
            .kernel()
            .link(&self.namespace, LinkQuery::Index(index))
            .during(&step)?;
        let link = link.ok_or_else(|| LabError::new(&step, "the route's link is gone"))?;
        Ok(Some((found, link.name)))
    }
}

impl Joined {
    fn read(endpoint: &Value) -> Self {
        let text = |key: &str| endpoint[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| {
            endpoint[key]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(address)
                .collect()
        };
        Self {
            addresses: list("addresses"),
            gateways: list("gateways"),
            interface: text("interface"),
            driver: text("driver"),
            endpoint: text("id"),
        }
    }

    /// Its first address of that family.
    pub fn address(&self, ipv6: bool) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|a| a.is_ipv6() == ipv6)
    }
}

/// The address of `ADDRESS` or `ADDRESS/LENGTH`.
fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.split('/').next()?.parse().ok()
}

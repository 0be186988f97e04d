//! What a kubelet asks of containerd, in the messages of `runtime.v1` (api.proto of kubernetes/cri-api), as far as sandboxes need them.

use std::{collections::HashMap, path::Path};

use jackfield_lab::{LabError, Result};
use prost::Message;

use crate::grpc;

#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub uid: String,
    #[prost(string, tag = "3")]
    pub namespace: String,
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// A port of the host; `protocol` is 0 for TCP, 1 for UDP, 2 for SCTP.
#[derive(Clone, PartialEq, Message)]
pub struct Port {
    #[prost(int32, tag = "1")]
    pub protocol: i32,
    #[prost(int32, tag = "2")]
    pub container_port: i32,
    #[prost(int32, tag = "3")]
    pub host_port: i32,
    #[prost(string, tag = "4")]
    pub host_ip: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Linux {
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Config {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<Metadata>,
    #[prost(string, tag = "2")]
    pub hostname: String,
    #[prost(message, repeated, tag = "5")]
    pub port_mappings: Vec<Port>,
    #[prost(message, optional, tag = "8")]
    pub linux: Option<Linux>,
}

#[derive(Clone, PartialEq, Message)]
struct Run {
    #[prost(message, optional, tag = "1")]
    config: Option<Config>,
}

/// Names a sandbox, in requests and in the answer to [`run`].
#[derive(Clone, PartialEq, Message)]
struct Sandbox {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "2")]
    verbose: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Ip {
    #[prost(string, tag = "1")]
    ip: String,
}

#[derive(Clone, PartialEq, Message)]
struct Network {
    #[prost(string, tag = "1")]
    ip: String,
    #[prost(message, repeated, tag = "2")]
    additional: Vec<Ip>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, optional, tag = "5")]
    network: Option<Network>,
}

#[derive(Clone, PartialEq, Message)]
struct StatusAnswer {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(map = "string, string", tag = "2")]
    info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Condition {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(bool, tag = "2")]
    status: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Conditions {
    #[prost(message, repeated, tag = "1")]
    conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, Message)]
struct RuntimeAnswer {
    #[prost(message, optional, tag = "1")]
    status: Option<Conditions>,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// A sandbox as containerd sees it.
#[derive(Debug)]
pub struct Seen {
    /// Its addresses, the first one first.
    pub addresses: Vec<String>,
    /// Its first process.
    pub pid: String,
}

fn method(name: &str) -> String {
    format!("runtime.v1.RuntimeService/{name}")
}

/// Whether it has a network for pods.
pub fn is_ready(socket: &Path) -> Result<bool> {
    let answer: RuntimeAnswer = grpc::call(socket, &method("Status"), &Nothing {})?;
    let conditions = answer.status.unwrap_or_default().conditions;
    Ok(conditions.iter().any(|one| one.kind == "NetworkReady" && one.status))
}

/// Starts one; answers with its id.
pub fn run(socket: &Path, config: Config) -> Result<String> {
    let request = Run { config: Some(config) };
    let answer: Sandbox = grpc::call(socket, &method("RunPodSandbox"), &request)?;
    Ok(answer.id)
}

pub fn stop(socket: &Path, id: &str) -> Result<()> {
    let _: Nothing = grpc::call(socket, &method("StopPodSandbox"), &Sandbox { id: id.into() })?;
    Ok(())
}

pub fn remove(socket: &Path, id: &str) -> Result<()> {
    let _: Nothing = grpc::call(socket, &method("RemovePodSandbox"), &Sandbox { id: id.into() })?;
    Ok(())
}

pub fn status(socket: &Path, id: &str) -> Result<Seen> {
    let request = StatusRequest {
        id: id.into(),
        verbose: true,
    };
    let answer: StatusAnswer = grpc::call(socket, &method("PodSandboxStatus"), &request)?;
    let network = answer.status.and_then(|status| status.network).unwrap_or_default();
    let addresses = std::iter::once(network.ip).chain(network.additional.into_iter().map(|more| more.ip));
    let info: serde_json::Value = serde_json::from_str(answer.info.get("info").map_or("null", String::as_str))
        .map_err(|cause| LabError::new("read a sandbox's status", cause))?;
    Ok(Seen {
        addresses: addresses.collect(),
        pid: info["pid"].to_string(),
    })
}

//! The containers on a host of ours.

use jackfield_lab::{Client, Host, HostOptions, Result, Sandbox};
use serde_json::{Value, json};

use super::{
    plan::{CONTAINERS, ContainerPlan, NETWORKS, PUBLISHED, subnets},
    scene::{Answers, Member, Scene, prepare, settle},
};

pub fn on_ours(name: &str, ask: impl FnOnce(&Scene<'_>) -> Result<Answers>) -> Result<Answers> {
    let (lab, outside) = prepare(&format!("{name}-ours"))?;
    let options = HostOptions {
        arguments: vec!["--forwarding".to_owned(), "uplinks".to_owned()],
        ..HostOptions::default()
    };
    let host = Host::start(&lab, options)?;
    let mut client = host.client()?;
    create_networks(&mut client)?;
    let mut members = Vec::new();
    for plan in &CONTAINERS {
        let sandbox = create_sandbox(&lab, &mut client, plan)?;
        let joined = sandbox.connect_with(&mut client, plan.network, join(plan))?;
        let shown = client
            .get(&format!("/v1/sandboxes/{}", plan.name))?
            .ok("show sandbox")?;
        members.push(Member {
            name: plan.name,
            namespace: sandbox.namespace,
            addresses: joined.addresses,
            resolv_conf: std::path::Path::new(shown["files"].as_str().unwrap()).join("resolv.conf"),
        });
    }
    settle(&lab, &members)?;
    let scene = Scene {
        lab: &lab,
        outside: &outside,
        members,
    };
    let answers = ask(&scene)?;
    for plan in &CONTAINERS {
        client.delete(&format!("/v1/sandboxes/{}", plan.name))?.ok("remove")?;
    }
    drop((scene, client));
    host.stop()?;
    lab.passed()?;
    Ok(answers)
}

fn create_networks(client: &mut Client) -> Result<()> {
    for (number, plan) in (1..).zip(&NETWORKS) {
        let options: serde_json::Map<String, Value> = plan
            .option
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let pools: Vec<Value> = subnets(number, plan).iter().map(|s| json!({ "subnet": s })).collect();
        let request = json!({
            "name": plan.name, "driver": "bridge", "internal": plan.internal, "options": options,
            "ipv6": plan.ipv6, "pools": pools,
        });
        client.post("/v1/networks", &request)?.ok("create network")?;
    }
    Ok(())
}

fn create_sandbox(lab: &jackfield_lab::Lab, client: &mut Client, plan: &ContainerPlan) -> Result<Sandbox> {
    let search: Vec<&str> = plan.search.into_iter().collect();
    Sandbox::create_with(lab, client, plan.name, json!({ "dns": { "search": search } }))
}

fn join(plan: &ContainerPlan) -> Value {
    let aliases: Vec<&str> = plan.alias.into_iter().collect();
    let ports: Vec<Value> = PUBLISHED
        .iter()
        .filter(|_| plan.publishes)
        .map(|(host, container, transport)| {
            json!({ "container_port": container, "host_port": host, "transport": transport })
        })
        .collect();
    json!({ "aliases": aliases, "publish": ports })
}

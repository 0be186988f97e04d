//! The containers on a host of Docker's.

use std::path::PathBuf;

use jackfield_lab::{LabError, Result};

use super::{
    dockerd::Dockerd,
    plan::{CONTAINERS, ContainerPlan, NETWORKS, PUBLISHED, subnets},
    scene::{Answers, Member, Scene, prepare, settle},
};

pub fn on_dockers(name: &str, ask: impl FnOnce(&Scene<'_>) -> Result<Answers>) -> Result<Answers> {
    let (lab, outside) = prepare(&format!("{name}-theirs"))?;
    let dockerd = Dockerd::start(&lab, name)?;
    dockerd.import_image()?;
    create_networks(&dockerd)?;
    let members: Vec<Member> = (1..)
        .zip(&CONTAINERS)
        .map(|(number, plan)| run(&dockerd, number, plan))
        .collect::<Result<_>>()?;
    settle(&lab, &members)?;
    let scene = Scene {
        lab: &lab,
        outside: &outside,
        members,
    };
    let answers = ask(&scene)?;
    drop((scene, dockerd));
    lab.passed()?;
    Ok(answers)
}

fn create_networks(dockerd: &Dockerd<'_>) -> Result<()> {
    for (number, plan) in (1..).zip(&NETWORKS) {
        let subnets = subnets(number, plan);
        let option = plan.option.map(|(key, value)| format!("{key}={value}"));
        let mut arguments = vec!["network", "create"];
        arguments.extend(subnets.iter().flat_map(|subnet| ["--subnet", subnet]));
        arguments.extend(plan.ipv6.then_some("--ipv6"));
        arguments.extend(plan.internal.then_some("--internal"));
        arguments.extend(option.iter().flat_map(|option| ["-o", option]));
        arguments.push(plan.name);
        dockerd.docker(&arguments)?;
    }
    Ok(())
}

fn run(dockerd: &Dockerd<'_>, number: usize, plan: &ContainerPlan) -> Result<Member> {
    let mark = dockerd.mark(number);
    let mut arguments = vec!["run", "-d", "--name", plan.name, "--network", plan.network];
    arguments.extend(plan.alias.iter().flat_map(|alias| ["--network-alias", alias]));
    arguments.extend(plan.search.iter().flat_map(|domain| ["--dns-search", domain]));
    let ports = PUBLISHED.map(|(host, container, transport)| format!("{host}:{container}/{transport}"));
    if plan.publishes {
        arguments.extend(ports.iter().flat_map(|port| ["-p", port]));
    }
    arguments.extend(["waits", "/bin/sleep", &mark]);
    dockerd.docker(&arguments)?;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}{{.ResolvConfPath}}";
    let shown = dockerd.docker(&["inspect", "-f", format, plan.name])?;
    let mut words: Vec<&str> = shown.split_whitespace().collect();
    let resolv_conf = words.pop().map(PathBuf::from);
    let addresses = words
        .iter()
        .map(|word| word.parse())
        .collect::<std::result::Result<_, _>>();
    Ok(Member {
        name: plan.name,
        namespace: dockerd.namespace(&mark)?,
        addresses: addresses.map_err(|e| LabError::new("read an address", e))?,
        resolv_conf: resolv_conf.ok_or_else(|| LabError::new("look for a resolv.conf", shown.clone()))?,
    })
}

//! One of the two is away: dockerd killed and started again, the host killed and started again.

use jackfield_kernel::Namespace;
use jackfield_lab::{Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, MACVLAN, OUTSIDE, PTP, Way};

use crate::scene::{Scene, play, play_with};

/// Whether packets arrive as they should: in from outside, and out.
fn works(scene: &Scene<'_>, way: &Way, web: &Namespace) -> Result<()> {
    probe::ping(scene.lab, web, OUTSIDE.parse().unwrap())?;
    if way.publishes {
        scene.reached(web, 80, 8080)?;
    }
    Ok(())
}

fn ports(way: &Way) -> &'static str {
    if way.publishes { "-p 8080:80" } else { "" }
}

/// The host is killed with containers running: they go on, it takes them up, and others start.
fn host_dies(name: &str, way: &Way) -> Result<()> {
    play(name, &way.kind, |scene| {
        scene.create(way, "blue", "")?;
        let web = scene.run("web", &format!("--network blue {}", ports(way)))?;
        scene.host.kill()?;
        works(scene, way, &web)?;
        scene.restart_host()?;
        works(scene, way, &web)?;
        let after = scene.run("after", "--network blue")?;
        probe::ping(scene.lab, &after, OUTSIDE.parse().unwrap())?;
        assert_eq!(scene.count("endpoints")?, 2);
        drop((web, after));
        scene.remove("web after", "blue")
    })
}

/// A container ends while the host is away, so that Docker forgets its endpoint and the host does not. Whoever gets its address next gets it,
/// and otherwise it goes when the host sees that the sandbox is gone.
fn forgotten(name: &str, way: &Way, wait: bool) -> Result<()> {
    play(name, &way.kind, |scene| {
        scene.create(way, "blue", "")?;
        scene
            .run("short", &format!("--network blue --ip {}", way.address))
            .map(drop)?;
        // It looks when it starts: what it sees now and not later tells it that the sandbox is gone.
        scene.restart_host()?;
        scene.host.kill()?;
        // dockerd asks again and again, and at last gives up.
        scene.docker("rm -f short")?;
        scene.restart_host()?;
        if wait {
            scene.until("the forgotten endpoint is collected", || {
                Ok(scene.count("endpoints")? == 0)
            })?;
        } else {
            let next = scene.run("next", &format!("--network blue --ip {}", way.address))?;
            probe::ping(scene.lab, &next, OUTSIDE.parse().unwrap())?;
            assert_eq!(scene.count("endpoints")?, 1);
            scene.docker("rm -f next")?;
        }
        scene.docker("network rm blue").map(drop)
    })
}

/// dockerd is killed, without live-restore: it ends what ran, tells of it, and all can be made again.
fn dockerd_dies(name: &str, way: &Way) -> Result<()> {
    play(name, &way.kind, |scene| {
        scene.create(way, "blue", "")?;
        let asked = format!("--network blue --ip {} {}", way.address, ports(way));
        drop(scene.run("web", &asked)?);
        scene.dockerd.kill()?;
        scene.dockerd.launch()?;
        scene.docker("start web")?;
        let web = scene.dockerd.namespace("web")?;
        works(scene, way, &web)?;
        drop(web);
        scene.remove("web", "blue")
    })
}

/// The same with live-restore: the container never notices.
fn dockerd_dies_and_restores(name: &str, way: &Way) -> Result<()> {
    play_with(name, &way.kind, &["--live-restore"], |scene| {
        scene.create(way, "blue", "")?;
        let web = scene.run("web", &format!("--network blue {}", ports(way)))?;
        scene.dockerd.kill()?;
        works(scene, way, &web)?;
        scene.restart_host()?;
        works(scene, way, &web)?;
        scene.dockerd.launch()?;
        works(scene, way, &web)?;
        assert_eq!(scene.docker("inspect -f {{.State.Running}} web")?, "true");
        let other = scene.run("other", "--network blue")?;
        probe::ping(scene.lab, &other, OUTSIDE.parse().unwrap())?;
        drop((web, other));
        scene.remove("web other", "blue")
    })
}

#[test]
fn containers_on_a_bridge_outlive_the_host() -> Result<()> {
    host_dies("docker-host-dies-bridge", &BRIDGE)
}

#[test]
fn containers_on_the_ptp_component_outlive_the_host() -> Result<()> {
    host_dies("docker-host-dies-ptp", &PTP)
}

#[test]
fn containers_on_the_macvlan_component_outlive_the_host() -> Result<()> {
    host_dies("docker-host-dies-macvlan", &MACVLAN)
}

#[test]
fn an_address_takes_the_endpoint_that_docker_forgot_with_it() -> Result<()> {
    forgotten("docker-forgets", &BRIDGE, false)
}

#[test]
fn an_endpoint_that_docker_forgot_is_collected() -> Result<()> {
    forgotten("docker-collects", &MACVLAN, true)
}

#[test]
fn networks_of_ours_outlive_dockerd() -> Result<()> {
    dockerd_dies("docker-dies-bridge", &BRIDGE)?;
    dockerd_dies("docker-dies-ptp", &PTP)?;
    dockerd_dies("docker-dies-macvlan", &MACVLAN)
}

#[test]
fn containers_that_docker_restores_go_on() -> Result<()> {
    dockerd_dies_and_restores("docker-restores-bridge", &BRIDGE)?;
    dockerd_dies_and_restores("docker-restores-ptp", &PTP)?;
    dockerd_dies_and_restores("docker-restores-macvlan", &MACVLAN)
}

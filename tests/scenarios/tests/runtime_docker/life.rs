//! The life of networks and containers.

use std::net::SocketAddr;

use jackfield_lab::{Result, probe};
use jackfield_scenarios::runtimes::{BRIDGE, HOST, HOST_IPV6, MACVLAN, OUTSIDE, OUTSIDE_IPV6, PTP, Way, interface};

use crate::scene::{create, play};

/// A network with an address and a MAC of the user's choice, neighbours, the world, ports; connected and disconnected while it runs.
fn lives(name: &str, way: &Way) -> Result<()> {
    play(name, &way.kind, |scene| {
        scene.create(way, "blue", "--label lab=1")?;
        let asked = format!("--ip {} --mac-address 02:42:0a:5b:01:4d", way.address);
        let ports = if way.publishes {
            "-p 8080:80 -p 127.0.0.1::81 -p 5300:53/udp"
        } else {
            ""
        };
        let web = scene.run("web", &format!("--network blue {asked} {ports}"))?;
        let seen = interface(scene.lab, &web, "eth0")?.unwrap();
        assert_eq!(seen, format!("02:42:0a:5b:01:4d 1500 {}/24", way.address));
        let other = scene.run("other", "--network blue")?;
        for (from, to) in [(&other, way.address), (&other, OUTSIDE), (&web, way.gateway)] {
            probe::ping(scene.lab, from, to.parse().unwrap())?;
        }
        scene.docker("exec other ping -c 1 -W 5 web")?;
        if way.publishes {
            let own = SocketAddr::new(HOST.parse().unwrap(), 8080);
            for from in [&scene.outside, scene.lab.realm(), &other, &web] {
                scene.reached_from(from, &web, 80, own)?;
            }
            scene.reached_from(scene.lab.realm(), &web, 80, "127.0.0.1:8080".parse().unwrap())?;
            let udp: SocketAddr = SocketAddr::new(HOST.parse().unwrap(), 5300);
            probe::udp(scene.lab, &scene.outside, &web, "0.0.0.0:53".parse().unwrap(), udp)?;
            let words = scene.refused("run -d --name late --network blue -p 8080:80 jackfield-box sleep 9")?;
            assert!(words.contains("host port 8080/tcp"), "{words}");
            scene.docker("rm -f late")?;
        } else {
            let direct = SocketAddr::new(way.address.parse().unwrap(), 80);
            scene.reached_from(&scene.outside, &web, 80, direct)?;
        }
        scene.docker("network disconnect blue other")?;
        assert_eq!(interface(scene.lab, &other, "eth0")?, None);
        scene.docker("network connect blue other")?;
        // Under which name is Docker's choice.
        let again = scene.lab.dump_of(&other)?.addresses;
        assert!(again.iter().any(|a| way.has(a.address.ip())), "{again:?}");
        probe::ping(scene.lab, &other, way.address.parse().unwrap())?;
        drop((web, other));
        let words = scene.refused("network rm blue")?;
        assert!(words.contains("active endpoints"), "{words}");
        scene.docker("restart -t 0 other")?;
        probe::ping(
            scene.lab,
            &scene.dockerd.namespace("other")?,
            way.address.parse().unwrap(),
        )?;
        scene.remove("web other", "blue")
    })
}

#[test]
fn a_bridge_network_of_ours_is_one_of_dockers() -> Result<()> {
    lives("docker-bridge", &BRIDGE)
}

#[test]
fn a_network_of_the_ptp_component_is_one_of_dockers() -> Result<()> {
    lives("docker-ptp", &PTP)
}

#[test]
fn a_network_of_the_macvlan_component_is_one_of_dockers() -> Result<()> {
    lives("docker-macvlan", &MACVLAN)
}

#[test]
fn options_reach_the_driver_and_what_it_refuses_reaches_the_user() -> Result<()> {
    play("docker-options", &BRIDGE.kind, |scene| {
        for (options, says) in [
            ("-o mtu=big", "expected bytes, 68 to 65535"),
            ("-o mut=1400", "unknown option of a bridge network \"mut\""),
            (
                "-o com.docker.network.bridge.name=0123456789abcdef",
                "expected a link's name",
            ),
        ] {
            let words = scene.refused(&create(&BRIDGE, "blue", options))?;
            assert!(words.contains(says), "{options}: {words}");
        }
        let options = "-o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.name=blue0 -o com.docker.network.container_iface_prefix=net";
        scene.create(&BRIDGE, "blue", options)?;
        let web = scene.run("web", "--network blue")?;
        let seen = interface(scene.lab, &web, "net0")?.unwrap();
        assert!(seen.ends_with(" 1400 10.91.1.64/24"), "{seen}");
        assert!(scene.lab.dump()?.links.iter().any(|l| l.name.as_str() == "blue0"));
        drop(web);
        scene.remove("web", "blue")
    })
}

/// Docker's null IPAM leaves addresses to the driver, which here has none.
#[test]
fn networks_need_no_addresses() -> Result<()> {
    play("docker-no-addresses", &BRIDGE.kind, |scene| {
        for (driver, interfaces) in [("jackfield-null", 0), ("jackfield-bridge", 1)] {
            scene.docker(&format!("network create -d {driver} --ipam-driver null plain"))?;
            let web = scene.run("web", "--network plain")?;
            let dump = scene.lab.dump_of(&web)?;
            let links = dump.links.iter().filter(|l| l.name.as_str().starts_with("eth"));
            assert_eq!(links.count(), interfaces, "{driver}");
            drop(web);
            scene.remove("web", "plain")?;
        }
        Ok(())
    })
}

#[test]
fn ipv6_goes_both_ways() -> Result<()> {
    play("docker-ipv6", &BRIDGE.kind, |scene| {
        scene.create(&BRIDGE, "blue", "--ipv6 --subnet fd00:91::/64")?;
        let web = scene.run("web", "--network blue --ip6 fd00:91::77 -p 8080:80")?;
        let other = scene.run("other", "--network blue")?;
        probe::ping(scene.lab, &other, "fd00:91::77".parse().unwrap())?;
        probe::ping(scene.lab, &other, OUTSIDE_IPV6.parse().unwrap())?;
        let own = SocketAddr::new(HOST_IPV6.parse().unwrap(), 8080);
        scene.reached_from(&scene.outside, &web, 80, own)?;
        scene.reached(&web, 80, 8080)?;
        drop((web, other));
        scene.remove("web other", "blue")
    })
}

#[test]
fn an_internal_network_has_no_way_out_and_no_second_interface() -> Result<()> {
    play("docker-internal", &PTP.kind, |scene| {
        for way in [BRIDGE, PTP] {
            scene.create(&way, "closed", "--internal")?;
            let (a, b) = (
                scene.run("one", "--network closed")?,
                scene.run("two", &format!("--network closed --ip {}", way.address))?,
            );
            probe::ping(scene.lab, &a, way.address.parse().unwrap())?;
            assert!(
                probe::unreachable(scene.lab, &a, OUTSIDE.parse().unwrap()),
                "{}",
                way.kind.driver
            );
            assert!(
                probe::unreachable(scene.lab, &b, HOST.parse().unwrap()),
                "{}",
                way.kind.driver
            );
            let links = scene.lab.dump_of(&a)?.links;
            let names: Vec<&str> = links
                .iter()
                .map(|l| l.name.as_str())
                .filter(|n| n.starts_with("eth"))
                .collect();
            assert_eq!(names, ["eth0"], "{}", way.kind.driver);
            drop((a, b));
            scene.remove("one two", "closed")?;
        }
        Ok(())
    })
}

/// What firewalld 1.3 makes: see the head of the file.
const FIREWALLD: &str = include_str!("../../../../host/kernel/src/nft/tests/fixtures/firewalld-1.3.nft");

#[test]
fn firewalld_beside_docker_lets_pass_what_the_host_does() -> Result<()> {
    play("docker-firewalld", &BRIDGE.kind, |scene| {
        let nft = |arguments: &[&str]| {
            let run = || std::process::Command::new("nft").args(arguments).output();
            let output = scene.lab.within(scene.lab.realm(), run)?;
            Ok(output.is_ok_and(|output| output.status.success()))
        };
        if !nft(&[FIREWALLD])? {
            println!("skipped: the program `nft` is missing, or too old for firewalld's rules");
            return Ok(());
        }
        scene.create(&BRIDGE, "blue", "")?;
        let web = scene.run("web", "--network blue -p 8080:80")?;
        scene.until("a published port is reached", || {
            Ok(scene.reached(&web, 80, 8080).is_ok())
        })?;
        probe::ping(scene.lab, &web, OUTSIDE.parse().unwrap())?;
        drop(web);
        assert!(nft(&["delete", "table", "inet", "firewalld"])?);
        scene.remove("web", "blue")
    })
}

/// Docker gives the default route to one of a container's networks, and the ports with it.
#[test]
fn the_default_route_and_the_ports_go_from_network_to_network() -> Result<()> {
    play("docker-gateway", &PTP.kind, |scene| {
        scene.create(&BRIDGE, "b-first", "")?;
        scene.create(&PTP, "a-second", "")?;
        let web = scene.run("web", "--network b-first -p 8080:80")?;
        let route = || scene.docker("exec web ip route show default");
        assert!(route()?.contains(BRIDGE.gateway), "{}", route()?);
        scene.reached(&web, 80, 8080)?;
        scene.docker("network connect a-second web")?;
        let by_second = route()?.contains(PTP.gateway);
        scene.reached(&web, 80, 8080)?;
        let (leaves, stays) = if by_second {
            ("a-second", BRIDGE)
        } else {
            ("b-first", PTP)
        };
        scene.docker(&format!("network disconnect {leaves} web"))?;
        assert!(route()?.contains(stays.gateway), "{leaves} left: {}", route()?);
        scene.reached(&web, 80, 8080)?;
        probe::ping(scene.lab, &web, OUTSIDE.parse().unwrap())?;
        drop(web);
        scene.remove("web", "a-second b-first")
    })
}

//! Published ports are reached from everywhere, in both families, and nothing is left of them.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod martians;
mod moving;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use jackfield_kernel::{Dump, Kernel, LinkQuery, Namespace, Request, RouteInfo, plan};
use jackfield_lab::{Client, Host, HostOptions, Joined, Lab, LabError, Result, Sandbox, component, probe};
use jackfield_scenarios::{KINDS, Kind, expect_as_before, load};
use serde_json::{Value, json};

const HOST: [&str; 2] = ["198.51.100.1", "fd00:51::1"];
const OUTSIDE: [&str; 2] = ["198.51.100.2", "fd00:51::2"];

/// A host with an uplink, another host at its other end, and a network of two sandboxes.
struct Scene<'a> {
    lab: &'a Lab,
    outside: Namespace,
    before: Dump,
    host: Host<'a>,
    client: Client,
    web: Sandbox,
    other: Sandbox,
}

impl<'a> Scene<'a> {
    fn new(lab: &'a Lab, kind: &Kind) -> Result<Self> {
        Self::with(lab, kind, &["--forwarding", "uplinks"])
    }

    /// With these further arguments of the host.
    fn with(lab: &'a Lab, kind: &Kind, arguments: &[&str]) -> Result<Self> {
        let outside = lab.uplink("up0", "outside")?;
        let networks = [
            ("198.51.100.1/24", "198.51.100.2/24"),
            ("fd00:51::1/64", "fd00:51::2/64"),
        ];
        let parsed = networks.map(|(here, there)| (here.parse().unwrap(), there.parse().unwrap()));
        lab.address_uplink(&outside, &parsed)?;
        let before = lab.dump()?;
        let host = Host::start(lab, options(arguments))?;
        let mut client = host.client()?;
        load(&mut client, kind)?;
        client
            .post("/v1/networks", &kind.network("blue", 1))?
            .ok("create network")?;
        let web = Sandbox::create(lab, &mut client, "web")?;
        let other = Sandbox::create(lab, &mut client, "other")?;
        Ok(Self {
            lab,
            outside,
            before,
            host,
            client,
            web,
            other,
        })
    }

    /// From everywhere, the sandbox's TCP port 80 is reached as the host's 8080; so is UDP port 53 as 5300.
    fn expect_reached(&self, web: &Joined) -> Result<()> {
        for host in HOST.map(|a| a.parse::<IpAddr>().unwrap()) {
            for (who, from) in [
                ("outside", &self.outside),
                ("the host", self.lab.realm()),
                ("a neighbour", &self.other.namespace),
                ("itself", &self.web.namespace),
            ] {
                self.expect_port(web, who, from, host)?;
            }
        }
        self.expect_port(web, "the host by 127.0.0.1", self.lab.realm(), [127, 0, 0, 1].into())
    }

    fn expect_port(&self, web: &Joined, who: &str, from: &Namespace, host: IpAddr) -> Result<()> {
        let inside = |port| SocketAddr::new(web.address(host.is_ipv6()).unwrap(), port);
        println!("from {who} to {host}");
        let seen = probe::tcp(
            self.lab,
            from,
            &self.web.namespace,
            inside(80),
            SocketAddr::new(host, 8080),
        )?;
        if who == "outside" {
            assert!(
                OUTSIDE.iter().any(|a| a.parse::<IpAddr>().unwrap() == seen.ip()),
                "the client's address is kept, the server saw {seen}"
            );
        }
        probe::udp(
            self.lab,
            from,
            &self.web.namespace,
            inside(53),
            SocketAddr::new(host, 5300),
        )?;
        probe::sctp(self.lab, from, &self.web.namespace, 90, SocketAddr::new(host, 9000)).map(drop)
    }

    fn end(mut self) -> Result<()> {
        self.web.delete(&mut self.client)?;
        self.other.delete(&mut self.client)?;
        self.client.delete("/v1/networks/blue")?.ok("delete network")?;
        drop(self.client);
        self.host.stop()?;
        expect_as_before(self.lab, &self.before)?;
        self.lab.passed()
    }
}

fn options(arguments: &[&str]) -> HostOptions {
    HostOptions {
        grants: component::GRANTS.to_owned(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..HostOptions::default()
    }
}

fn published() -> Value {
    json!({ "publish": [
        { "container_port": 80, "host_port": 8080 },
        { "container_port": 53, "host_port": 5300, "transport": "udp" },
        { "container_port": 90, "host_port": 9000, "transport": "sctp" },
    ] })
}

fn scenario(kind: &Kind) -> Result<()> {
    let lab = Lab::new(&format!("ports-{}", kind.driver))?;
    let mut scene = Scene::new(&lab, kind)?;
    scene.other.connect(&mut scene.client, "blue")?;
    let web = scene.web.connect_with(&mut scene.client, "blue", published())?;
    scene.expect_reached(&web)?;
    scene.end()
}

#[test]
fn ports_of_a_bridge_are_reached_from_everywhere() -> Result<()> {
    scenario(&KINDS[0])
}

#[test]
fn ports_of_the_ptp_component_are_reached_from_everywhere() -> Result<()> {
    scenario(&KINDS[1])
}

#[test]
fn ports_of_the_bridge_component_are_reached_from_everywhere() -> Result<()> {
    scenario(&KINDS[2])
}

/// A vendor's bridge keeps the world out as the built-in one does, but for the ports.
#[test]
fn the_world_enters_a_bridge_by_its_ports_alone() -> Result<()> {
    for kind in [&KINDS[0], &KINDS[2]] {
        let lab = Lab::new(&format!("ports-guarded-{}", kind.driver))?;
        let mut scene = Scene::new(&lab, kind)?;
        let web = scene.web.connect_with(&mut scene.client, "blue", published())?;
        let eth0 = "eth0".parse().unwrap();
        let far = lab
            .kernel()
            .link(&scene.outside, LinkQuery::Name(&eth0))
            .unwrap()
            .unwrap();
        for (network, gateway) in [("10.77.1.0/24", HOST[0]), ("fd00:77:1::/64", HOST[1])] {
            let way = plan::Route::via(network.parse().unwrap(), gateway.parse().unwrap(), far.index);
            lab.send(&scene.outside, &[Request::AddRoute(way)])?;
        }
        for address in &web.addresses {
            let inside = SocketAddr::new(*address, 80);
            let direct = probe::tcp(&lab, &scene.outside, &scene.web.namespace, inside, inside);
            assert!(direct.is_err(), "{}: {address} is reached", kind.driver);
        }
        for host in HOST.map(|a| a.parse::<IpAddr>().unwrap()) {
            scene.expect_port(&web, "outside", &scene.outside, host)?;
        }
        scene.end()?;
    }
    Ok(())
}

/// A host that was not told to switch forwarding on leaves it as it is: the port is reached from the host, and from nowhere else.
#[test]
fn without_the_operators_leave_nothing_forwards() -> Result<()> {
    let lab = Lab::new("ports-unforwarded")?;
    let mut scene = Scene::with(&lab, &KINDS[0], &[])?;
    let sysctls = |dump: &Dump| {
        let of_uplink = dump.sysctls.iter().filter(|(key, _)| key.contains("/up0/"));
        of_uplink.map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>()
    };
    let web = scene.web.connect_with(&mut scene.client, "blue", published())?;
    assert_eq!(sysctls(&lab.dump()?), sysctls(&scene.before));
    for host in HOST.map(|a| a.parse::<IpAddr>().unwrap()) {
        scene.expect_port(&web, "the host", lab.realm(), host)?;
        let refused = scene.expect_port(&web, "outside", &scene.outside, host);
        assert!(refused.is_err(), "forwarding is off for {host}");
    }
    scene.end()
}

/// The default route that an uplink learnt by router advertisement stays, also where the operator forwards IPv6 for the whole host.
#[test]
fn a_default_route_by_router_advertisement_is_kept() -> Result<()> {
    let lab = Lab::new("ports-advertised")?;
    let outside = lab.uplink("up0", "outside")?;
    lab.advertise_router(&outside)?;
    let learnt = |dump: &Dump| {
        let default = |r: &&RouteInfo| r.route.destination.prefix() == 0 && r.route.destination.is_ipv6();
        dump.routes.iter().filter(default).count()
    };
    let before = lab.dump()?;
    assert_eq!(learnt(&before), 1);
    let host = Host::start(&lab, options(&["--forwarding", "uplinks"]))?;
    let mut client = host.client()?;
    client
        .post("/v1/networks", &KINDS[0].network("blue", 1))?
        .ok("create network")?;
    let during = lab.dump()?;
    let value = |key: &str| during.sysctls.get(&format!("ipv6/conf/up0/{key}")).map(String::as_str);
    assert_eq!((value("accept_ra"), value("force_forwarding")), (Some("2"), Some("1")));
    assert_eq!(learnt(&during), 1);
    let whole_host = |on: &str| {
        lab.within(lab.realm(), || {
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", on)
        })?
        .map_err(|cause| LabError::new("forward IPv6 for the whole host", cause))
    };
    whole_host("1")?;
    lab.advertise_router(&outside)?;
    assert_eq!(learnt(&lab.dump()?), 1, "kept and renewed");
    whole_host("0")?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

/// Networks are kept apart, and a published port is open to all the same.
#[test]
fn a_port_is_reached_from_another_network_too() -> Result<()> {
    let lab = Lab::new("ports-across")?;
    let mut scene = Scene::new(&lab, &KINDS[0])?;
    let green = KINDS[0].network("green", 2);
    scene.client.post("/v1/networks", &green)?.ok("create network")?;
    scene.other.connect(&mut scene.client, "green")?;
    let web = scene.web.connect_with(&mut scene.client, "blue", published())?;
    scene.expect_reached(&web)?;
    let inside = SocketAddr::new(web.address(false).unwrap(), 80);
    let direct = probe::tcp(&lab, &scene.other.namespace, &scene.web.namespace, inside, inside);
    assert!(direct.is_err(), "its own address is not open to another network");
    scene.other.disconnect(&mut scene.client, "green")?;
    scene.client.delete("/v1/networks/green")?.ok("delete network")?;
    scene.end()
}

/// What a program has open is not taken from it: the refusal names it, and a chosen port is another.
#[test]
fn a_port_that_a_program_has_open_is_refused_by_its_name() -> Result<()> {
    let lab = Lab::new("ports-open")?;
    let mut scene = Scene::new(&lab, &KINDS[0])?;
    let tcp = lab
        .within(lab.realm(), || TcpListener::bind("127.0.0.1:8080"))?
        .unwrap();
    let udp = lab.within(lab.realm(), || UdpSocket::bind("[::]:5353"))?.unwrap();
    let first = lab.within(lab.realm(), || TcpListener::bind("[::]:49153"))?.unwrap();
    let me = format!("process {} (", std::process::id());
    let mut connect = |request: Value| {
        let mut request = request;
        request["sandbox"] = json!("web");
        scene.client.post("/v1/networks/blue/connect", &request)
    };
    let publish = |fields: Value| json!({ "publish": [fields] });
    for (fields, says) in [
        (
            json!({ "container_port": 80, "host_port": 8080 }),
            "host port 8080/tcp is open in",
        ),
        (
            json!({ "container_port": 80, "host_port": 8000, "count": 100 }),
            "host port 8080/tcp is open in",
        ),
        (
            json!({ "container_port": 8000, "host_port": 8000, "count": 100 }),
            "host port 8080/tcp is open in",
        ),
        (
            json!({ "container_port": 53, "host_port": 5353, "transport": "udp" }),
            "host port 5353/udp is open in",
        ),
    ] {
        let answer = connect(publish(fields))?;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(
            answer.detail().contains(says) && answer.detail().contains(&me),
            "{}",
            answer.detail()
        );
    }
    let foreign = connect(publish(
        json!({ "container_port": 80, "host_address": "192.0.2.99", "host_port": 80 }),
    ))?;
    assert_eq!(foreign.status, 400);
    assert!(
        foreign.detail().contains("192.0.2.99 is no address of this host"),
        "{}",
        foreign.detail()
    );
    let chosen = connect(json!({ "publish": [
        { "container_port": 80 },
        { "container_port": 80, "host_port": 8080, "host_port_end": 8089 },
        { "container_port": 80, "host_port": 8080, "host_address": "198.51.100.1" },
    ] }))?
    .ok("connect")?;
    let port = |n: usize| chosen["ports"][n]["host_port"].as_u64();
    assert_eq!(
        (port(0), port(2), port(4)),
        (Some(49154), Some(8081), Some(8080)),
        "{chosen}"
    );
    drop((tcp, udp, first));
    scene.end()
}

/// A host that is killed leaves ports that work; the next one holds them, and takes them back.
#[test]
fn ports_outlive_a_killed_host() -> Result<()> {
    let lab = Lab::new("ports-killed")?;
    let mut scene = Scene::new(&lab, &KINDS[0])?;
    scene.other.connect(&mut scene.client, "blue")?;
    let web = scene.web.connect_with(&mut scene.client, "blue", published())?;
    let standing = lab.dump()?;
    scene.host.kill()?;
    scene.expect_reached(&web)?;
    scene.host.restart(options(&["--forwarding", "uplinks"]))?;
    scene.client = scene.host.client()?;
    assert_eq!(lab.dump()?, standing, "a restart changes nothing");
    let third = Sandbox::create(&lab, &mut scene.client, "third")?;
    let taken = third.connect_with(&mut scene.client, "blue", published());
    assert!(taken.unwrap_err().to_string().contains("of network blue already"));
    third.delete(&mut scene.client)?;
    scene.expect_reached(&web)?;
    scene.end()
}

/// Ports come and go while the endpoint stays, by the command line as by the API.
#[test]
fn ports_change_while_connections_go_on() -> Result<()> {
    let lab = Lab::new("ports-changed")?;
    let mut scene = Scene::new(&lab, &KINDS[0])?;
    scene.other.connect(&mut scene.client, "blue")?;
    let web = scene.web.connect(&mut scene.client, "blue")?;
    let bare = lab.dump()?;
    let ports = "-p 8080:80 -p 5300:53/udp -p 9000:90/sctp -p 127.0.0.1:7000:70";
    let shown = scene.host.cli(
        &[
            &["network", "publish", "blue", "web"],
            &ports.split(' ').collect::<Vec<_>>()[..],
        ]
        .concat(),
    )?;
    assert!(shown.contains("0.0.0.0:8080->80/tcp\n[::]:8080->80/tcp\n"), "{shown}");
    scene.expect_reached(&web)?;
    let inside = SocketAddr::new(web.address(false).unwrap(), 70);
    let server = &scene.web.namespace;
    probe::tcp(&lab, lab.realm(), server, inside, "127.0.0.1:7000".parse().unwrap())?;
    let elsewhere = probe::tcp(
        &lab,
        &scene.outside,
        server,
        inside,
        "198.51.100.1:7000".parse().unwrap(),
    );
    assert!(elsewhere.is_err(), "published on 127.0.0.1 alone");
    scene.host.cli(&["network", "publish", "blue", "web"])?;
    let after = lab.dump()?;
    assert_eq!((after.firewall, after.sysctls), (bare.firewall, bare.sysctls));
    scene.end()
}

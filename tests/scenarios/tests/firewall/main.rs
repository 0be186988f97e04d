//! Networks are kept apart, whoever made them; other firewalls on the host do not stop what the host lets pass; a flush is mended while
//! traffic flows; and nothing is left in anybody's tables.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod blocked;

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, LinkQuery, Namespace, Request, plan::Route};
use jackfield_lab::{Client, Host, HostOptions, Joined, Lab, LabError, Result, Sandbox, component, probe};
use jackfield_scenarios::{KINDS, Kind, expect_as_before, load};
use serde_json::json;

const HOST: &str = "198.51.100.1";
const OUTSIDE: &str = "198.51.100.2";
/// What the real programs make: see the heads of the files.
const DOCKER: &str = include_str!("../../../../host/kernel/src/nft/tests/fixtures/docker-20.10.nft");
const FIREWALLD: &str = include_str!("../../../../host/kernel/src/nft/tests/fixtures/firewalld-1.3.nft");
/// A flush has to be mended within this.
const SECOND: Duration = Duration::from_secs(1);

/// A host with an uplink to another, and one sandbox in each of two networks of a kind.
struct Scene<'a> {
    lab: &'a Lab,
    outside: Namespace,
    before: jackfield_kernel::Dump,
    host: Host<'a>,
    client: Client,
    blue: Sandbox,
    red: Sandbox,
    in_blue: Joined,
    in_red: Joined,
}

impl<'a> Scene<'a> {
    /// `ruleset` is another firewall's, there before the host is.
    fn new(lab: &'a Lab, kind: &Kind, ruleset: &str) -> Result<Self> {
        let outside = lab.uplink("up0", "outside")?;
        let cable = |here: &str, there: &str| (here.parse().unwrap(), there.parse().unwrap());
        lab.address_uplink(
            &outside,
            &[
                cable("198.51.100.1/24", "198.51.100.2/24"),
                cable("fd00:51::1/64", "fd00:51::2/64"),
            ],
        )?;
        nft(lab, ruleset)?;
        let before = lab.dump()?;
        let options = HostOptions {
            grants: component::GRANTS.to_owned(),
            arguments: vec!["--forwarding".into(), "uplinks".into()],
            ..HostOptions::default()
        };
        let host = Host::start(lab, options)?;
        let mut client = host.client()?;
        load(&mut client, kind)?;
        let mut join = |name: &str, number| -> Result<(Sandbox, Joined)> {
            client
                .post("/v1/networks", &kind.network(name, number))?
                .ok("create network")?;
            let sandbox = Sandbox::create(lab, &mut client, name)?;
            let joined = sandbox.connect(&mut client, name)?;
            Ok((sandbox, joined))
        };
        let ((blue, in_blue), (red, in_red)) = (join("blue", 1)?, join("red", 2)?);
        Ok(Self {
            lab,
            outside,
            before,
            host,
            client,
            blue,
            red,
            in_blue,
            in_red,
        })
    }

    /// Not every driver masquerades.
    fn know_the_way_back(&self) -> Result<()> {
        let eth0 = "eth0".parse().unwrap();
        let link = self.lab.kernel().link(&self.outside, LinkQuery::Name(&eth0));
        let index = link.map_err(|e| LabError::new("find the cable", e))?.unwrap().index;
        let route = Route::via("10.77.0.0/16".parse().unwrap(), ip(HOST), index);
        self.lab.send(&self.outside, &[Request::AddRoute(route)])
    }

    fn end(mut self) -> Result<()> {
        for name in ["blue", "red"] {
            self.client
                .delete(&format!("/v1/sandboxes/{name}"))?
                .ok("delete sandbox")?;
            self.client
                .delete(&format!("/v1/networks/{name}"))?
                .ok("delete network")?;
        }
        drop(self.client);
        self.host.stop()?;
        expect_as_before(self.lab, &self.before)?;
        self.lab.passed()
    }
}

/// Loads a ruleset by the `nft` program, as its owner would.
fn nft(lab: &Lab, ruleset: &str) -> Result<()> {
    let run = || Command::new("nft").arg(ruleset).output();
    let failed = |words: String| LabError::new("load a ruleset", words);
    let output = lab.within(lab.realm(), run)?.map_err(|e| failed(e.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// False, said on stderr, where the program is missing: a scenario about other people's tables needs it to make them.
fn has_nft() -> bool {
    let found = Command::new("nft").arg("-v").output().is_ok();
    if !found {
        eprintln!("skipped: the program `nft` is not installed");
    }
    found
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The kinds whose endpoints the host routes for.
fn routed_kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| kind.host_is_gateway)
}

#[test]
fn networks_of_every_driver_do_not_reach_each_other() -> Result<()> {
    for kind in routed_kinds() {
        let lab = Lab::new(&format!("isolation-{}", kind.driver))?;
        let mut scene = Scene::new(&lab, kind, "")?;
        let second = Sandbox::create(&lab, &mut scene.client, "second")?;
        let in_blue = second.connect(&mut scene.client, "blue")?;
        for ipv6 in [false, true] {
            let other = scene.in_red.address(ipv6).unwrap();
            assert!(
                probe::unreachable(&lab, &scene.blue.namespace, other),
                "{}: {other} is another network's",
                kind.driver
            );
            let neighbour = in_blue.address(ipv6).unwrap();
            probe::ping(&lab, &scene.blue.namespace, neighbour)?;
        }
        scene.know_the_way_back()?;
        probe::ping(&lab, &scene.blue.namespace, ip(OUTSIDE))?;
        second.delete(&mut scene.client)?;
        scene.end()?;
    }
    Ok(())
}

/// By the host's address, as with Docker's userland proxy; by the endpoint's own, not.
#[test]
fn a_published_port_is_reached_from_another_network() -> Result<()> {
    for kind in routed_kinds() {
        let lab = Lab::new(&format!("published-across-{}", kind.driver))?;
        let mut scene = Scene::new(&lab, kind, "")?;
        let ports = json!({ "publish": [{ "container_port": 80, "host_port": 8080 }] });
        let path = format!("/v1/endpoints/{}/ports", scene.in_red.endpoint);
        scene.client.put(&path, &ports)?.ok("publish")?;
        let listen = SocketAddr::new(scene.in_red.address(false).unwrap(), 80);
        let connect = |to| probe::tcp(&lab, &scene.blue.namespace, &scene.red.namespace, listen, to);
        connect(SocketAddr::new(ip(HOST), 8080))?;
        assert!(connect(listen).is_err(), "by its own address");
        scene.end()?;
    }
    Ok(())
}

/// Docker drops what it does not know once it has turned forwarding on; firewalld rejects it.
#[test]
fn other_firewalls_let_pass_what_the_host_does() -> Result<()> {
    if !has_nft() {
        return Ok(());
    }
    for (name, ruleset) in [("docker", DOCKER), ("firewalld", FIREWALLD)] {
        let lab = Lab::new(&format!("beside-{name}"))?;
        let mut scene = Scene::new(&lab, &KINDS[0], ruleset)?;
        reach_everything(&mut scene)?;
        // Their owner makes them anew: the rule is back within moments.
        nft(
            &lab,
            &format!(
                "flush table {}",
                if name == "docker" {
                    "ip filter"
                } else {
                    "inet firewalld"
                }
            ),
        )?;
        nft(&lab, &format!("flush ruleset\n{ruleset}"))?;
        heals(&lab, &scene.blue.namespace)?;
        reach_everything(&mut scene)?;
        scene.end()?;
    }
    Ok(())
}

fn reach_everything(scene: &mut Scene<'_>) -> Result<()> {
    let path = format!("/v1/endpoints/{}/ports", scene.in_blue.endpoint);
    scene
        .client
        .put(
            &path,
            &json!({ "publish": [{ "container_port": 80, "host_port": 8080 }] }),
        )?
        .ok("publish")?;
    probe::ping(scene.lab, &scene.blue.namespace, ip(OUTSIDE))?;
    let listen = SocketAddr::new(scene.in_blue.address(false).unwrap(), 80);
    let published = SocketAddr::new(ip(HOST), 8080);
    probe::tcp(scene.lab, &scene.outside, &scene.blue.namespace, listen, published)?;
    scene
        .client
        .put(&path, &json!({ "publish": [] }))?
        .ok("unpublish")
        .map(drop)
}

/// The way out is there again within a second.
fn heals(lab: &Lab, from: &Namespace) -> Result<()> {
    let begun = Instant::now();
    while probe::unreachable(lab, from, ip(OUTSIDE)) {
        assert!(begun.elapsed() < 2 * SECOND, "not mended");
    }
    Ok(())
}

#[test]
fn a_flush_in_mid_traffic_is_mended_and_a_stream_goes_on() -> Result<()> {
    if !has_nft() {
        return Ok(());
    }
    let lab = Lab::new("flush")?;
    let scene = Scene::new(&lab, &KINDS[0], "")?;
    let stream = Stream::start(&lab, &scene.outside, &scene.blue.namespace)?;
    let whole = lab.dump()?.firewall;
    for _ in 0..3 {
        stream.goes_on();
        nft(&lab, "flush ruleset")?;
        let begun = Instant::now();
        while lab.dump()?.firewall != whole {
            assert!(begun.elapsed() < SECOND, "not mended within a second");
        }
        println!("mended within {:?}", begun.elapsed());
        stream.goes_on();
    }
    stream.end();
    await_event(&lab, "\"heal\"").map(drop)?;
    assert!(probe::unreachable(
        &lab,
        &scene.blue.namespace,
        scene.in_red.address(false).unwrap()
    ));
    scene.end()
}

/// Reads the host's events, from the first on, until one has that word; answers with what was read.
fn await_event(lab: &Lab, word: &str) -> Result<String> {
    let broken = |e: std::io::Error| LabError::new("read events", e);
    let mut socket = UnixStream::connect(lab.socket()).map_err(broken)?;
    socket.set_read_timeout(Some(2 * SECOND)).map_err(broken)?;
    socket
        .write_all(b"GET /v1/events?since=0 HTTP/1.1\r\nHost: jackfield\r\n\r\n")
        .map_err(broken)?;
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    while !heard.contains(word) {
        let length = socket.read(&mut buffer).map_err(broken)?;
        heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    Ok(heard)
}

/// A masqueraded connection from a sandbox to the outside, on which something goes to and fro all the time.
struct Stream {
    rounds: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Stream {
    fn start(lab: &Lab, server: &Namespace, client: &Namespace) -> Result<Self> {
        let broken = |e: std::io::Error| LabError::new("open a stream", e);
        let listener = lab
            .within(server, || TcpListener::bind("0.0.0.0:7000"))?
            .map_err(broken)?;
        let to = SocketAddr::new(ip(OUTSIDE), 7000);
        let stream = lab.within(client, || TcpStream::connect(to))?.map_err(broken)?;
        let (accepted, _) = listener.accept().map_err(broken)?;
        let (rounds, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ends) = (rounds.clone(), over.clone());
        let threads = vec![
            std::thread::spawn(move || echo(accepted)),
            std::thread::spawn(move || ask(stream, &counted, &ends)),
        ];
        Ok(Self { rounds, over, threads })
    }

    /// Fifty more rounds within a few seconds: TCP sends again what was lost.
    fn goes_on(&self) {
        let (begun, from) = (Instant::now(), self.rounds.load(Ordering::Relaxed));
        while self.rounds.load(Ordering::Relaxed) < from + 50 {
            assert!(begun.elapsed() < 5 * SECOND, "the stream is dead");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap().unwrap();
        }
    }
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

fn ask(mut stream: TcpStream, rounds: &AtomicU64, over: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = [0; 9];
    while !over.load(Ordering::Relaxed) {
        stream.write_all(b"jackfield")?;
        stream.read_exact(&mut buffer)?;
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

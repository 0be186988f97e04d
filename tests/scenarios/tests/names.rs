//! Names in sandboxes, asked for with real packets: whom a sandbox knows, whom it asks outside, and what is left when it is gone.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    time::{Duration, Instant},
};

use jackfield_kernel::{Kernel, Namespace};
use jackfield_lab::{
    Client, Host, HostOptions, Lab, LabError, Result, Sandbox,
    dns::{self, Told, Upstream, ask, ask_over_tcp, expect},
};
use jackfield_scenarios::expect_as_before;
use serde_json::{Value, json};

const FINE: &str = "No Error";
const NONE: &str = "Non-Existent Domain";
const FAILED: &str = "Server Failure";
/// What the upstream server says of every name.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

fn network(client: &mut Client, name: &str, number: u8, more: Value) -> Result<()> {
    let mut request = json!({
        "name": name,
        "ipv6": true,
        "pools": [{ "subnet": format!("10.77.{number}.0/24") }, { "subnet": format!("fd00:77:{number}::/64") }],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    client
        .post("/v1/networks", &request)?
        .ok(&format!("create network {name}"))
        .map(drop)
}

fn sandbox(lab: &Lab, client: &mut Client, name: &str, dns: Value) -> Result<Sandbox> {
    Sandbox::create_with(lab, client, name, json!({ "dns": dns }))
}

fn start(lab: &Lab) -> Result<(Host<'_>, Client)> {
    let host = Host::start(lab, HostOptions::default())?;
    let client = host.client()?;
    Ok((host, client))
}

/// Waits until that holds.
fn wait_until(step: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds()? {
        if Instant::now() > deadline {
            return Err(LabError::new(step, "not within ten seconds"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn clear(client: &mut Client, sandboxes: &[&Sandbox], networks: &[&str]) -> Result<()> {
    for sandbox in sandboxes {
        sandbox.delete(client)?;
    }
    for network in networks {
        client
            .delete(&format!("/v1/networks/{network}"))?
            .ok("delete network")?;
    }
    Ok(())
}

#[test]
fn a_sandbox_knows_the_names_of_its_networks_and_no_others() -> Result<()> {
    let lab = Lab::new("names")?;
    let before = lab.dump()?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    network(&mut client, "red", 2, json!({}))?;
    let [a, b, c] = ["a", "b", "c"].map(|name| Sandbox::create(&lab, &mut client, name));
    let (a, b, c) = (a?, b?, c?);
    let with = json!({ "aliases": ["db"], "name": "first", "services": ["http:8080/tcp"] });
    let in_a = a.connect_with(&mut client, "blue", with)?;
    b.connect_with(&mut client, "blue", json!({ "aliases": ["db"] }))?;
    b.connect(&mut client, "red")?;
    c.connect(&mut client, "red")?;

    let short = client.get("/v1/sandboxes/a")?.ok("show sandbox")?["id"]
        .as_str()
        .unwrap_or_default()[..12]
        .to_owned();
    for (from, name, kind, code, data) in [
        (&a, "b.", "A", FINE, &["10.77.1.3"][..]),
        (&b, "a.", "A", FINE, &["10.77.1.2"]),
        (&b, "a.", "AAAA", FINE, &["fd00:77:1::2"]),
        (&b, "a.", "MX", FINE, &[]),
        (&b, "FIRST.", "A", FINE, &["10.77.1.2"]),
        (&b, &format!("{short}."), "A", FINE, &["10.77.1.2"]),
        (&a, "db.", "A", FINE, &["10.77.1.2", "10.77.1.3"]),
        (&a, "a.blue.jackfield.internal.", "A", FINE, &["10.77.1.2"]),
        (&a, "nobody.jackfield.internal.", "A", NONE, &[]),
        (&b, "c.", "A", FINE, &["10.77.2.3"]),
        (&b, "b.red.", "A", FINE, &["10.77.2.2"]),
        (&a, "c.", "A", FAILED, &[]),
        (&c, "a.", "A", FAILED, &[]),
        (
            &b,
            "2.1.77.10.in-addr.arpa.",
            "PTR",
            FINE,
            &["a.blue.jackfield.internal."],
        ),
        (&b, "9.1.77.10.in-addr.arpa.", "PTR", NONE, &[]),
        (
            &b,
            "_http._tcp.a.",
            "SRV",
            FINE,
            &["0 0 8080 a.blue.jackfield.internal."],
        ),
        (
            &b,
            "_http._tcp.db.",
            "SRV",
            FINE,
            &["0 0 8080 a.blue.jackfield.internal."],
        ),
    ] {
        expect(&ask(&lab, &from.namespace, name, kind, None)?, code, data)?;
        expect(&ask_over_tcp(&lab, &from.namespace, name, kind)?, code, data)?;
    }
    let firsts: std::collections::BTreeSet<String> = (0..40)
        .map(|_| ask(&lab, &a.namespace, "db.", "A", None).map(|told| told.data[0].clone()))
        .collect::<Result<_>>()?;
    assert_eq!(firsts.len(), 2, "each of the two comes first now and then");

    let path = format!("/v1/endpoints/{}", in_a.endpoint);
    client.post(&format!("{path}/leave"), &json!({}))?.ok("leave")?;
    expect(&ask(&lab, &b.namespace, "db.", "A", None)?, FINE, &["10.77.1.3"])?;
    expect(&ask(&lab, &b.namespace, "a.", "A", None)?, FAILED, &[])?;

    client.delete(&path)?.ok("delete endpoint")?;
    clear(&mut client, &[&a, &b, &c], &["blue", "red"])?;
    assert!(lab.files("run/sandboxes").is_empty());
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn the_network_of_the_default_route_is_asked_first() -> Result<()> {
    let lab = Lab::new("names-first")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    network(&mut client, "red", 2, json!({}))?;
    let [a, b, c] = ["a", "b", "c"].map(|name| Sandbox::create(&lab, &mut client, name));
    let (a, b, c) = (a?, b?, c?);
    b.connect_with(&mut client, "blue", json!({ "aliases": ["db"] }))?;
    c.connect_with(&mut client, "red", json!({ "aliases": ["db"] }))?;
    a.connect(&mut client, "blue")?;
    expect(&ask(&lab, &a.namespace, "db.", "A", None)?, FINE, &["10.77.1.2"])?;
    a.connect_with(&mut client, "red", json!({ "priority": 5 }))?;
    expect(&ask(&lab, &a.namespace, "db.", "A", None)?, FINE, &["10.77.2.2"])?;
    client
        .post("/v1/networks/red/disconnect", &json!({ "sandbox": "a" }))?
        .ok("disconnect")?;
    expect(&ask(&lab, &a.namespace, "db.", "A", None)?, FINE, &["10.77.1.2"])?;
    clear(&mut client, &[&a, &b, &c], &["blue", "red"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn a_server_of_the_sandboxs_own_gets_every_port_53() -> Result<()> {
    let lab = Lab::new("own-server")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let a = Sandbox::create(&lab, &mut client, "a")?;
    a.connect(&mut client, "blue")?;
    let fail = |cause: std::io::Error| LabError::new("listen on port 53", cause);
    for address in ["0.0.0.0:53", "[::]:53"] {
        let udp = lab.within(&a.namespace, || UdpSocket::bind(address))?.map_err(fail)?;
        let tcp = lab.within(&a.namespace, || TcpListener::bind(address))?.map_err(fail)?;
        expect(&ask(&lab, &a.namespace, "a.", "A", None)?, FINE, &["10.77.1.2"])?;
        expect(&ask_over_tcp(&lab, &a.namespace, "a.", "A")?, FINE, &["10.77.1.2"])?;
        drop((udp, tcp));
    }
    clear(&mut client, &[&a], &["blue"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn what_no_network_knows_is_asked_outside() -> Result<()> {
    let lab = Lab::new("upstream")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let server = Sandbox::create(&lab, &mut client, "server")?;
    let at = server.connect(&mut client, "blue")?.addresses[0];
    let upstream = Upstream::start(&lab, &server.namespace, at, OUTSIDE)?;
    let a = sandbox(&lab, &mut client, "a", json!({ "servers": [at.to_string()] }))?;
    a.connect(&mut client, "blue")?;

    let told = ask(&lab, &a.namespace, "www.example.", "A", None)?;
    expect(&told, FINE, &["203.0.113.7"])?;
    let asked = upstream.asked();
    expect(
        &ask(&lab, &a.namespace, "WWW.example.", "A", None)?,
        FINE,
        &["203.0.113.7"],
    )?;
    assert_eq!(upstream.asked(), asked, "the second time it is remembered");
    expect(&ask(&lab, &a.namespace, "nothing.example.", "A", None)?, NONE, &[])?;
    expect(
        &ask(&lab, &a.namespace, "loop.example.", "A", None)?,
        FINE,
        &["loop.example."],
    )?;
    let big = ask(&lab, &a.namespace, "big.example.", "A", None)?;
    assert!(big.truncated && big.data.is_empty(), "{big:?}");
    assert_eq!(
        ask(&lab, &a.namespace, "big.example.", "A", Some(4096))?.data.len(),
        100
    );
    assert_eq!(ask_over_tcp(&lab, &a.namespace, "big.example.", "A")?.data.len(), 100);
    drop(upstream);
    // The port is closed now, and the kernel says so at once.
    let told = ask(&lab, &a.namespace, "later.example.", "A", None)?;
    expect(&told, FAILED, &[])?;
    assert!(told.took < Duration::from_secs(1), "{told:?}");

    // Nobody has this address: not a word comes back.
    let mute = sandbox(&lab, &mut client, "mute", json!({ "servers": ["10.77.1.200"] }))?;
    mute.connect(&mut client, "blue")?;
    let told = ask(&lab, &mute.namespace, "www.example.", "A", None)?;
    expect(&told, FAILED, &[])?;
    assert!(told.took < Duration::from_secs(5), "{told:?}");
    clear(&mut client, &[&a, &mute, &server], &["blue"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn a_dead_server_does_not_keep_the_next_one_from_answering() -> Result<()> {
    let lab = Lab::new("names-second")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let server = Sandbox::create(&lab, &mut client, "server")?;
    let at = server.connect(&mut client, "blue")?.addresses[0];
    let upstream = Upstream::start(&lab, &server.namespace, at, OUTSIDE)?;
    // Nobody has the first address.
    let a = sandbox(
        &lab,
        &mut client,
        "a",
        json!({ "servers": ["10.77.1.200", at.to_string()] }),
    )?;
    a.connect(&mut client, "blue")?;
    for (name, how) in [("www.example.", "in a datagram"), ("ftp.example.", "over TCP")] {
        let told = match how {
            "over TCP" => ask_over_tcp(&lab, &a.namespace, name, "A")?,
            _ => ask(&lab, &a.namespace, name, "A", None)?,
        };
        expect(&told, FINE, &["203.0.113.7"])?;
        assert!(told.took < Duration::from_secs(5), "{how}: {told:?}");
    }
    assert!(upstream.asked() > 0);
    clear(&mut client, &[&a, &server], &["blue"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn the_hosts_own_servers_are_asked_last_and_a_loopback_one_from_the_realm() -> Result<()> {
    let lab = Lab::new("host-servers")?;
    let conf = |text: &str| {
        std::fs::write(lab.path("resolv.conf"), text).map_err(|cause| LabError::new("write resolv.conf", cause))
    };
    let (host, mut client) = start(&lab)?;
    let stub = Upstream::start(&lab, lab.realm(), [127, 0, 0, 53].into(), OUTSIDE)?;
    network(&mut client, "blue", 1, json!({}))?;
    network(&mut client, "inside", 2, json!({ "internal": true }))?;
    network(&mut client, "own", 3, json!({ "dns": { "servers": ["127.0.0.54"] } }))?;
    let [a, b, c] = ["a", "b", "c"].map(|name| Sandbox::create(&lab, &mut client, name));
    let (a, b, c) = (a?, b?, c?);
    a.connect(&mut client, "blue")?;
    b.connect(&mut client, "inside")?;
    c.connect(&mut client, "own")?;
    expect(&ask(&lab, &a.namespace, "www.example.", "A", None)?, FAILED, &[])?;
    conf("nameserver 127.0.0.53\n")?;
    expect(
        &ask(&lab, &a.namespace, "www.example.", "A", None)?,
        FINE,
        &["203.0.113.7"],
    )?;
    expect(&ask(&lab, &b.namespace, "www.example.", "A", None)?, FAILED, &[])?;
    expect(&ask(&lab, &b.namespace, "b.", "A", None)?, FINE, &["10.77.2.2"])?;
    let other = Upstream::start(&lab, lab.realm(), [127, 0, 0, 54].into(), Ipv4Addr::new(203, 0, 113, 8))?;
    expect(
        &ask(&lab, &c.namespace, "www.example.", "A", None)?,
        FINE,
        &["203.0.113.8"],
    )?;
    // Read again as soon as it changes.
    conf("nameserver 127.0.0.54\n")?;
    expect(
        &ask(&lab, &a.namespace, "ftp.example.", "A", None)?,
        FINE,
        &["203.0.113.8"],
    )?;
    assert!(stub.asked() > 0 && other.asked() > 0);
    clear(&mut client, &[&a, &b, &c], &["blue", "inside", "own"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn names_resolve_again_when_a_host_that_was_killed_is_back() -> Result<()> {
    let lab = Lab::new("names-restart")?;
    let before = lab.dump()?;
    let (mut host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let (a, b) = (
        Sandbox::create(&lab, &mut client, "a")?,
        Sandbox::create(&lab, &mut client, "b")?,
    );
    a.connect_with(&mut client, "blue", json!({ "aliases": ["db"] }))?;
    b.connect(&mut client, "blue")?;
    let tables = |namespace: &Namespace| lab.dump_of(namespace).map(|dump| dump.firewall);
    let table = tables(&a.namespace)?;
    host.kill()?;
    host.restart(HostOptions::default())?;
    assert_eq!(tables(&a.namespace)?, table, "the same port as before");
    expect(&ask(&lab, &b.namespace, "db.", "A", None)?, FINE, &["10.77.1.2"])?;

    // A program takes the port while the host is away: another one is found.
    host.kill()?;
    let thief = lab.within(&a.namespace, || UdpSocket::bind("0.0.0.0:61053"))?;
    let _thief = thief.map_err(|cause| LabError::new("take the resolver's port", cause))?;
    host.restart(HostOptions::default())?;
    expect(&ask(&lab, &a.namespace, "b.", "A", None)?, FINE, &["10.77.1.3"])?;
    assert_ne!(tables(&a.namespace)?, table);
    let mut client = host.client()?;
    clear(&mut client, &[&a, &b], &["blue"])?;
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn a_sandbox_of_somebody_elses_is_left_as_it_was_and_is_not_kept_alive() -> Result<()> {
    let lab = Lab::new("names-adopted")?;
    let before = lab.dump()?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let namespace = lab.namespace("theirs")?;
    let inside = lab.dump_of(&namespace)?;
    let path = lab.namespace_path("theirs");
    client
        .post("/v1/sandboxes", &json!({ "name": "theirs", "path": path }))?
        .ok("adopt")?;
    let theirs = Sandbox {
        name: "theirs".into(),
        namespace,
    };
    theirs.connect(&mut client, "blue")?;
    expect(
        &ask(&lab, &theirs.namespace, "theirs.", "A", None)?,
        FINE,
        &["10.77.1.2"],
    )?;
    theirs.disconnect(&mut client, "blue")?;
    wait_until("wait for the link's deletion", || {
        Ok(lab.dump_of(&theirs.namespace)?.links == inside.links)
    })?;
    assert_eq!(lab.dump_of(&theirs.namespace)?, inside);

    // Its file goes, and with it the last thing that kept it: the host's end of its link goes too.
    theirs.connect(&mut client, "blue")?;
    let ends = |lab: &Lab| lab.dump().map(|d| d.links.iter().filter(|l| l.kind == "veth").count());
    assert_eq!(ends(&lab)?, 1);
    lab.kernel().forget(&theirs.namespace);
    drop(theirs);
    lab.kernel()
        .unpin(&path)
        .map_err(|cause| LabError::new("unpin", cause))?;
    wait_until("wait for the end of the namespace", || Ok(ends(&lab)? == 0))?;
    client.delete("/v1/sandboxes/theirs")?.ok("delete")?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

#[test]
fn a_sandbox_that_floods_does_not_starve_another() -> Result<()> {
    let lab = Lab::new("names-flood")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    // Every question of the first goes to a server that never answers.
    let flooder = sandbox(&lab, &mut client, "flooder", json!({ "servers": ["10.77.1.200"] }))?;
    let quiet = Sandbox::create(&lab, &mut client, "quiet")?;
    flooder.connect(&mut client, "blue")?;
    quiet.connect(&mut client, "blue")?;
    let memory = |host: &Host<'_>| -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid()));
        let status = status.map_err(|cause| LabError::new("read the host's memory", cause))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        Ok(line
            .and_then(|l| l.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0))
    };
    let flood = |count: u32| -> Result<()> {
        let fail = |cause: std::io::Error| LabError::new("flood", cause);
        let socket = lab
            .within(&flooder.namespace, || UdpSocket::bind("127.0.0.1:0"))?
            .map_err(fail)?;
        socket.connect(dns::RESOLVER).map_err(fail)?;
        for number in 0..count {
            let name = format!("n{number}.example.");
            let bytes = dns::question(&name, "A", None).map_err(fail)?;
            // Some are no questions at all.
            let bytes = if number % 5 == 0 {
                &bytes[..bytes.len() / 2]
            } else {
                &bytes[..]
            };
            socket.send(bytes).map_err(fail)?;
        }
        Ok(())
    };
    flood(2000)?;
    let first = memory(&host)?;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        flood(1000)?;
        let told: Told = ask(&lab, &quiet.namespace, "quiet.", "A", None)?;
        expect(&told, FINE, &["10.77.1.3"])?;
        slowest = slowest.max(told.took);
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let grown = memory(&host)?.saturating_sub(first);
    assert!(grown < 8 << 10, "the host grew by {grown} KiB");
    clear(&mut client, &[&flooder, &quiet], &["blue"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn a_command_finds_the_sandboxs_own_files_in_etc() -> Result<()> {
    let lab = Lab::new("names-files")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let show = "cat /etc/resolv.conf /etc/hosts; cat /proc/sys/kernel/hostname";
    let text = host.cli(&[
        "run",
        "--network",
        "blue",
        "--alias",
        "db",
        "--hostname",
        "box",
        "--dns-search",
        "corp.example",
        "--",
        "sh",
        "-c",
        show,
    ])?;
    for line in [
        "nameserver 127.0.0.11",
        "search corp.example",
        "options ndots:0",
        "10.77.1.2\tbox",
        "127.0.0.1\tlocalhost",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
    assert_eq!(text.lines().last(), Some("box"));

    // What a user writes stays, also when an endpoint comes.
    host.cli(&["sandbox", "create", "a"])?;
    host.cli(&[
        "sandbox",
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "echo nameserver 9.9.9.9 > /etc/resolv.conf; echo 1.1.1.1 mine >> /etc/hosts",
    ])?;
    host.cli(&["network", "connect", "blue", "a"])?;
    let text = host.cli(&["sandbox", "exec", "a", "--", "cat", "/etc/resolv.conf", "/etc/hosts"])?;
    assert!(text.starts_with("nameserver 9.9.9.9\n"), "{text}");
    assert!(text.contains("1.1.1.1 mine\n") && text.contains("\ta\n"), "{text}");
    let refused = host.run(&["network", "connect", "blue", "a", "--alias", "not a label"])?;
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("is no DNS label"));
    host.cli(&["sandbox", "rm", "a"])?;
    host.cli(&["network", "rm", "blue"])?;
    host.stop()?;
    lab.passed()
}

#[test]
fn an_alias_that_is_no_label_is_refused_in_one_sentence() -> Result<()> {
    let lab = Lab::new("names-bad")?;
    let (host, mut client) = start(&lab)?;
    network(&mut client, "blue", 1, json!({}))?;
    let a = Sandbox::create(&lab, &mut client, "a")?;
    for (alias, shown) in [
        ("a b", "a b"),
        ("-a", "-a"),
        ("a.b", "a.b"),
        ("", ""),
        ("a\nb", "a\\nb"),
    ] {
        let answer = client.post(
            "/v1/networks/blue/connect",
            &json!({ "sandbox": "a", "aliases": [alias] }),
        )?;
        assert_eq!(answer.status, 400);
        let expected = format!(
            "aliases[0]: \"{shown}\" is no DNS label: expected 1 to 63 letters, digits, '-' or '_', with no '-' at either end"
        );
        assert_eq!(answer.detail(), expected);
    }
    let many: Vec<String> = (0..65).map(|n| format!("a{n}")).collect();
    let answer = client.post("/v1/networks/blue/connect", &json!({ "sandbox": "a", "aliases": many }))?;
    assert_eq!(
        answer.detail(),
        "65 aliases are too many for one endpoint: expected at most 64"
    );
    let answer = client.post("/v1/sandboxes", &json!({ "name": "b", "dns": { "options": ["a\nb"] } }))?;
    assert_eq!(
        answer.detail(),
        "\"a\\nb\" is no resolver option: expected one as ndots:2 or rotate"
    );
    let none: Vec<IpAddr> = Vec::new();
    assert_eq!(client.get("/v1/endpoints")?.ok("list")?, json!(none));
    clear(&mut client, &[&a], &["blue"])?;
    host.stop()?;
    lab.passed()
}

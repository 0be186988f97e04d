//! A port that moves to another endpoint takes its UDP clients along, whose connections the kernel tracks by their sockets.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use jackfield_kernel::{FirewallChange, Kernel, Linux, Namespace, Request, plan::FirewallRule};
use jackfield_lab::{Lab, Result, probe};
use jackfield_model::{PortMapping, Transport};
use jackfield_scenarios::KINDS;

use super::{Scene, options, published};

fn udp(lab: &Lab, namespace: &Namespace, address: &str) -> Result<UdpSocket> {
    let socket = lab.within(namespace, || UdpSocket::bind(address))?.unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    Ok(socket)
}

/// A client that keeps its socket follows the port: to the first endpoint that gets it, and to the next.
#[test]
fn a_udp_client_moves_over_with_the_port() -> Result<()> {
    let lab = Lab::new("ports-moving")?;
    let mut scene = Scene::new(&lab, &KINDS[0])?;
    for (host, any) in [("198.51.100.1:5300", "0.0.0.0:0"), ("[fd00:51::1]:5300", "[::]:0")] {
        let client = udp(&lab, &scene.outside, any)?;
        // The host itself answers that nobody is there, and remembers the connection.
        client.send_to(b"nobody", host).unwrap();
        for name in ["web", "other", "web"] {
            let sandbox = if name == "web" { &scene.web } else { &scene.other };
            let joined = sandbox.connect_with(&mut scene.client, "blue", published())?;
            let address = joined.address(host.starts_with('[')).unwrap();
            let server = udp(&lab, &sandbox.namespace, &SocketAddr::new(address, 53).to_string())?;
            probe::ping(&lab, lab.realm(), address)?;
            let from = send_until_heard(&client, host, &server, name);
            server.send_to(b"back", from).unwrap();
            let mut buffer = [0; 16];
            let (length, back) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], back.to_string().as_str()), (&b"back"[..], host));
            sandbox.disconnect(&mut scene.client, "blue")?;
        }
    }
    scene.end()
}

/// As a client of UDP does: again, until it is heard. Answers with where the server saw it come from.
fn send_until_heard(client: &UdpSocket, to: &str, server: &UdpSocket, word: &str) -> SocketAddr {
    let begun = Instant::now();
    let mut buffer = [0; 16];
    while begun.elapsed() < Duration::from_secs(2) {
        client.send_to(word.as_bytes(), to).unwrap();
        if let Ok((length, from)) = server.recv_from(&mut buffer) {
            assert_eq!(&buffer[..length], word.as_bytes());
            return from;
        }
    }
    panic!("{word} is not reached by {to}");
}

/// That it follows is the host's doing: where only the element of the table is another, and the connection is not forgotten, the client
/// goes on to the old endpoint, while a new client is led to the new one.
#[test]
fn a_udp_client_would_stay_where_its_connection_is_not_forgotten() -> Result<()> {
    let lab = Lab::new("ports-staying")?;
    let mut scene = Scene::new(&lab, &KINDS[0])?;
    let to = "198.51.100.1:5300";
    let web = scene.web.connect_with(&mut scene.client, "blue", published())?;
    let other = scene.other.connect(&mut scene.client, "blue")?;
    let targets = [&web, &other].map(|joined| joined.address(false).unwrap());
    let old = udp(&lab, &scene.web.namespace, &SocketAddr::new(targets[0], 53).to_string())?;
    let new = udp(
        &lab,
        &scene.other.namespace,
        &SocketAddr::new(targets[1], 53).to_string(),
    )?;
    for target in targets {
        probe::ping(&lab, lab.realm(), target)?;
    }
    let client = udp(&lab, &scene.outside, "0.0.0.0:0")?;
    send_until_heard(&client, to, &old, "first");

    // Dead, it puts nothing back.
    scene.host.kill()?;
    let [was, is] = targets.map(|target| FirewallRule::Publish {
        mapping: PortMapping {
            transport: Transport::Udp,
            container_port: 53,
            host_address: [0, 0, 0, 0].into(),
            host_port: 5300,
            count: 1,
        },
        target,
    });
    let by_hand = Request::Firewall(vec![FirewallChange::Remove(was), FirewallChange::Add(is)]);
    let answers = Linux::new().unwrap().send(lab.realm(), &[by_hand]).unwrap();
    answers.into_iter().for_each(|answer| answer.unwrap());
    send_until_heard(&client, to, &old, "still");
    assert!(
        new.recv_from(&mut [0; 16]).is_err(),
        "not a word has come to the new one"
    );
    send_until_heard(&udp(&lab, &scene.outside, "0.0.0.0:0")?, to, &new, "another");

    scene.host.restart(options(&["--forwarding", "uplinks"]))?;
    scene.client = scene.host.client()?;
    scene.end()
}

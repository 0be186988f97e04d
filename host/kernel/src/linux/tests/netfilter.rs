//! The firewall and tracked connections, in a batch among other requests.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
};

use jackfield_model::{PortMapping, Transport};
use nix::errno::Errno;

use super::{Bench, bridge, index, ip, name, net, up};
use crate::{FirewallChange, Ifindex, Leading, Request, StaleConnections, netns, plan::FirewallRule};

fn masquerade() -> FirewallRule {
    FirewallRule::Masquerade {
        subnet: net("10.1.0.0/24"),
        link: name("br0"),
    }
}

#[test]
fn a_transaction_takes_its_turn_in_a_batch_and_all_is_gone_with_the_table() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.dump();
    let add = Request::Firewall(vec![FirewallChange::EnsureTable, FirewallChange::Add(masquerade())]);
    bench.realm(&[bench.create(bridge(1, "br0")), add.clone(), up(1)]);
    let made = bench.dump().0;
    assert!(
        made.links.iter().any(|l| l.index == index(1) && l.up),
        "what came after the transaction is done"
    );
    assert!(made.firewall.len() > 1, "{:?}", made.firewall);
    assert_eq!(bench.errors(&[add]), [Some(Errno::EEXIST)]);
    assert_eq!(bench.dump().0, made, "a refused transaction changes nothing");
    bench.realm(&[
        Request::Firewall(vec![FirewallChange::DropTable]),
        Request::DeleteLink { index: index(1) },
    ]);
    assert_eq!(bench.dump(), before);
}

#[test]
fn the_connections_of_an_address_are_forgotten_and_no_others() {
    let Some(bench) = Bench::new() else { return };
    let lo = Ifindex::new(1).unwrap();
    let address = |text| Request::AddAddress {
        index: lo,
        address: net(text),
    };
    let set_up = Request::SetLink {
        index: lo,
        setting: crate::plan::LinkSetting::Up(true),
    };
    // The table's rules look at connections, which makes the kernel track them.
    let table = Request::Firewall(vec![FirewallChange::EnsureTable, FirewallChange::Add(masquerade())]);
    bench.realm(&[set_up, address("10.1.0.1/32"), address("10.1.0.2/32"), table]);
    let _open: Vec<_> = ["10.1.0.1", "10.1.0.2"]
        .map(|to| netns::within(&bench.realm, || connect(to)).unwrap())
        .into();
    let flush = |text| bench.realm(&[Request::FlushConntrack { address: ip(text) }]);
    assert_eq!(tracked(&bench), 2);
    flush("192.0.2.1");
    assert_eq!(tracked(&bench), 2, "neither has a part of that address");
    flush("10.1.0.1");
    assert_eq!(tracked(&bench), 1);
    flush("10.1.0.1");
    assert_eq!(tracked(&bench), 1, "what is gone already is no error");
    flush("10.1.0.2");
    assert_eq!(tracked(&bench), 0);
}

#[test]
fn the_connections_to_a_published_port_are_told_by_where_they_lead() {
    let Some(bench) = Bench::new() else { return };
    let lo = Ifindex::new(1).unwrap();
    let set_up = Request::SetLink {
        index: lo,
        setting: crate::plan::LinkSetting::Up(true),
    };
    let address = Request::AddAddress {
        index: lo,
        address: net("10.1.0.1/32"),
    };
    let table = Request::Firewall(vec![FirewallChange::EnsureTable, FirewallChange::Add(masquerade())]);
    bench.realm(&[set_up, address, table]);
    let flush = |host: &str, port: u16, count: u16, target: &str, leading| {
        let mapping = PortMapping {
            transport: Transport::Tcp,
            container_port: 80,
            host_address: ip(host),
            host_port: port,
            count,
        };
        let target = ip(target);
        let stale = StaleConnections {
            mapping,
            target,
            leading,
        };
        bench.realm(&[Request::FlushPorts(vec![stale])]);
        tracked(&bench)
    };
    assert_eq!(
        flush("0.0.0.0", 80, 1, "10.1.0.9", Leading::There),
        0,
        "where nothing is tracked"
    );
    let (client, _server) = netns::within(&bench.realm, || connect("10.1.0.1")).unwrap();
    let port = client.peer_addr().unwrap().port();
    for (host, first, count, target, leading) in [
        ("0.0.0.0", port + 1, 1, "10.1.0.1", Leading::There),
        ("10.1.0.2", port, 1, "10.1.0.1", Leading::There),
        ("0.0.0.0", port, 1, "10.1.0.9", Leading::There),
        ("0.0.0.0", port, 1, "10.1.0.1", Leading::Elsewhere),
    ] {
        assert_eq!(
            flush(host, first, count, target, leading),
            1,
            "{host}:{first} {target} {leading:?}"
        );
    }
    assert_eq!(flush("0.0.0.0", port - 1, 3, "10.1.0.1", Leading::There), 0);
    let (client, _server) = netns::within(&bench.realm, || connect("10.1.0.1")).unwrap();
    let port = client.peer_addr().unwrap().port();
    assert_eq!(flush("10.1.0.1", port, 1, "10.1.0.9", Leading::Elsewhere), 0);
}

/// How many connections the kernel tracks in the realm.
fn tracked(bench: &Bench) -> u32 {
    let count = || std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
    netns::within(&bench.realm, count)
        .unwrap()
        .unwrap()
        .trim_end()
        .parse()
        .unwrap()
}

/// An open connection to an address from itself.
fn connect(to: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((to, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nonblocking(true).unwrap();
    assert!((&client).read(&mut [0]).is_err(), "open, and nothing was sent");
    (client, server)
}

//! A service's name leads to its virtual addresses, which spread connections over its endpoints, in both families, and follow them as they come
//! and go.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use jackfield_kernel::{Ifindex, Kernel, LinkAt, Namespace, Place, Request, plan};
use jackfield_lab::{
    Client, HostOptions, Joined, Lab, LabError, Result, Sandbox,
    dns::{ask, expect},
    probe,
};
use jackfield_model::MacAddr;
use jackfield_scenarios::{KINDS, expect_as_before, host};
use serde_json::json;

/// An index of somebody else's, far from the kernel's own and from the host's.
const FOREIGN: u32 = 3000;
const PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(5);

/// One of the endpoints behind the service: it says its number to whoever connects, and then echoes.
struct Backend {
    sandbox: Sandbox,
    ending: Arc<AtomicBool>,
    listeners: Vec<JoinHandle<()>>,
}

impl Backend {
    fn start(lab: &Lab, client: &mut Client, number: u8) -> Result<Self> {
        let sandbox = Sandbox::create(lab, client, &format!("backend{number}"))?;
        let joined = sandbox.connect_with(
            client,
            "blue",
            json!({ "behind": "web", "services": ["http:8080/tcp"] }),
        )?;
        let ending = Arc::new(AtomicBool::new(false));
        let listen = |address: &IpAddr| {
            let bound = lab.within(&sandbox.namespace, || TcpListener::bind((*address, PORT)))?;
            let listener = bound.map_err(|e| LabError::new("listen", e))?;
            listener.set_nonblocking(true).map_err(|e| LabError::new("listen", e))?;
            let ending = ending.clone();
            Ok(std::thread::spawn(move || serve(&listener, number, &ending)))
        };
        let listeners = joined.addresses.iter().map(listen).collect::<Result<_>>()?;
        Ok(Self {
            sandbox,
            ending,
            listeners,
        })
    }

    /// Leaves the network, and only then stops to listen: whoever comes afterwards would be answered by nobody.
    fn leave(self, client: &mut Client) -> Result<Sandbox> {
        self.sandbox.disconnect(client, "blue")?;
        self.ending.store(true, Ordering::Relaxed);
        for listener in self.listeners {
            listener
                .join()
                .map_err(|_| LabError::new("listen", "the server panicked"))?;
        }
        Ok(self.sandbox)
    }
}

fn serve(listener: &TcpListener, number: u8, ending: &AtomicBool) {
    while !ending.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => drop(std::thread::spawn(move || answer(stream, number))),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

fn answer(mut stream: TcpStream, number: u8) {
    let mut byte = [number];
    let blocking = stream.set_nonblocking(false).is_ok();
    while blocking && stream.write_all(&byte).is_ok() && stream.read_exact(&mut byte).is_ok() {}
}

/// Connects from there, and reads which backend it is.
fn connect(lab: &Lab, from: &Namespace, to: IpAddr) -> Result<Connected> {
    let open = || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to, PORT), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut number = [0u8];
        stream.read_exact(&mut number)?;
        Ok::<_, std::io::Error>((stream, number[0]))
    };
    lab.within(from, open)?
        .map_err(|e| LabError::new(format!("connect to {to}"), e))
}

fn echoes(stream: &mut TcpStream) -> bool {
    let mut byte = [0x5a];
    stream.write_all(&byte).is_ok() && stream.read_exact(&mut byte).is_ok() && byte == [0x5a]
}

/// A connection, and the number of the backend that it got to.
type Connected = (TcpStream, u8);

/// How many of that many connections each backend gets, and the connections.
fn spread(lab: &Lab, from: &Namespace, to: IpAddr, connections: usize) -> Result<([usize; 3], Vec<Connected>)> {
    let (mut counts, mut streams) = ([0; 3], Vec::new());
    for _ in 0..connections {
        let (stream, number) = connect(lab, from, to)?;
        counts[usize::from(number)] += 1;
        streams.push((stream, number));
    }
    Ok((counts, streams))
}

/// A bridge of somebody else's with the gateways of network `blue` already.
fn gateway_bridge(lab: &Lab) -> Result<()> {
    let index = |number| Ifindex::new(number).ok_or_else(|| LabError::new("an index", number));
    let at = |number| -> Result<LinkAt> {
        Ok(LinkAt {
            place: Place::Realm,
            index: index(number)?,
        })
    };
    let bridge = plan::NewLink {
        at: at(FOREIGN)?,
        name: "br0".parse().map_err(|cause| LabError::new("br0", cause))?,
        mac: MacAddr::random(),
        mtu: None,
        kind: plan::LinkKind::Bridge(plan::BridgeAttributes::default()),
    };
    let create = Request::CreateLink {
        link: Box::new(bridge),
        controller: None,
        group: 0,
        sandbox: None,
    };
    let set = |setting| -> Result<Request> {
        Ok(Request::SetLink {
            index: index(FOREIGN)?,
            setting,
        })
    };
    let address = |text: &str| -> Result<Request> {
        Ok(Request::AddAddress {
            index: index(FOREIGN)?,
            address: text.parse().map_err(|cause| LabError::new(text, cause))?,
        })
    };
    let (quiet, up) = (plan::LinkSetting::AddressGeneration(false), plan::LinkSetting::Up(true));
    lab.send(lab.realm(), &[create, set(quiet)?, set(up)?])?;
    // Without a port it has no carrier, and an IPv6 address of it is not to be waited for.
    let answers = lab.kernel().send(
        lab.realm(),
        &["10.77.1.1/24", "fd00:77:1::1/64"]
            .map(address)
            .into_iter()
            .collect::<Result<Vec<_>>>()?,
    );
    let answers = answers.map_err(|cause| LabError::new("address br0", cause))?;
    let all: jackfield_kernel::Result<()> = answers.into_iter().collect();
    all.map_err(|cause| LabError::new("address br0", cause))
}

/// Where the network is laid on a bridge that has the gateways already, its services are on that bridge.
#[test]
fn a_service_on_an_adopted_bridge_with_its_gateways_is_reached() -> Result<()> {
    let lab = Lab::new("services-adopted")?;
    gateway_bridge(&lab)?;
    let before = lab.dump()?;
    let mut host = host(&lab)?;
    let mut client = host.client()?;
    let mut network = KINDS[0].network("blue", 1);
    network["options"] = json!({ "bridge": "br0" });
    client.post("/v1/networks", &network)?.ok("create network")?;
    let asking = Sandbox::create(&lab, &mut client, "asking")?;
    asking.connect(&mut client, "blue")?;
    let backends: Vec<Backend> = (0..2)
        .map(|number| Backend::start(&lab, &mut client, number))
        .collect::<Result<_>>()?;
    let service = virtual_addresses(&mut client)?;
    assert_eq!(service.len(), 2, "one of each family: {service:?}");
    let reached = |from: &Namespace| -> Result<()> {
        for address in &service {
            let (counts, _) = spread(&lab, from, *address, 60)?;
            assert!(counts[0] > 0 && counts[1] > 0, "{address}: {counts:?}");
        }
        Ok(())
    };
    reached(&asking.namespace)?;
    reached(lab.realm())?;
    reached(&backends[0].sandbox.namespace)?;
    drop(client);
    host.kill()?;
    host.restart(HostOptions::default())?;
    let mut client = host.client()?;
    assert_eq!(virtual_addresses(&mut client)?, service);
    reached(&asking.namespace)?;
    for backend in backends {
        backend.leave(&mut client)?.delete(&mut client)?;
    }
    asking.delete(&mut client)?;
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

/// The virtual addresses of the service, as the network shows them.
fn virtual_addresses(client: &mut Client) -> Result<Vec<IpAddr>> {
    let network = client.get("/v1/networks/blue")?.ok("show network")?;
    let pools = network["pools"].as_array().cloned().unwrap_or_default();
    let leases = pools
        .iter()
        .flat_map(|p| p["leases"].as_array().cloned().unwrap_or_default());
    let of_service = leases.filter(|l| l["service"] == "web");
    Ok(of_service
        .filter_map(|l| l["address"].as_str().and_then(|a| a.parse().ok()))
        .collect())
}

/// What the service's name leads to, asked for in that sandbox.
fn named(lab: &Lab, from: &Namespace) -> Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for kind in ["A", "AAAA"] {
        let told = ask(lab, from, "web.", kind, None)?;
        addresses.extend(told.data.iter().filter_map(|data| data.parse::<IpAddr>().ok()));
    }
    Ok(addresses)
}

/// The whole of what is told of the service that has these addresses.
fn expect_names(lab: &Lab, from: &Namespace, service: &[IpAddr]) -> Result<()> {
    let full = "web.blue.jackfield.internal.";
    assert_eq!(named(lab, from)?, service);
    for address in service {
        let back = ask(lab, from, &backwards(*address), "PTR", None)?;
        expect(&back, "No Error", &[full])?;
    }
    let port = ask(lab, from, "_http._tcp.web.", "SRV", None)?;
    expect(&port, "No Error", &[&format!("0 0 {PORT} {full}")])
}

fn backwards(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(address) => {
            let nibbles = u128::from(address);
            let label = |at: u32| format!("{:x}.", nibbles >> (4 * at) & 0xf);
            (0..32).map(label).collect::<String>() + "ip6.arpa."
        }
    }
}

/// Three backends share 300 connections; one leaves, and neither new connections nor those to the others notice. The host is killed and started
/// again in between. Who asks is called as the service is: its own again only when nobody is behind the service any more.
#[test]
fn connections_are_spread_over_the_endpoints_that_are_there() -> Result<()> {
    let lab = Lab::new("services")?;
    let before = lab.dump()?;
    let mut host = host(&lab)?;
    let mut client = host.client()?;
    let network = KINDS[0].network("blue", 1);
    client.post("/v1/networks", &network)?.ok("create network")?;
    let asking = Sandbox::create(&lab, &mut client, "asking")?;
    let joined: Joined = asking.connect_with(&mut client, "blue", json!({ "aliases": ["web"] }))?;
    assert_eq!(joined.addresses.len(), 2);
    let mut backends: Vec<Backend> = (0..3)
        .map(|number| Backend::start(&lab, &mut client, number))
        .collect::<Result<_>>()?;
    let service = virtual_addresses(&mut client)?;
    assert_eq!(service.len(), 2, "one of each family: {service:?}");
    expect_names(&lab, &asking.namespace, &service)?;

    let (_, mut open) = spread(&lab, &asking.namespace, service[0], 40)?;
    for address in &service {
        let (counts, _) = spread(&lab, &asking.namespace, *address, 300)?;
        assert!(counts.iter().all(|n| (50..150).contains(n)), "{address}: {counts:?}");
        probe::ping(&lab, &asking.namespace, *address)?;
        let (from_host, _) = spread(&lab, lab.realm(), *address, 30)?;
        assert!(from_host.iter().all(|n| *n > 0), "from the host: {from_host:?}");
        let (from_one, _) = spread(&lab, &backends[0].sandbox.namespace, *address, 60)?;
        assert!(from_one.iter().all(|n| *n > 0), "itself is one of them: {from_one:?}");
    }

    drop(client);
    host.kill()?;
    let (while_away, _) = spread(&lab, &asking.namespace, service[0], 30)?;
    assert!(while_away.iter().all(|n| *n > 0), "without a host: {while_away:?}");
    host.restart(HostOptions::default())?;
    let mut client = host.client()?;
    assert_eq!(virtual_addresses(&mut client)?, service);
    expect_names(&lab, &asking.namespace, &service)?;

    let left = backends.remove(0).leave(&mut client)?;
    expect_names(&lab, &backends[0].sandbox.namespace, &service)?;
    for address in &service {
        let (counts, _) = spread(&lab, &asking.namespace, *address, 100)?;
        assert_eq!((counts[0], counts[1] + counts[2]), (0, 100), "{address}: {counts:?}");
    }
    for (stream, number) in open.iter_mut().filter(|(_, number)| *number != 0) {
        assert!(echoes(stream), "a connection to backend {number} broke");
    }

    drop(open);
    let mut sandboxes = vec![left];
    for backend in backends {
        sandboxes.push(backend.leave(&mut client)?);
    }
    assert_eq!(virtual_addresses(&mut client)?, [] as [IpAddr; 0]);
    assert_eq!(named(&lab, &asking.namespace)?, joined.addresses);
    sandboxes.push(asking);
    for sandbox in sandboxes {
        sandbox.delete(&mut client)?;
    }
    client.delete("/v1/networks/blue")?.ok("delete network")?;
    drop(client);
    host.stop()?;
    expect_as_before(&lab, &before)?;
    lab.passed()
}

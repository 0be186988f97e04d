//! Questions and answers of DNS, without any program: what a person would do with dig and dnsmasq.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use jackfield_kernel::Namespace;

use crate::{
    Lab, Result,
    error::{During, LabError},
    probe::bind,
};

/// Where a sandbox's resolver is.
pub const RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
/// Longer than any answer may take, the refusal of what nobody outside answers included.
pub const PATIENCE: Duration = Duration::from_millis(5500);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// As `dig` writes it: `No Error`, `Non-Existent Domain`, ...
    pub code: String,
    /// The records' data, in the answer's order.
    pub data: Vec<String>,
    /// It did not fit.
    pub truncated: bool,
    /// How long it took.
    pub took: Duration,
}

impl Told {
    /// The data in order, for comparing.
    pub fn sorted(&self) -> Vec<String> {
        let mut data = self.data.clone();
        data.sort();
        data
    }
}

/// Asks a sandbox's resolver in a datagram, of at most that size where one is given.
///
/// # Errors
/// When no answer comes in time.
pub fn ask(lab: &Lab, from: &Namespace, name: &str, kind: &str, size: Option<u16>) -> Result<Told> {
    let step = format!("ask for {name} {kind}");
    let question = question(name, kind, size).during(&step)?;
    let begun = Instant::now();
    let bytes = lab.within(from, || exchange_udp(&question))?.during(&step)?;
    told(&bytes, begun).during(&step)
}

/// The same over TCP.
///
/// # Errors
/// As [`ask`].
pub fn ask_over_tcp(lab: &Lab, from: &Namespace, name: &str, kind: &str) -> Result<Told> {
    let step = format!("ask for {name} {kind} over TCP");
    let question = question(name, kind, None).during(&step)?;
    let begun = Instant::now();
    let bytes = lab.within(from, || exchange_tcp(&question))?.during(&step)?;
    told(&bytes, begun).during(&step)
}

/// A question as bytes.
///
/// # Errors
/// That it cannot be one.
pub fn question(name: &str, kind: &str, size: Option<u16>) -> io::Result<Vec<u8>> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let id = clock.map_or(7, |d| (d.subsec_nanos() >> 4) as u16);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let kind: RecordType = kind.parse().map_err(io::Error::other)?;
    message.add_query(Query::query(Name::from_ascii(name).map_err(io::Error::other)?, kind));
    if let Some(size) = size {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.edns = Some(edns);
    }
    message.to_vec().map_err(io::Error::other)
}

fn exchange_udp(question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    // Connected: an answer from any other address or port than the one asked is not heard.
    socket.connect(RESOLVER)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(question)?;
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn exchange_tcp(question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&RESOLVER, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write_framed(&mut stream, question)?;
    read_framed(&mut stream)
}

fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn told(bytes: &[u8], begun: Instant) -> io::Result<Told> {
    let message = Message::from_vec(bytes).map_err(io::Error::other)?;
    Ok(Told {
        code: message.response_code.to_string(),
        data: message.answers.iter().map(|r| r.data.to_string()).collect(),
        truncated: message.truncation,
        took: begun.elapsed(),
    })
}

/// A server of DNS in a namespace, with a few answers of its own. Dropped, it stops.
///
/// `big.example.` has 100 addresses, `loop.example.` is an alias of itself, `nothing.example.` does not exist, nor does any name of a single
/// label or what is asked of an address; every other name has the one IPv4 address that the server was given, and nothing else.
#[derive(Debug)]
pub struct Upstream {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

/// How often a server looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);

impl Upstream {
    /// Serves on port 53 of that address, and answers with that other one.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(lab: &Lab, namespace: &Namespace, at: IpAddr, answer: Ipv4Addr) -> Result<Self> {
        let step = format!("serve DNS on {at}");
        let at = SocketAddr::new(at, 53);
        let udp = lab.within(namespace, || bind(UdpSocket::bind, at))?.during(&step)?;
        let tcp = lab.within(namespace, || bind(TcpListener::bind, at))?.during(&step)?;
        udp.set_read_timeout(Some(LOOK)).during(&step)?;
        tcp.set_nonblocking(true).during(&step)?;
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (stop.clone(), asked.clone());
        let datagrams = std::thread::spawn(move || serve_udp(&udp, &stopped, &counted, answer));
        let stopped = stop.clone();
        let connections = std::thread::spawn(move || serve_tcp(&tcp, &stopped, answer));
        Ok(Self {
            stop,
            asked,
            threads: vec![datagrams, connections],
        })
    }

    /// Questions that came in datagrams.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, stop: &AtomicBool, asked: &AtomicUsize, answer: Ipv4Addr) {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        asked.fetch_add(1, Ordering::Relaxed);
        if let Ok(reply) = reply(&buffer[..length], answer, 1232) {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, stop: &AtomicBool, answer: Ipv4Addr) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let exchanged = read_framed(&mut stream).and_then(|question| reply(&question, answer, usize::MAX));
        let _ = exchanged.and_then(|reply| write_framed(&mut stream, &reply));
    }
}

fn reply(question: &[u8], answer: Ipv4Addr, limit: usize) -> io::Result<Vec<u8>> {
    let asked = Message::from_vec(question).map_err(io::Error::other)?;
    let mut message = Message::response(asked.id, OpCode::Query);
    message.queries = asked.queries.clone();
    let name = asked.queries.first().map_or_else(Name::root, |q| q.name.clone());
    let is_a = asked.queries.first().is_none_or(|q| q.query_type == RecordType::A);
    let address = |address: Ipv4Addr| Record::from_rdata(name.clone(), 60, RData::A(rdata::A(address)));
    match name.to_ascii().to_ascii_lowercase().as_str() {
        "big.example." => message.answers = (0..100).map(|n| address(Ipv4Addr::new(198, 51, 100, n))).collect(),
        "loop.example." => {
            message.add_answer(Record::from_rdata(
                name.clone(),
                60,
                RData::CNAME(rdata::CNAME(name.clone())),
            ));
        }
        "nothing.example." => message.metadata.response_code = ResponseCode::NXDomain,
        absent if absent.ends_with(".arpa.") || absent.matches('.').count() < 2 => {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        _ if !is_a => {}
        _ => drop(message.add_answer(address(answer)).clone()),
    }
    let bytes = message.to_vec().map_err(io::Error::other)?;
    if bytes.len() <= limit {
        return Ok(bytes);
    }
    message.truncate().to_vec().map_err(io::Error::other)
}

/// Fails where an answer is not this code with these data, in any order.
///
/// # Errors
/// With both.
pub fn expect(told: &Told, code: &str, data: &[&str]) -> Result<()> {
    let mut wanted: Vec<&str> = data.to_vec();
    wanted.sort_unstable();
    if told.code == code && told.sorted() == wanted {
        return Ok(());
    }
    Err(LabError::new(
        "look at an answer",
        format!("{told:?}, expected {code} {wanted:?}"),
    ))
}

//! Asking the servers outside: one after another until one answers, on a fresh socket with a fresh port and number each time.
//!
//! ```text
//!   server 1 -- answer, or no such name --> that is it
//!            -- refused, failed, silent --> server 2 ... and once more round, until the deadline
//!            -- truncated ----------------> the same server over TCP
//! ```

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_proto::op::{Message, ResponseCode};
use jackfield_kernel::{Namespace, sockets};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, UdpSocket},
    time::{Instant, timeout_at},
};

use crate::answer::Question;

/// The port of DNS.
const PORT: u16 = 53;
/// Longest time for all of it: below the five seconds after which the C library, musl and Go ask again.
const ALL: Duration = Duration::from_secs(4);
/// Longest time for one server, in the first round and in the second.
const EACH: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(1500)];
/// Datagrams on a question's socket that are not its answer: beyond that somebody is guessing.
const STRAYS: usize = 32;
/// More than any server sends that was told 1,232.
const DATAGRAM: usize = 2048;

/// A server, and where it is asked from.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its address.
    pub address: IpAddr,
    /// Sockets are opened there.
    pub from: Namespace,
}

/// Asks them in turn. Answers with the answer and its bytes, and the servers that were silent; None when nobody answered in time.
pub async fn ask(question: &Question, servers: &[Upstream]) -> (Option<(Message, usize)>, Vec<IpAddr>) {
    let (deadline, mut silent, mut second_best) = (Instant::now() + ALL, Vec::new(), None);
    for patience in EACH {
        for server in servers {
            let until = deadline.min(Instant::now() + patience);
            match timeout_at(until, exchange(question, server)).await {
                Ok(Ok(answer)) if is_final(&answer.0) => return (Some(answer), silent),
                Ok(Ok(answer)) => second_best = Some(answer),
                Ok(Err(error)) => tracing::debug!(server = %server.address, %error, "a DNS server cannot be asked"),
                Err(_) if silent.contains(&server.address) => {}
                Err(_) => silent.push(server.address),
            }
            if Instant::now() >= deadline {
                return (second_best, silent);
            }
        }
        // Everybody answered, and nobody knows: asking again would not change that.
        if second_best.is_some() && silent.is_empty() {
            break;
        }
    }
    (second_best, silent)
}

fn is_final(answer: &Message) -> bool {
    matches!(answer.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

async fn exchange(question: &Question, server: &Upstream) -> io::Result<(Message, usize)> {
    let to = SocketAddr::new(server.address, PORT);
    let answer = over_udp(question, server, to).await?;
    if answer.0.truncation {
        return over_tcp(question, server, to).await;
    }
    Ok(answer)
}

async fn over_udp(question: &Question, server: &Upstream, to: SocketAddr) -> io::Result<(Message, usize)> {
    let socket = sockets::datagram(&server.from, to.is_ipv4()).map_err(io::Error::other)?;
    let socket = UdpSocket::from_std(socket)?;
    // Connected, it hears that server alone; the kernel chooses the port, by chance.
    socket.connect(to).await?;
    let id = rand::random();
    socket.send(&question.ask(id)).await?;
    let mut buffer = [0; DATAGRAM];
    for _ in 0..STRAYS {
        let length = socket.recv(&mut buffer).await?;
        if let Some(message) = question.answered_by(id, &buffer[..length]) {
            return Ok((message, length));
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

async fn over_tcp(question: &Question, server: &Upstream, to: SocketAddr) -> io::Result<(Message, usize)> {
    let socket = sockets::stream(&server.from, to.is_ipv4()).map_err(io::Error::other)?;
    let mut stream = TcpSocket::from_std_stream(socket).connect(to).await?;
    let id = rand::random();
    stream.write_all(&framed(&question.ask(id))).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    let answer = question.answered_by(id, &bytes);
    answer
        .map(|message| (message, bytes.len()))
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A message as a connection carries it: behind its length (RFC 1035, section 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&message[..length.into()]);
    bytes
}

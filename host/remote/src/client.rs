//! One call of a plugin: a connection, a request, an answer, all within a deadline.

use std::{io, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::Address;

/// What dockerd says that it takes.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// What newer versions of dockerd give as host; an empty one is refused by some servers.
const HOST: &str = "plugin.moby.localhost";
/// Most bytes of an answer.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Silence {
    /// Nobody listens there.
    #[error("it cannot be connected to")]
    Connect(#[source] io::Error),
    /// It took too long.
    #[error("it gave no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The conversation broke off, or was none.
    #[error("it does not speak HTTP to the end")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The host itself has no means to ask.
    #[error("the host cannot make a call")]
    Ours(#[source] io::Error),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Posts to `/method`. Blocks, at most for that long.
///
/// On a thread of its own: the caller's may be driving a runtime, in which there can be no other. A call is rare and waits for another process, so
/// that thread and runtime, some 100 µs, are no part of it that anybody notices.
pub fn post(address: &Address, method: &str, body: Vec<u8>, deadline: Duration) -> Result<Answer, Silence> {
    let call = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Silence::Ours)?;
        let answer = runtime.block_on(async { timeout(deadline, converse(address, method, body)).await });
        answer.unwrap_or(Err(Silence::Late(deadline)))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("plugin call".to_owned());
        let running = thread.spawn_scoped(scope, call).map_err(Silence::Ours)?;
        running
            .join()
            .unwrap_or_else(|_| Err(Silence::Ours(io::Error::other("the call panicked"))))
    })
}

async fn converse(address: &Address, method: &str, body: Vec<u8>) -> Result<Answer, Silence> {
    match address {
        Address::Unix(path) => ask(UnixStream::connect(path).await.map_err(Silence::Connect)?, method, body).await,
        Address::Tcp(place) => ask(TcpStream::connect(place).await.map_err(Silence::Connect)?, method, body).await,
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    method: &str,
    body: Vec<u8>,
) -> Result<Answer, Silence> {
    let broken = |cause: hyper::Error| Silence::Broken(cause.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the runtime, or with the plugin's closing.
    tokio::spawn(connection);
    let request = Request::post(format!("/{method}"))
        .header(header::HOST, HOST)
        .header(header::ACCEPT, MEDIA_TYPE)
        .header(header::CONTENT_TYPE, MEDIA_TYPE)
        .body(Full::new(Bytes::from(body)))
        .map_err(|cause| Silence::Broken(cause.into()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(Silence::Broken)?.to_bytes();
    Ok(Answer { status, body })
}

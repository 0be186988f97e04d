//! Connections: accepted while there is room, ended when the host stops.
//!
//! ```text
//!   accept -> admitted -> a thread of its own: requests, one after another -> closed by the client, by silence, or when the host stops
//!          -> not admitted -> every request refused, for a short while
//! ```
//! The thread of a connection reads the request, does what is asked, which may block, and answers: waking another thread takes longer than most
//! of what is asked, and a woken one competes with the caller for a processor.

use std::{convert::Infallible, error::Error as _, io, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::IntoResponse, response::Response};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use jackfield_model::Error;
use tokio::{
    net::{UnixListener, UnixStream},
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{caller, stop::Stop};
use crate::api::refusal::Refusal;

/// Connections at once. A call occupies one and its thread, and so does each reader of events; the rest wait in the kernel's queue.
pub(crate) const CONNECTIONS: u32 = 512;
/// Strangers' connections at once, so that they cannot take the others' room.
const STRANGERS: usize = 16;
/// Longest time for a request's head to arrive, and so for a connection to be idle.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest time for a stranger.
const STRANGERS_TIME: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// Longest time for calls in flight when the host stops: a driver's call has a deadline of its own, which is shorter.
const DRAIN: Duration = Duration::from_secs(20);
/// Pause after the kernel refused to accept, as it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves that many connections at once, until the host is to stop and calls in flight have ended.
pub(crate) async fn serve(listener: UnixListener, router: Router, mut stop: Stop, connections: u32) {
    let room = Arc::new(Semaphore::new(connections as usize));
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let accepted = tokio::select! {
            () = stop.wait() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        match caller::admit(&stream) {
            Ok(()) => admit(stream, router.clone(), stop.clone(), permit),
            Err(error) => drop(tokio::spawn(refused(stream, error, stop.clone(), strangers.clone()))),
        }
    }
    drop(listener);
    if timeout(DRAIN, room.acquire_many(connections)).await.is_err() {
        tracing::warn!("gave up waiting for calls in flight after {} seconds", DRAIN.as_secs());
    }
}

async fn accept(listener: &UnixListener, room: &Arc<Semaphore>) -> Option<(UnixStream, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!("cannot accept a connection: {error}");
            sleep(PAUSE).await;
            None
        }
    }
}

fn admit(stream: UnixStream, router: Router, stop: Stop, permit: OwnedSemaphorePermit) {
    drop(spawn_blocking(move || {
        if let Err(error) = admitted(stream, router, stop) {
            tracing::warn!("cannot serve a connection: {error}");
        }
        drop(permit);
    }));
}

/// Serves a connection from this thread, which polls nothing else: see [`crate::api::Host::call`].
fn admitted(stream: UnixStream, router: Router, stop: Stop) -> io::Result<()> {
    // Away from the runtime that accepted it, to one that is this thread's own.
    let stream = stream.into_std()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        exchange(UnixStream::from_std(stream)?, TowerToHyperService::new(router), stop).await;
        Ok(())
    })
}

async fn refused(stream: UnixStream, error: Error, stop: Stop, strangers: Arc<Semaphore>) {
    tracing::warn!("refused a caller: {error}");
    let Ok(_permit) = strangers.try_acquire() else { return };
    let error = Arc::new(error);
    let answer = service_fn(move |_: Request<Incoming>| {
        let refusal = Refusal::with_status(403, &error);
        async { Ok::<_, Infallible>(refusal.into_response()) }
    });
    // What is cut off here was refused already.
    let _ = timeout(STRANGERS_TIME, exchange(stream, answer, stop)).await;
}

/// Requests and answers, until one side has enough.
async fn exchange<S>(stream: UnixStream, service: S, mut stop: Stop)
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
    S: hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(cause = error.source(), "a connection broke off: {error}");
    }
}

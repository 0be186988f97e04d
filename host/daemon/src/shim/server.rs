//! Connections of shims: one request each, on a thread of its own, with room that strangers cannot take from root.
//!
//! ```text
//!   accept -> root, the host's own user -> room, a thread -> request, reply, closed
//!          -> others -> their room? -- none: closed at once, and the shim says "try again"
//! ```

use std::{io, os::unix::net::UnixStream, sync::Arc, time::Duration};

use jackfield_controller::Controller;
use jackfield_model::Error;
use jackfield_shims::protocol::{Call, LONGEST, PROTOCOL, Reply};
use tokio::{
    net::UnixListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    Spool,
    caller::{Caller, is_trusted},
    cni, netavark,
    receive::{Received, answer, receive},
};
use crate::serve::Stop;

/// Calls at once; the rest wait in the kernel's queue.
pub(crate) const CONNECTIONS: u32 = 64;
/// Of them, strangers'.
const STRANGERS: usize = 16;
/// Longest request of a stranger, in bytes.
const STRANGERS_LONGEST: usize = 256 << 10;
/// Longest time for calls in flight when the host stops.
const DRAIN: Duration = Duration::from_secs(20);
/// Pause after the kernel refused to accept, as it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until the host is to stop and calls in flight have ended.
pub(crate) async fn serve(listener: UnixListener, controller: Controller, spool: Arc<Spool>, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let strangers = Arc::new(Semaphore::new(STRANGERS));
    loop {
        let accepted = tokio::select! {
            () = stop.wait() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, uid, permit)) = accepted else {
            continue;
        };
        let trusted = is_trusted(uid, nix::unistd::geteuid().as_raw());
        let stranger = if trusted {
            None
        } else {
            strangers.clone().try_acquire_owned().ok()
        };
        if !trusted && stranger.is_none() {
            continue;
        }
        let (controller, spool) = (controller.clone(), spool.clone());
        drop(spawn_blocking(move || {
            let longest = if trusted { LONGEST } else { STRANGERS_LONGEST };
            if let Err(error) = exchange(&stream, uid, longest, &controller, &spool) {
                tracing::debug!(uid, %error, "a shim's call broke off");
            }
            drop((permit, stranger));
        }));
    }
    drop(listener);
    if timeout(DRAIN, room.acquire_many(CONNECTIONS)).await.is_err() {
        tracing::warn!("gave up waiting for shims' calls after {} seconds", DRAIN.as_secs());
    }
}

async fn accept(listener: &UnixListener, room: &Arc<Semaphore>) -> Option<(UnixStream, u32, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    let accepted = match listener.accept().await {
        Ok((stream, _)) => blocking(stream),
        Err(error) => Err(error),
    };
    match accepted {
        Ok((stream, uid)) => Some((stream, uid, permit)),
        Err(error) => {
            tracing::warn!("cannot accept a shim's call: {error}");
            sleep(PAUSE).await;
            None
        }
    }
}

/// Away from the runtime, to a thread that may wait; with who is at the other end.
fn blocking(stream: tokio::net::UnixStream) -> io::Result<(UnixStream, u32)> {
    let uid = stream.peer_cred()?.uid();
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok((stream, uid))
}

fn exchange(stream: &UnixStream, uid: u32, longest: usize, controller: &Controller, spool: &Spool) -> io::Result<()> {
    let received = receive(stream, longest)?;
    answer(stream, &reply(uid, received, controller, spool))
}

fn reply(uid: u32, received: Received, controller: &Controller, spool: &Spool) -> Reply {
    let Received { request, descriptors } = received;
    let admit = || {
        let caller = if request.protocol == PROTOCOL {
            Caller::admit(controller, uid, descriptors, request.sandbox)
        } else {
            Err(Error::invalid(format!(
                "the program speaks version {} of its conversation with the host: expected {PROTOCOL}; use the one that came with the host",
                request.protocol
            )))
        };
        caller.inspect_err(|error| tracing::warn!(uid, "refused a shim's caller: {error}"))
    };
    match &request.call {
        Call::Cni(call) => cni::answer(controller, spool, admit, call),
        Call::Netavark(call) => netavark::answer(controller, spool, admit, call),
    }
}

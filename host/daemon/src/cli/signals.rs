//! Signals that come to us and are meant for the command that we run.

use std::io::{self, IsTerminal};

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that end or control a command.
const FORWARDED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Catches them from now on, so that none of them ends us before we have cleaned up.
pub(super) struct Signals(Vec<(Signal, Stream)>);

impl Signals {
    /// Begins to catch.
    pub fn catch() -> io::Result<Self> {
        let stream = |it: Signal| Ok((it, signal(SignalKind::from_raw(it as i32))?));
        FORWARDED.into_iter().map(stream).collect::<io::Result<_>>().map(Self)
    }

    /// The next one to forward. A terminal's own go to the command without us, as to its whole foreground group.
    pub async fn next(&mut self) -> Signal {
        loop {
            let received = self.any().await;
            let by_terminal = matches!(received, Signal::SIGINT | Signal::SIGQUIT) && io::stdin().is_terminal();
            if !by_terminal {
                return received;
            }
        }
    }

    async fn any(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            let mut ready = self
                .0
                .iter_mut()
                .filter_map(|(it, stream)| stream.poll_recv(context).is_ready().then_some(*it));
            ready.next().map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

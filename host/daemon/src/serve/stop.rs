//! The word that the host is to stop, and whoever waits for it.

use std::sync::Arc;

use jackfield_model::{Error, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::events::Events;

/// A handle on the word; every clone hears it.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns when the host is to stop, at once when that is so already.
    pub async fn wait(&mut self) {
        // Nobody who could say it is left: that is a stop too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Given with SIGTERM or SIGINT. Event streams end with it, or their connections would never be idle.
pub(super) fn on_signals(events: Arc<Events>) -> Result<Stop> {
    let failed = |cause| Error::internal("the host cannot catch signals").caused_by(cause);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (say, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        tracing::info!("stopping");
        super::systemd::stopping();
        events.close();
        say.send_replace(true);
    });
    Ok(Stop(stop))
}

/// The word as somebody else than a signal gives it.
#[derive(Debug)]
pub(crate) struct Word(watch::Sender<bool>);

impl Word {
    /// Not given yet, and whoever hears it.
    pub fn new() -> (Self, Stop) {
        let (say, stop) = watch::channel(false);
        (Self(say), Stop(stop))
    }

    /// Gives it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

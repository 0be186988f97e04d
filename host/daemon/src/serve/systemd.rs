//! What the service manager hands over and is told: sockets that it opened before (sd_listen_fds(3)), and that the host serves or stops
//! (sd_notify(3)). Without one, nothing of this happens.

use std::{os::unix::net::UnixListener, path::Path};

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// Sockets that were open when the process began. Connections wait in them while the host starts, and while it is replaced.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<UnixListener>);

impl Inherited {
    /// Those of this process. Asked for once: the environment forgets them.
    pub fn of_this_process() -> Self {
        let mut passed = ListenFd::from_env();
        let places = 0..passed.len();
        let take = |at| match passed.take_unix_listener(at) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!("the service manager passed what is no listening unix socket, at place {at}: {error}");
                None
            }
        };
        Self(places.filter_map(take).collect())
    }

    /// The one that listens at that path.
    pub fn take(&mut self, path: &Path) -> Option<UnixListener> {
        let is_there = |listener: &UnixListener| {
            let address = listener.local_addr().ok();
            address.is_some_and(|address| address.as_pathname() == Some(path))
        };
        let at = self.0.iter().position(is_there)?;
        Some(self.0.swap_remove(at))
    }
}

/// The host serves.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It does no more.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

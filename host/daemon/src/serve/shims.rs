//! The socket of the shims, and what belongs to it.

use std::{os::unix::net::UnixListener, path::Path, sync::Arc};

use jackfield_controller::Controller;
use jackfield_model::{Error, ErrorCode, Result};
use jackfield_shims::protocol::spool_of;

use super::{
    socket::{self, Listener},
    stop::Stop,
};
use crate::shim::{self, Spool};

/// Listened on, with what came while nobody did taken down.
pub(super) struct Shims {
    listener: Listener,
    spool: Arc<Spool>,
    controller: Controller,
}

impl Shims {
    /// `open`: the socket, where it was listened on before.
    pub async fn open(path: &Path, open: Option<UnixListener>, controller: Controller) -> Result<Self> {
        let folder = spool_of(path);
        let failed = |cause: std::io::Error| {
            Error::new(
                ErrorCode::Unavailable,
                format!("cannot use {}: {cause}", folder.display()),
            )
            .caused_by(cause)
        };
        let spool = Arc::new(Spool::open(folder.clone()).map_err(failed)?);
        // What was to go while nobody was here goes before anybody asks for more.
        let (host, earlier) = (controller.clone(), spool.clone());
        let drained = tokio::task::spawn_blocking(move || earlier.drain(&host)).await;
        drained.map_err(|cause| Error::internal("the tombstones could not be read").caused_by(cause))?;
        let listener = match open {
            Some(open) => socket::inherit(open)?,
            None => socket::listen(path)?,
        };
        Ok(Self {
            listener,
            spool,
            controller,
        })
    }

    /// Serves until the host is to stop and calls in flight have ended.
    pub async fn serve(self, stop: Stop) {
        let house = tokio::spawn(shim::keep_house(self.controller.clone(), self.spool.clone()));
        shim::serve(self.listener.accepts, self.controller, self.spool, stop).await;
        house.abort();
        self.listener.guard.remove();
    }
}

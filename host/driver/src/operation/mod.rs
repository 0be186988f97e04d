//! One driver call under way: what it may see, and the plan that it records.
//!
//! ```text
//!   detached: refuses everything
//!   running:  each call is counted, then reads, or records a step, or is refused and records nothing
//!   finished: the outcome is handed over; dropped instead, nothing was recorded and its ports are free again
//! ```
//!
//! Every method is one function of the WIT package, which says what it promises; errors carry the codes of that package. Each file here holds
//! the functions on one subject; `running` holds what they share, and the only way to record a step.

mod attributes;
mod border;
mod bridge_port;
mod closing;
mod deferred;
mod firewall;
mod forwarding;
mod interface;
mod lend;
mod links;
mod lookup;
mod names;
mod neighbours;
pub(crate) mod relink;
mod routing;
mod running;
mod settings;
mod state;
mod table;

use jackfield_kernel::{Ifindex, LinkAt};
use jackfield_model::{Error, ErrorCode, LinkName, Result};

pub use border::{Gateway, Guard};

use crate::{Context, LinkId, Outcome};
use running::Running;

/// One driver call under way.
#[derive(Debug)]
pub struct Operation {
    running: Option<Box<Running>>,
}

impl Operation {
    /// Begins.
    pub fn new(context: Context) -> Self {
        Self {
            running: Some(Box::new(Running::new(context))),
        }
    }

    /// An operation in which everything is refused: what stays behind while the real one is inside a guest's store.
    pub fn detached() -> Self {
        Self { running: None }
    }

    /// What the host told it; None when detached.
    pub fn context(&self) -> Option<&Context> {
        self.running.as_ref().map(|running| &running.context)
    }

    /// Ends well. What every network needs and a driver may forget is added here: see `closing`.
    pub fn finish(self) -> Outcome {
        let Some(mut running) = self.running else {
            return Outcome::default();
        };
        running.close();
        running.finish()
    }

    /// The host index behind a handle.
    pub fn index_of(&self, link: LinkId) -> Option<Ifindex> {
        self.place_of(link).map(|(at, _)| at.index)
    }

    /// Where the link behind a handle is or will be, and what it is called there.
    pub fn place_of(&self, link: LinkId) -> Option<(LinkAt, LinkName)> {
        let running = self.running.as_ref()?;
        running.links.get(link).ok().map(|entry| (entry.at, entry.name.clone()))
    }

    /// Every call of a guest comes by here: a detached operation refuses, and calls are counted.
    fn call(&mut self) -> Result<&mut Running> {
        let running = self.running.as_mut().ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidState,
                "there is no operation under way to call the host in",
            )
        })?;
        running.count_call()?;
        Ok(running)
    }
}

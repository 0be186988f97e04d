//! How a driver fares: counters of one version since it was loaded.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, written by calls side by side.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    refusals: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    denials: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls that began.
    pub calls: u64,
    /// Calls that the driver itself answered with an error.
    pub refusals: u64,
    /// Calls that ended in a trap.
    pub traps: u64,
    /// Calls that were stopped at their deadline.
    pub timeouts: u64,
    /// What it asked the host beyond its grants.
    pub denials: u64,
}

/// How one call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    Refused,
    Trapped,
    Late,
}

impl Counters {
    pub(crate) fn count(&self, end: End, denials: u64) {
        // Counters stand for themselves: nothing is ordered by them.
        let add = |counter: &AtomicU64, n| counter.fetch_add(n, Ordering::Relaxed);
        add(&self.calls, 1);
        add(&self.denials, denials);
        match end {
            End::Answered => 0,
            End::Refused => add(&self.refusals, 1),
            End::Trapped => add(&self.traps, 1),
            End::Late => add(&self.timeouts, 1),
        };
    }

    pub(crate) fn read(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            calls: read(&self.calls),
            refusals: read(&self.refusals),
            traps: read(&self.traps),
            timeouts: read(&self.timeouts),
            denials: read(&self.denials),
        }
    }
}

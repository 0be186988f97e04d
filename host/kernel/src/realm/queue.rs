//! What the reaper has to do, and when.
//!
//! ```text
//!   push --> waiting --taken (at most 16)--> in hand --done--> gone
//!                ^                              |
//!                +------ failed: later again ---+   0.1 s, doubled up to 10 s
//! ```
//! Not bounded: each piece of work is an operation that the journal holds anyway.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jackfield_model::OperationId;

use crate::takedown::Leftover;

/// As many as one deletion may take with it.
const AT_ONCE: usize = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A piece of work.
#[derive(Clone, Debug)]
pub enum Work {
    /// Delete links that are out of the way; then the operation is done. None: links that belong to no operation.
    Delete(Option<OperationId>, Vec<Leftover>),
    /// Take an operation back: an earlier attempt was incomplete.
    TakeBack(OperationId),
    /// Do a committed operation's removals.
    Removals(OperationId),
}

/// A piece of work, and how often it failed.
#[derive(Clone, Debug)]
pub struct Chore {
    /// What.
    pub work: Work,
    failures: u32,
    due: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Chore>,
    in_hand: usize,
    closed: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    /// Work to be done at once.
    pub fn push(&self, work: Work) {
        self.lock().waiting.push(Chore {
            work,
            failures: 0,
            due: Instant::now(),
        });
        self.changed.notify_all();
    }

    /// Work to be done again, after a pause that grows.
    pub fn push_again(&self, chore: Chore) {
        let pause = FIRST_PAUSE
            .saturating_mul(1 << chore.failures.min(10))
            .min(LONGEST_PAUSE);
        let chore = Chore {
            failures: chore.failures + 1,
            due: Instant::now() + pause,
            ..chore
        };
        self.lock().waiting.push(chore);
        self.changed.notify_all();
    }

    /// Waits for work. None once the queue is closed.
    pub fn take(&self) -> Option<Vec<Chore>> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            let now = Instant::now();
            let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut inner.waiting)
                .into_iter()
                .partition(|c| c.due <= now);
            let next = later.iter().map(|c| c.due).min();
            inner.waiting = later;
            if !due.is_empty() {
                let mut due = due;
                inner.waiting.extend(due.split_off(due.len().min(AT_ONCE)));
                inner.in_hand = due.len();
                return Some(due);
            }
            inner = match next {
                Some(next) => self.wait_at_most(inner, next - now),
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// What was taken is done, or pushed again.
    pub fn finish(&self) {
        self.lock().in_hand = 0;
        self.changed.notify_all();
    }

    /// Waits until there is nothing to do. False when that did not come about in time.
    pub fn drained(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        let mut inner = self.lock();
        while !inner.closed && (inner.in_hand > 0 || !inner.waiting.is_empty()) {
            let now = Instant::now();
            if now >= end {
                return false;
            }
            inner = self.wait_at_most(inner, end - now);
        }
        true
    }

    /// No more work is given out: what waits is in the journal, for the next start.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The list is whole between any two statements that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_at_most<'a>(&'a self, inner: MutexGuard<'a, Inner>, time: Duration) -> MutexGuard<'a, Inner> {
        self.changed
            .wait_timeout(inner, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

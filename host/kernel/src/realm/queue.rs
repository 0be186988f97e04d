//! What the reaper has to do, and when.
//!
//! ```text
//!   push --> waiting --taken (at most 16)--> in hand --done--> gone
//!                ^                              |
//!                +------ failed: later again ---+   0.1 s, doubled up to 10 s
//! ```
//! Deletions wait for company and for a quiet moment: each keeps the network lock from whoever joins for up to 9 ms, and sixteen links take
//! no longer than one. Somebody who waits for the end of all work has them done at once.
//!
//! Not bounded: each piece of work is an operation that the journal holds anyway.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jackfield_model::OperationId;

use crate::takedown::Leftover;

/// As many as one deletion may take with it.
const AT_ONCE: usize = 16;
/// A moment without any change of the realm for so long is a quiet one.
const QUIET: Duration = Duration::from_millis(5);
/// The longest that a deletion waits for one.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
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
    /// When the realm was last changed.
    busy: Option<Instant>,
    /// How many wait for the end of all work.
    hurried: usize,
}

impl Inner {
    fn is_at_work(&self) -> bool {
        !self.closed && (self.in_hand > 0 || !self.waiting.is_empty())
    }

    fn is_full(&self) -> bool {
        let deletions = self.waiting.iter().filter(|c| matches!(c.work, Work::Delete(..)));
        deletions.count() >= AT_ONCE
    }

    /// What is to be done now, and when the next of the rest is.
    fn take(&mut self, now: Instant) -> (Vec<Chore>, Option<Instant>) {
        let at_once = self.hurried > 0 || self.is_full();
        let quiet = self.busy.filter(|_| !at_once).map(|busy| busy + QUIET);
        let (mut due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|c| c.ripe(quiet) <= now);
        self.waiting = due.split_off(due.len().min(AT_ONCE));
        self.waiting.extend(later);
        (due, self.waiting.iter().map(|c| c.ripe(quiet)).min())
    }
}

impl Chore {
    /// When it is to be done, given when the realm will have been quiet for long enough.
    fn ripe(&self, quiet: Option<Instant>) -> Instant {
        match (&self.work, quiet) {
            (Work::Delete(..), Some(quiet)) => quiet.clamp(self.due, self.due + LONGEST_WAIT),
            _ => self.due,
        }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    /// Work to be done as soon as it suits.
    pub fn push(&self, work: Work) {
        self.lock().waiting.push(Chore {
            work,
            failures: 0,
            due: Instant::now(),
        });
        self.changed.notify_all();
    }

    /// The realm is being changed: deletions would be in the way.
    pub fn busy(&self) {
        self.lock().busy = Some(Instant::now());
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
            let (due, next) = inner.take(now);
            if !due.is_empty() {
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
        inner.hurried += 1;
        self.changed.notify_all();
        let mut now = Instant::now();
        while inner.is_at_work() && now < end {
            inner = self.wait_at_most(inner, end - now);
            now = Instant::now();
        }
        inner.hurried -= 1;
        !inner.is_at_work()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn deletions(count: usize, due: Instant) -> Vec<Chore> {
        let work = Work::Delete(None, Vec::new());
        let chore = Chore { work, failures: 0, due };
        vec![chore; count]
    }

    #[test]
    fn deletions_wait_for_quiet_or_company_or_somebody_who_waits_for_them_but_not_for_ever() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        for (count, busy, hurried, at, taken) in [
            (1, Some(after(0)), 0, after(4), 0),
            (1, Some(after(0)), 0, after(5), 1),
            (1, Some(after(3)), 0, after(5), 0),
            (1, Some(after(49)), 0, after(50), 1),
            (AT_ONCE, Some(after(0)), 0, after(0), AT_ONCE),
            (1, Some(after(0)), 1, after(0), 1),
            (1, None, 0, after(0), 1),
        ] {
            let waiting = deletions(count, start);
            let mut inner = Inner {
                waiting,
                busy,
                hurried,
                ..Inner::default()
            };
            let (due, next) = inner.take(at);
            assert_eq!(due.len(), taken, "{count} at {:?}, busy {busy:?}", at - start);
            assert!(next.is_some() == (taken < count) && next.is_none_or(|next| next > at));
        }
    }

    #[test]
    fn other_work_does_not_wait() {
        let now = Instant::now();
        let work = Work::TakeBack(OperationId::random());
        let waiting = vec![Chore {
            work,
            failures: 0,
            due: now,
        }];
        let mut inner = Inner {
            waiting,
            busy: Some(now),
            ..Inner::default()
        };
        assert_eq!(inner.take(now).0.len(), 1);
    }
}

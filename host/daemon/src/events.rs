//! Events on their way to whoever listens.
//!
//! One ring holds the last [`KEPT`] events. A reader has a place in it and takes what follows at his own speed: nothing is kept for him, so
//! that a slow reader costs no memory. One who falls behind by more than the ring is told how much he missed, and goes on.
//!
//! ```text
//!   controller --publish--> [ oldest ... newest ] --next--> reader (his place: the sequence that he saw last)
//! ```

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::wire::Event;

/// Events kept: some hundred bytes each, and a thousand joins' worth of them.
const KEPT: usize = 4096;
/// Events that a reader takes at once.
const BATCH: usize = 64;

/// The ring.
#[derive(Debug)]
pub struct Events {
    ring: Mutex<VecDeque<Event>>,
    /// What readers wait for a change of.
    newest: watch::Sender<Newest>,
    kept: usize,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    sequence: u64,
    /// False: nothing comes any more, and readers end.
    open: bool,
}

impl Events {
    /// An empty ring.
    pub fn new() -> Arc<Self> {
        Self::keeping(KEPT)
    }

    fn keeping(kept: usize) -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::default(),
            newest: watch::Sender::new(Newest {
                sequence: 0,
                open: true,
            }),
            kept,
        })
    }

    /// Adds an event, whose sequence is greater than the one before. Does not block.
    pub fn publish(&self, event: Event) {
        let mut ring = self.ring();
        if ring.len() == self.kept {
            ring.pop_front();
        }
        let sequence = event.sequence;
        ring.push_back(event);
        // Under the lock, so that the newest sequence never goes back.
        self.newest.send_modify(|newest| newest.sequence = sequence);
    }

    /// Ends every reader, once he has what there is.
    pub fn close(&self) {
        self.newest.send_modify(|newest| newest.open = false);
    }

    /// A reader of what comes after `since`; None: of what happens from now on.
    pub fn reader(self: &Arc<Self>, since: Option<u64>) -> Reader {
        let newest = self.newest.subscribe();
        let seen = since.unwrap_or(newest.borrow().sequence);
        Reader {
            events: self.clone(),
            newest,
            seen,
        }
    }

    fn after(&self, seen: u64) -> Taken {
        let ring = self.ring();
        let newest = self.newest.borrow().sequence;
        // His number is from before a restart of the host, which counts anew.
        let restarted = seen > newest;
        let seen = if restarted { 0 } else { seen };
        let oldest = ring.front().map_or(newest + 1, |event| event.sequence);
        let start = ring.partition_point(|event| event.sequence <= seen);
        Taken {
            missed: oldest.saturating_sub(seen + 1),
            restarted,
            events: ring.range(start..).take(BATCH).cloned().collect(),
        }
    }

    /// A panic of another thread leaves the ring whole: each change of it is one call.
    fn ring(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Taken {
    missed: u64,
    restarted: bool,
    events: Vec<Event>,
}

/// One listener's place in the ring.
#[derive(Debug)]
pub struct Reader {
    events: Arc<Events>,
    newest: watch::Receiver<Newest>,
    seen: u64,
}

impl Reader {
    /// Waits for the next events, at least one; empty when there will be none any more.
    pub async fn next(&mut self) -> Vec<Event> {
        loop {
            // Marked before the ring is read: what is published in between wakes the wait below.
            let open = self.newest.borrow_and_update().open;
            let taken = self.events.after(self.seen);
            if let Some(events) = self.advance(taken) {
                return events;
            }
            if !open || self.newest.changed().await.is_err() {
                return Vec::new();
            }
        }
    }

    fn advance(&mut self, taken: Taken) -> Option<Vec<Event>> {
        let Taken {
            missed,
            restarted,
            mut events,
        } = taken;
        if restarted {
            self.seen = 0;
        }
        if missed > 0 || restarted {
            let reason = if restarted {
                "the host has started anew"
            } else {
                "the reader was too slow"
            };
            events.insert(0, lagged(self.seen + missed, missed, reason));
        }
        self.seen = events.last()?.sequence;
        Some(events)
    }
}

/// The word to a reader that something is missing here. Its sequence is that of the last event missed.
fn lagged(sequence: u64, missed: u64, reason: &str) -> Event {
    Event {
        sequence,
        time_ms: 0,
        object: "stream".to_owned(),
        action: "lagged".to_owned(),
        id: String::new(),
        name: None,
        attributes: [
            ("missed".to_owned(), missed.to_string()),
            ("reason".to_owned(), reason.to_owned()),
        ]
        .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64) -> Event {
        Event {
            sequence,
            object: "network".into(),
            action: "create".into(),
            ..lagged(0, 0, "")
        }
    }

    fn summary(events: &[Event]) -> Vec<(u64, &str)> {
        events
            .iter()
            .map(|event| (event.sequence, event.action.as_str()))
            .collect()
    }

    #[tokio::test]
    async fn a_reader_gets_what_follows_his_place() {
        let events = Events::keeping(8);
        (1..=3).for_each(|n| events.publish(event(n)));
        assert_eq!(
            summary(&events.reader(Some(1)).next().await),
            [(2, "create"), (3, "create")]
        );
        let mut live = events.reader(None);
        events.publish(event(4));
        assert_eq!(summary(&live.next().await), [(4, "create")]);
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_how_much_he_missed_and_goes_on() {
        let events = Events::keeping(2);
        let mut reader = events.reader(Some(0));
        (1..=5).for_each(|n| events.publish(event(n)));
        let got = reader.next().await;
        assert_eq!(summary(&got), [(3, "lagged"), (4, "create"), (5, "create")]);
        assert_eq!(got[0].attributes["missed"], "3");
        events.publish(event(6));
        assert_eq!(summary(&reader.next().await), [(6, "create")]);
    }

    #[tokio::test]
    async fn a_number_from_before_a_restart_does_not_wait_for_ever() {
        let events = Events::keeping(8);
        events.publish(event(1));
        let got = events.reader(Some(900)).next().await;
        assert_eq!(summary(&got), [(0, "lagged"), (1, "create")]);
    }

    #[tokio::test]
    async fn readers_end_when_the_host_stops_and_have_everything_by_then() {
        let events = Events::keeping(8);
        let mut reader = events.reader(None);
        events.publish(event(1));
        events.close();
        assert_eq!(summary(&reader.next().await), [(1, "create")]);
        assert!(reader.next().await.is_empty());
    }

    #[tokio::test]
    async fn the_ring_is_bounded() {
        let events = Events::keeping(16);
        (1..=1000).for_each(|n| events.publish(event(n)));
        assert_eq!(events.ring().len(), 16);
    }
}

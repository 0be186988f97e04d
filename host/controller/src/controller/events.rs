//! Events: noted where things happen, told in that order, outside of every lock but the teller's own.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use jackfield_model::Options;

use crate::request::{Event, EventSink};

/// Numbers events and hands them to the sink.
pub struct Events {
    sink: EventSink,
    /// What was noted and not told yet. Its lock is taken inside a realm's, so that the order is that of the changes.
    noted: Mutex<VecDeque<Event>>,
    /// The last number. Whoever tells holds this, so that there is one teller at a time.
    told: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A sink that panicked has lost its event; the next one is told all the same.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    pub fn new(sink: EventSink) -> Self {
        Self {
            sink,
            noted: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Notes one. It is told by the next [`Events::flush`].
    pub fn say(&self, object: &str, action: &str, id: &str, name: Option<&str>, attributes: Options) {
        let time_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        lock(&self.noted).push_back(Event {
            sequence: 0,
            time_ms,
            object: object.to_owned(),
            action: action.to_owned(),
            id: id.to_owned(),
            name: name.map(ToOwned::to_owned),
            attributes,
        });
    }

    /// Tells what was noted.
    pub fn flush(&self) {
        let mut told = lock(&self.told);
        let noted = std::mem::take(&mut *lock(&self.noted));
        for mut event in noted {
            *told += 1;
            event.sequence = *told;
            (self.sink)(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn events_are_told_in_order_and_numbered_from_one() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let events = Events::new(Arc::new(move |event: Event| {
            sink.lock().unwrap().push((event.sequence, event.action))
        }));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    (0..100).for_each(|n| events.say("network", &n.to_string(), "id", None, Options::new()));
                    events.flush();
                });
            }
        });
        let seen = seen.lock().unwrap();
        assert!(seen.iter().map(|(sequence, _)| *sequence).eq(1..=800));
    }
}

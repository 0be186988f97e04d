//! What drivers are told on the way down, and what becomes of it when they do not hear.
//!
//! Leaving and deleting never wait for a driver: the host cleans up by itself. A call that failed, or whose driver is absent, becomes a
//! [`Letter`]: a note in the journal, tried again with growing pauses, and given up after [`ATTEMPTS`].

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jackfield_driver::{LoadedDriver, Outcome, StateWrite};
use jackfield_kernel::{
    NamespaceId,
    journal::{Note, Record},
};
use jackfield_model::Result;

use super::{
    Inner,
    drive::{About, guarded},
    place::Place,
};
use crate::letter::Letter;
use crate::store::{Keys, Layer, Overlay, Reservation, notes};

/// Times that a letter is tried: with the pauses below, for about half an hour.
const ATTEMPTS: u32 = 32;
/// The first pause; each is twice as long as the one before, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Letters kept; past that the oldest is given up, since a driver that never answers must not fill the journal.
const KEPT: usize = 1024;

/// Keys of several calls of one operation, as one.
#[derive(Debug, Default)]
pub struct Merged {
    pub reads: BTreeMap<String, u64>,
    pub writes: Vec<StateWrite>,
}

impl Merged {
    /// Adds a call's keys. The version that was seen first counts.
    pub fn add(&mut self, outcome: &mut Outcome) {
        for (key, version) in std::mem::take(&mut outcome.reads) {
            self.reads.entry(key).or_insert(version);
        }
        self.writes.append(&mut outcome.writes);
    }

    /// All that the calls left in keys.
    pub fn into_outcome(self) -> Outcome {
        Outcome {
            reads: self.reads,
            writes: self.writes,
            ..Outcome::default()
        }
    }

    /// What the next call of the operation sees.
    pub fn overlay(&self, keys: &Arc<Keys>) -> Arc<dyn jackfield_driver::StateStore> {
        if self.writes.is_empty() {
            return keys.clone();
        }
        Arc::new(Overlay {
            below: keys.clone(),
            writes: self.writes.iter().cloned().collect(),
        })
    }
}

/// What came of telling a driver.
#[derive(Debug)]
pub struct Told {
    reservation: Option<Reservation>,
    /// Not heard.
    letters: Vec<Letter>,
}

impl Told {
    /// For the durable store.
    pub fn durable(&self) -> Option<(&str, &[StateWrite])> {
        self.reservation.as_ref().and_then(Reservation::durable)
    }

    /// For the journal: the driver's keys, and what it did not hear.
    pub fn notes(&self) -> Vec<Note> {
        let keys = self.reservation.iter().flat_map(Reservation::notes);
        keys.chain(self.letters.iter().map(notes::letter)).collect()
    }

    /// The notes are on record. Answers with the letters to post.
    pub fn publish(self) -> Vec<Letter> {
        if let Some(reservation) = self.reservation {
            reservation.publish();
        }
        self.letters
    }
}

/// The letters that wait, and the thread that tries them.
#[derive(Debug, Default)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    letters: VecDeque<Letter>,
    /// Something came: begin with short pauses again.
    fresh: bool,
    stopped: bool,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to try; false when the host stops.
    fn wait(&self, pause: Duration) -> bool {
        let empty = |queue: &mut Queue| queue.letters.is_empty() && !queue.stopped;
        let queue = self
            .wake
            .wait_while(self.lock(), empty)
            .unwrap_or_else(PoisonError::into_inner);
        let idle = |queue: &mut Queue| !queue.stopped && !queue.fresh;
        let (mut queue, _) = self
            .wake
            .wait_timeout_while(queue, pause, idle)
            .unwrap_or_else(PoisonError::into_inner);
        // A letter was tried just before it was posted: a fresh one too rests for the first pause.
        if std::mem::take(&mut queue.fresh) {
            let (next, _) = self
                .wake
                .wait_timeout_while(queue, PAUSE, |q| !q.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            queue = next;
        }
        !queue.stopped
    }
}

impl Outbox {
    /// Starts the thread. It ends when the host does.
    pub fn start(&self, inner: Weak<Inner>) -> std::io::Result<()> {
        let shared = self.shared.clone();
        let work = move || {
            let mut pause = PAUSE;
            while shared.wait(pause) {
                let Some(inner) = inner.upgrade() else { return };
                pause = if inner.retry_letters() {
                    PAUSE
                } else {
                    LONGEST_PAUSE.min(pause * 2)
                };
            }
        };
        std::thread::Builder::new().name("outbox".into()).spawn(work).map(drop)
    }
}

impl Inner {
    /// Journals notes that belong to no plan.
    pub(super) fn append_notes(&self, notes: Vec<Note>) -> Result<()> {
        if notes.is_empty() {
            return Ok(());
        }
        Ok(self.journal.append(Record::Notes { notes })?)
    }

    /// Makes the calls on one instance of the driver. What it does not hear comes back as letters; nothing is journalled or posted yet.
    pub(super) fn tell(self: &Arc<Self>, place: &Place, letters: Vec<Letter>, layer: Layer) -> Told {
        match self.try_tell(place, &letters, layer) {
            Ok(reservation) => Told {
                reservation,
                letters: Vec::new(),
            },
            Err(error) => {
                tracing::warn!(driver = letters.first().map(|l| l.driver.as_str()), %error, "a driver was not told; it will be later");
                Told {
                    reservation: None,
                    letters,
                }
            }
        }
    }

    /// The same, for a plan that was refused: all by itself, in the journal and in the outbox.
    pub(super) fn tell_or_post(self: &Arc<Self>, place: &Place, letters: Vec<Letter>) {
        let told = self.tell(place, letters, Layer::BootLong);
        match self.append_notes(told.notes()) {
            Ok(()) => self.post(told.publish()),
            Err(error) => tracing::error!(%error, "what a driver was told is not on record"),
        }
    }

    fn try_tell(self: &Arc<Self>, place: &Place, letters: &[Letter], layer: Layer) -> Result<Option<Reservation>> {
        let Some(first) = letters.first() else { return Ok(None) };
        let driver = self.driver(&first.driver)?;
        let attempt = || self.make_calls(place, &*driver, letters).map(|outcome| ((), outcome));
        self.reserving(&first.driver, layer, attempt)
            .map(|(_, _, reservation)| Some(reservation))
    }

    fn make_calls(&self, place: &Place, driver: &dyn LoadedDriver, letters: &[Letter]) -> Result<Outcome> {
        let (mut merged, mut instance) = (Merged::default(), driver.instance()?);
        for letter in letters {
            let phase = letter.phase();
            let about = self.about(place, letter, &merged);
            let mut operation = self.operation(place, driver, phase, about);
            guarded(driver.identity(), phase, || letter.make(&mut *instance, &mut operation))?;
            merged.add(&mut operation.finish());
        }
        Ok(merged.into_outcome())
    }

    /// Network and endpoint are there when the call is made in time, and gone when it comes from the outbox.
    fn about(&self, place: &Place, letter: &Letter, merged: &Merged) -> About {
        let network = place.network(&letter.network).ok();
        let endpoint = letter.endpoint.as_ref().and_then(|id| place.endpoint(id).ok());
        let standing = network.as_ref().and_then(|n| n.record.standing.as_ref());
        let stay = endpoint.as_ref().and_then(|e| e.record.stay.as_ref());
        let links = standing
            .into_iter()
            .flat_map(|s| &s.links)
            .chain(stay.into_iter().flat_map(|s| &s.links));
        About {
            links: links.cloned().collect(),
            network: network.as_ref().map(|n| n.record.spec.clone()),
            endpoint: endpoint.as_ref().map(|e| e.record.spec.clone()),
            state: Some(merged.overlay(&self.keys)),
            ..About::default()
        }
    }

    /// Puts letters, journalled already, into the outbox.
    pub(super) fn post(&self, letters: Vec<Letter>) {
        if letters.is_empty() {
            return;
        }
        let mut queue = self.outbox.shared.lock();
        queue.letters.extend(letters);
        queue.fresh = true;
        let excess = queue.letters.len().saturating_sub(KEPT);
        let given_up: Vec<Letter> = queue.letters.drain(..excess).collect();
        drop(queue);
        self.outbox.shared.wake.notify_all();
        self.give_up(&given_up);
    }

    /// Letters of a realm that is gone are told in the daemon's own: they are about what the driver remembers.
    pub(super) fn readdress(&self, gone: NamespaceId) -> Vec<Note> {
        let mut queue = self.outbox.shared.lock();
        let theirs = queue.letters.iter_mut().filter(|letter| letter.realm == gone);
        let moved = theirs.map(|letter| {
            letter.realm = self.own.id();
            notes::letter(letter)
        });
        moved.collect()
    }

    /// Tries every letter once; true when any was heard.
    fn retry_letters(self: &Arc<Self>) -> bool {
        let letters = std::mem::take(&mut self.outbox.shared.lock().letters);
        let before = letters.len();
        let left: Vec<Letter> = letters.into_iter().filter_map(|letter| self.retry(letter)).collect();
        let heard = left.len() < before;
        let (given_up, kept): (Vec<Letter>, Vec<Letter>) = left.into_iter().partition(|l| l.attempts >= ATTEMPTS);
        self.give_up(&given_up);
        self.outbox.shared.lock().letters.extend(kept);
        heard
    }

    /// None when it was heard.
    fn retry(self: &Arc<Self>, letter: Letter) -> Option<Letter> {
        let Some(place) = self.places().into_iter().find(|p| p.id() == letter.realm) else {
            return Some(letter);
        };
        let heard = self
            .try_tell(&place, std::slice::from_ref(&letter), Layer::BootLong)
            .and_then(|reservation| {
                let keys = reservation.iter().flat_map(Reservation::notes);
                self.append_notes(keys.chain([notes::no_letter(&letter.id)]).collect())?;
                if let Some(reservation) = reservation {
                    reservation.publish();
                }
                Ok(())
            });
        match heard {
            Ok(()) => None,
            Err(error) => {
                tracing::debug!(driver = letter.driver, %error, "a driver was not told; it will be later");
                Some(Letter {
                    attempts: letter.attempts + 1,
                    ..letter
                })
            }
        }
    }

    fn give_up(&self, letters: &[Letter]) {
        for letter in letters {
            tracing::warn!(driver = letter.driver, call = ?letter.call, network = %letter.network, "a driver never heard of this");
            self.append_notes(vec![notes::no_letter(&letter.id)])
                .unwrap_or_else(|error| tracing::error!(%error, "the outbox is not on record"));
        }
    }
}

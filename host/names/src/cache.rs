//! Answers of upstream servers, kept for as long as they say, for one sandbox. Bounded in number and in bytes, so that a sandbox that asks for
//! a million names costs what one costs that asks for a hundred; and its own, since its servers may say what others' do not.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record},
};

use crate::answer::Key;

/// Answers at most.
const ENTRIES: usize = 128;
/// Their bytes on the wire at most.
const BYTES: usize = 64 << 10;
/// Longest time in seconds, whatever an answer says: a sandbox may move to other servers.
const LONGEST: u32 = 300;
/// Longest time for "there is none" (RFC 2308 leaves it to us).
const LONGEST_NOTHING: u32 = 30;

/// The answers kept for one sandbox. Empty, it takes no memory.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<Key, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    bytes: usize,
    stored: Instant,
    until: Instant,
}

impl Cache {
    /// An answer that still holds, its times to live as they are by now.
    pub fn get(&self, key: &Key, now: Instant) -> Option<Message> {
        let entry = self.entries.get(key).filter(|e| now < e.until)?;
        let age = u32::try_from(now.saturating_duration_since(entry.stored).as_secs()).unwrap_or(u32::MAX);
        let mut message = entry.message.clone();
        let Message {
            answers,
            authorities,
            additionals,
            ..
        } = &mut message;
        for record in answers.iter_mut().chain(authorities).chain(additionals) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Some(message)
    }

    /// Keeps an answer of that many bytes, where it may be kept. What ends first makes room.
    pub fn put(&mut self, key: Key, message: &Message, bytes: usize, now: Instant) {
        let Some(ttl) = lifetime(message).filter(|_| bytes <= BYTES / 4) else {
            return;
        };
        self.take(&key);
        if self.entries.len() >= ENTRIES || self.bytes + bytes > BYTES {
            self.make_room(bytes, now);
        }
        self.bytes += bytes;
        let until = now + Duration::from_secs(ttl.into());
        self.entries.insert(
            key,
            Entry {
                message: message.clone(),
                bytes,
                stored: now,
                until,
            },
        );
    }

    fn take(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }

    /// A quarter goes at once, so that a full cache is not searched for each answer.
    fn make_room(&mut self, bytes: usize, now: Instant) {
        let mut by_end: Vec<(Instant, Key)> = self.entries.iter().map(|(k, e)| (e.until, k.clone())).collect();
        by_end.sort_by_key(|(until, _)| *until);
        for (until, key) in by_end {
            let roomy = self.entries.len() <= ENTRIES * 3 / 4 && self.bytes + bytes <= BYTES * 3 / 4;
            if until > now && roomy {
                break;
            }
            self.take(&key);
        }
    }
}

/// For how many seconds an answer holds; None for one that is not kept.
fn lifetime(message: &Message) -> Option<u32> {
    let nothing = message.response_code == ResponseCode::NXDomain
        || message.response_code == ResponseCode::NoError && message.answers.is_empty();
    let ttl = if nothing {
        // RFC 2308, section 5: without a SOA it must not be kept.
        message.authorities.iter().find_map(negative)?.min(LONGEST_NOTHING)
    } else if message.response_code == ResponseCode::NoError {
        message.answers.iter().map(|r| r.ttl).min()?.min(LONGEST)
    } else {
        return None;
    };
    (ttl > 0).then_some(ttl)
}

fn negative(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Carrier, Question};
    use hickory_proto::{
        op::{MessageType, OpCode, Query},
        rr::{
            Name, RecordType,
            rdata::{A, SOA},
        },
    };

    fn question(name: &str) -> Question {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        Question::read(&message.to_vec().unwrap(), Carrier::Udp).unwrap()
    }

    fn answer(ttl: u32) -> Message {
        let mut message = Message::response(7, OpCode::Query);
        message.add_answer(Record::from_rdata(Name::root(), ttl, RData::A(A([1, 2, 3, 4].into()))));
        message
    }

    #[test]
    fn an_answer_holds_as_long_as_it_says_and_grows_old() {
        let (mut cache, now, key) = (Cache::default(), Instant::now(), question("a.b.").key());
        let after = |seconds| now + Duration::from_secs(seconds);
        cache.put(key.clone(), &answer(10), 60, now);
        assert_eq!(cache.get(&key, after(4)).unwrap().answers[0].ttl, 6);
        assert!(cache.get(&key, after(10)).is_none());
        assert!(
            cache.get(&question("A.B.").key(), now).is_some(),
            "case is no part of a name"
        );
        cache.put(key.clone(), &answer(0), 60, now);
        cache.put(question("long.").key(), &answer(9999), 60, now);
        assert!(cache.get(&question("long.").key(), after(299)).is_some());
        assert!(cache.get(&question("long.").key(), after(300)).is_none());
    }

    #[test]
    fn nothing_is_kept_only_with_a_word_for_how_long() {
        let (mut cache, now, key) = (Cache::default(), Instant::now(), question("a.").key());
        let mut nothing = Message::response(7, OpCode::Query);
        nothing.metadata.response_code = ResponseCode::NXDomain;
        cache.put(key.clone(), &nothing, 60, now);
        assert!(cache.get(&key, now).is_none());
        let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 20);
        nothing.add_authority(Record::from_rdata(Name::root(), 3600, RData::SOA(soa)));
        cache.put(key.clone(), &nothing, 60, now);
        assert!(cache.get(&key, now + Duration::from_secs(19)).is_some());
        assert!(cache.get(&key, now + Duration::from_secs(20)).is_none());
        nothing.metadata.response_code = ResponseCode::ServFail;
        cache.put(question("b.").key(), &nothing, 60, now);
        assert!(cache.get(&question("b.").key(), now).is_none());
    }

    #[test]
    fn a_million_names_take_the_room_of_a_hundred() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for n in 0..10_000u32 {
            cache.put(
                question(&format!("n{n}.")).key(),
                &answer(1 + n % 300),
                (n % 3000) as usize,
                now,
            );
            assert!(cache.entries.len() <= ENTRIES && cache.bytes <= BYTES);
            assert_eq!(cache.bytes, cache.entries.values().map(|e| e.bytes).sum::<usize>());
        }
        cache.put(question("big.").key(), &answer(300), BYTES, now);
        assert!(
            cache.get(&question("big.").key(), now).is_none(),
            "one answer cannot take all of it"
        );
    }
}

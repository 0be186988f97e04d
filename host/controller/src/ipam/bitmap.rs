//! A set of numbers that is searched for the next free one: a bitmap in chunks, made where something is in it.
//!
//! A chunk knows how many of its bits are set, so that a full one is stepped over at once: the search costs the same in an empty /16 as
//! in one with a single free address, and a /64 costs only the memory of what is given out.

use std::collections::BTreeMap;

const WORD: u128 = 64;
const WORDS: usize = 64;
const CHUNK: u128 = WORD * WORDS as u128;

#[derive(Clone, Debug)]
struct Chunk {
    set: u16,
    words: [u64; WORDS],
}

/// A sparse set of numbers.
#[derive(Clone, Debug, Default)]
pub struct Bitmap {
    chunks: BTreeMap<u128, Chunk>,
    set: u64,
}

fn place(number: u128) -> (u128, usize, u64) {
    let within = number % CHUNK;
    // Both fit: `within` is below 4096.
    (number / CHUNK, (within / WORD) as usize, 1 << (within % WORD))
}

impl Bitmap {
    /// How many are in it.
    pub fn len(&self) -> u64 {
        self.set
    }

    /// Puts it in; false when it was in already.
    pub fn insert(&mut self, number: u128) -> bool {
        let (at, word, bit) = place(number);
        let chunk = self.chunks.entry(at).or_insert(Chunk {
            set: 0,
            words: [0; WORDS],
        });
        let new = chunk.words[word] & bit == 0;
        chunk.words[word] |= bit;
        chunk.set += u16::from(new);
        self.set += u64::from(new);
        new
    }

    /// Takes it out; false when it was not in.
    pub fn remove(&mut self, number: u128) -> bool {
        let (at, word, bit) = place(number);
        let Some(chunk) = self.chunks.get_mut(&at) else {
            return false;
        };
        let was = chunk.words[word] & bit != 0;
        chunk.words[word] &= !bit;
        chunk.set -= u16::from(was);
        self.set -= u64::from(was);
        if chunk.set == 0 {
            self.chunks.remove(&at);
        }
        was
    }

    /// The first number of `from..=to` that is not in it.
    pub fn next_free(&self, from: u128, to: u128) -> Option<u128> {
        let mut at = from;
        while at <= to {
            let Some(chunk) = self.chunks.get(&(at / CHUNK)) else {
                return Some(at);
            };
            let found = if u128::from(chunk.set) == CHUNK {
                None
            } else {
                chunk.next_free(at % CHUNK)
            };
            let start = at - at % CHUNK;
            match found {
                Some(offset) => return Some(start + offset).filter(|n| *n <= to),
                None => at = start.checked_add(CHUNK)?,
            }
        }
        None
    }
}

impl Chunk {
    /// The first clear bit at or after `from`.
    fn next_free(&self, from: u128) -> Option<u128> {
        let first = (from / WORD) as usize;
        let below = (1u64 << (from % WORD)) - 1;
        (first..WORDS).find_map(|i| {
            let taken = self.words[i] | if i == first { below } else { 0 };
            (taken != u64::MAX).then(|| i as u128 * WORD + u128::from(taken.trailing_ones()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_numbers(steps in proptest::collection::vec((any::<bool>(), 0u128..10_000), 0..400), from in 0u128..10_000) {
            let (mut bitmap, mut model) = (Bitmap::default(), BTreeSet::new());
            for (insert, number) in steps {
                if insert {
                    prop_assert_eq!(bitmap.insert(number), model.insert(number));
                } else {
                    prop_assert_eq!(bitmap.remove(number), model.remove(&number));
                }
            }
            prop_assert_eq!(bitmap.len(), model.len() as u64);
            prop_assert_eq!(bitmap.next_free(from, 10_000), (from..=10_000).find(|n| !model.contains(n)));
        }
    }

    #[test]
    fn full_chunks_are_stepped_over_and_the_end_is_the_end() {
        let mut bitmap = Bitmap::default();
        (0..65_535).for_each(|n| assert!(bitmap.insert(n)));
        assert_eq!(bitmap.next_free(0, 65_535), Some(65_535));
        assert_eq!(bitmap.next_free(0, 65_534), None);
        assert!(bitmap.insert(u128::MAX));
        assert_eq!(bitmap.next_free(u128::MAX, u128::MAX), None);
    }
}

//! A set of numbers, kept as runs of neighbours.
//!
//! Addresses are given out in order, so that what is taken is one run or a few: a /16 that is full costs what an empty one does, and a /64
//! costs only what is given out. Each question and each change is a fixed number of look-ups in a sorted map, however many numbers there
//! are: nothing here goes from one number to the next.

use std::collections::BTreeMap;

/// A set of numbers.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// First to last, both in it. No two runs touch.
    runs: BTreeMap<u128, u128>,
}

impl Runs {
    /// Whether it is in.
    pub fn contains(&self, number: u128) -> bool {
        self.run_of(number).is_some()
    }

    /// Puts it in; false when it was in already.
    pub fn insert(&mut self, number: u128) -> bool {
        if self.contains(number) {
            return false;
        }
        let before = number.checked_sub(1).and_then(|n| self.run_of(n));
        let after = number.checked_add(1).and_then(|n| self.runs.remove(&n));
        let first = before.map_or(number, |(first, _)| first);
        self.runs.insert(first, after.unwrap_or(number));
        true
    }

    /// Takes it out; false when it was not in.
    pub fn remove(&mut self, number: u128) -> bool {
        let Some((first, last)) = self.run_of(number) else {
            return false;
        };
        self.runs.remove(&first);
        if first < number {
            self.runs.insert(first, number - 1);
        }
        if number < last {
            self.runs.insert(number + 1, last);
        }
        true
    }

    /// The first number of `from..=to` that is not in it.
    pub fn next_free(&self, from: u128, to: u128) -> Option<u128> {
        let free = match self.run_of(from) {
            Some((_, last)) => last.checked_add(1)?,
            None => from,
        };
        (free <= to).then_some(free)
    }

    fn run_of(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.runs.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }

    /// How many runs there are: what memory it takes.
    #[cfg(test)]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_numbers(steps in proptest::collection::vec((any::<bool>(), 0u128..200), 0..400), from in 0u128..200) {
            let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
            for (insert, number) in steps {
                if insert {
                    prop_assert_eq!(runs.insert(number), model.insert(number));
                } else {
                    prop_assert_eq!(runs.remove(number), model.remove(&number));
                }
                prop_assert_eq!(runs.contains(number), insert);
            }
            prop_assert_eq!(runs.next_free(from, 200), (from..=200).find(|n| !model.contains(n)));
            let gaps = model.iter().filter(|n| !model.contains(&(**n + 1))).count();
            prop_assert_eq!(runs.runs(), gaps, "neighbours are in one run");
        }
    }

    #[test]
    fn the_end_of_all_numbers_is_the_end() {
        let mut runs = Runs::default();
        assert!(runs.insert(u128::MAX) && runs.insert(0) && runs.insert(u128::MAX - 1));
        assert_eq!(runs.next_free(u128::MAX - 1, u128::MAX), None);
        assert_eq!(runs.runs(), 2);
        assert!(runs.remove(u128::MAX) && !runs.remove(u128::MAX));
        assert_eq!(runs.next_free(u128::MAX - 1, u128::MAX), Some(u128::MAX));
    }
}

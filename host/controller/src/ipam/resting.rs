//! Numbers that were given back, the one that rests longest first: who still sends to an address that has changed hands reaches the wrong
//! one, so it is given out again as late as can be.

use std::collections::{BTreeMap, HashMap};

/// As many as a /16 has. In a pool that has more, the one that rests longest is forgotten: it is then free like one that was never given
/// out, and by then the search has gone far beyond it.
const MOST: usize = 65_536;

/// Numbers in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Resting {
    by_turn: BTreeMap<u64, u128>,
    turns: HashMap<u128, u64>,
    next: u64,
}

impl Resting {
    /// How many.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// It is the last in the line now. Answers with the one that fell out at the front, where there were too many.
    pub fn push(&mut self, number: u128) -> Option<u128> {
        self.take(number);
        self.by_turn.insert(self.next, number);
        self.turns.insert(number, self.next);
        self.next += 1;
        (self.turns.len() > MOST).then(|| self.pop())?
    }

    /// Takes it out of the line; false when it was not in.
    pub fn take(&mut self, number: u128) -> bool {
        let turn = self.turns.remove(&number);
        turn.is_some_and(|turn| self.by_turn.remove(&turn).is_some())
    }

    /// The one that rests longest.
    pub fn pop(&mut self) -> Option<u128> {
        let (_, number) = self.by_turn.pop_first()?;
        self.turns.remove(&number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_come_first_gone_and_whoever_comes_again_is_last() {
        let mut resting = Resting::default();
        for number in [3, 1, 2, 3] {
            assert_eq!(resting.push(number), None);
        }
        assert!(resting.take(2) && !resting.take(2));
        assert_eq!([resting.pop(), resting.pop(), resting.pop()], [Some(1), Some(3), None]);
    }

    #[test]
    fn the_line_does_not_grow_without_end() {
        let mut resting = Resting::default();
        assert!((0..MOST as u128).all(|n| resting.push(n).is_none()));
        assert_eq!(resting.push(u128::MAX), Some(0));
        assert_eq!(resting.len(), MOST);
    }
}

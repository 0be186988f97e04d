//! How much one sandbox may have under way. A sandbox may hold an eighth of what is free and never more than [`EACH`]: whoever floods finds
//! his own share shrink as the host fills up, and there is room left for whoever comes next (dynamic thresholds, Choudhury and Hahne 1998).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Things of one sandbox under way at most.
pub const EACH: usize = 64;

/// What all sandboxes share.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    used: AtomicUsize,
}

/// What one sandbox has under way.
#[derive(Debug, Default)]
pub struct Share(AtomicUsize);

/// One thing under way; dropped, it is over.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    share: Arc<Share>,
}

impl Budget {
    /// Of so many things in all.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::new(0),
        })
    }

    /// One more thing of a sandbox, where there is room for it.
    pub fn take(self: &Arc<Self>, share: &Arc<Share>) -> Option<Permit> {
        let permit = Permit {
            budget: self.clone(),
            share: share.clone(),
        };
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        let held = share.0.fetch_add(1, Ordering::Relaxed);
        let limit = (self.most.saturating_sub(used) / 8).min(EACH);
        // Dropping the permit takes both back.
        (held < limit).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(1, Ordering::Relaxed);
        self.share.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_many_leaves_room_for_the_next() {
        let budget = Budget::new(1024);
        let mut held = Vec::new();
        let greedy: Vec<Arc<Share>> = (0..100).map(|_| Arc::default()).collect();
        for _ in 0..100 {
            held.extend(greedy.iter().filter_map(|share| budget.take(share)));
        }
        let alone = |share: &Share| share.0.load(Ordering::Relaxed);
        assert!(greedy.iter().all(|share| (1..=EACH).contains(&alone(share))));
        assert!(
            budget.take(&Arc::default()).is_some(),
            "who asks for the first time is heard"
        );
        drop(held);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        let share = Arc::default();
        let mine: Vec<_> = std::iter::from_fn(|| budget.take(&share)).collect();
        assert_eq!(mine.len(), EACH);
    }
}

//! Numbers that the host chooses, so that the kernel does not: indexes of links, and groups of dying ones.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::Ifindex;

/// The first index of the host's own range. The kernel counts up from 1 and would need a thousand million links to come here.
pub const FIRST_INDEX: u32 = 0x4000_0000;
/// How many there are; the kernel's indexes end at 2^31 - 1.
const INDEXES: u32 = 0x4000_0000;
/// Groups of dying links, "jf" in ASCII and 16 bits: far from the small numbers that people write into /etc/iproute2/group. A group is
/// deleted with all that is in it, so nobody else may use these.
const FIRST_GROUP: u32 = 0x6a66_0000;
const GROUPS: u32 = 0x1_0000;
/// Links deleted at a time. One deletion costs 16 to 20 ms for one link or for sixteen; more at once would keep others from the kernel's
/// network lock for longer than that.
const GROUP_SIZE: u32 = 16;

/// Gives link indexes away, each once.
#[derive(Debug)]
pub struct Indexes(AtomicU32);

impl Indexes {
    /// Goes on above the highest index of the range that was ever given away.
    pub fn above(highest: Option<Ifindex>) -> Self {
        let next = highest.map_or(0, |index| index.get().saturating_sub(FIRST_INDEX).saturating_add(1));
        Self(AtomicU32::new(next))
    }

    /// The next one.
    pub fn next(&self) -> Ifindex {
        let number = self.0.fetch_add(1, Ordering::Relaxed) % INDEXES;
        // Always within the range, which holds no zero; the other arm is never taken.
        Ifindex::new(FIRST_INDEX + number).unwrap_or_else(|| self.next())
    }
}

/// Whether the host chose that index.
pub fn is_reserved(index: Ifindex) -> bool {
    index.get() >= FIRST_INDEX
}

/// Gives groups away, each to a handful of links.
#[derive(Debug, Default)]
pub struct Groups(AtomicU32);

impl Groups {
    /// The group for that many more links.
    pub fn next(&self, links: usize) -> u32 {
        let links = u32::try_from(links).unwrap_or(GROUP_SIZE);
        FIRST_GROUP + self.0.fetch_add(links, Ordering::Relaxed) / GROUP_SIZE % GROUPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_go_on_above_what_was_given_away() {
        assert_eq!(Indexes::above(None).next().get(), FIRST_INDEX);
        let highest = Ifindex::new(FIRST_INDEX + 41);
        assert_eq!(Indexes::above(highest).next().get(), FIRST_INDEX + 42);
    }

    #[test]
    fn a_range_that_is_used_up_begins_anew_and_stays_within_the_kernels_numbers() {
        let indexes = Indexes::above(Ifindex::new(i32::MAX as u32));
        assert_eq!(indexes.next().get(), FIRST_INDEX);
    }

    #[test]
    fn a_group_is_shared_by_a_handful_of_links() {
        let groups = Groups::default();
        let given: Vec<u32> = (0..40).map(|_| groups.next(1)).collect();
        assert_eq!(given.iter().filter(|g| **g == given[0]).count(), GROUP_SIZE as usize);
        assert!(given.iter().all(|g| (FIRST_GROUP..FIRST_GROUP + GROUPS).contains(g)));
    }
}

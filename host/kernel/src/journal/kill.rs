//! Fault points: kill -9 of this very process at a chosen boundary of the journal, for the tests of recovery.
//!
//! `JACKFIELD_KILL_AT_RECORD=7b` kills before the seventh record that this process writes, `7a` (or `7`) after it.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Observer, Record};

const VARIABLE: &str = "JACKFIELD_KILL_AT_RECORD";

/// Counts down to the end.
#[derive(Debug)]
pub struct Kill {
    at: u64,
    before: bool,
    seen: AtomicU64,
}

impl Kill {
    /// As the environment wants it; None when it does not.
    pub fn from_environment() -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        let parsed = Self::parse(&text);
        if parsed.is_none() {
            tracing::warn!(
                "{VARIABLE} is \"{text}\", expected a record's number and b or a, as 7b: no fault point is set"
            );
        }
        parsed
    }

    fn parse(text: &str) -> Option<Self> {
        let before = text.ends_with('b');
        let at = text.trim_end_matches(['a', 'b']).parse().ok()?;
        Some(Self {
            at,
            before,
            seen: AtomicU64::new(0),
        })
    }

    fn die() -> io::Result<()> {
        nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL).map_err(io::Error::from)
    }
}

impl Observer for Kill {
    fn before(&self, _record: &Record) -> io::Result<()> {
        let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        if self.before && seen == self.at {
            Self::die()
        } else {
            Ok(())
        }
    }

    fn after(&self, _record: &Record) -> io::Result<()> {
        if !self.before && self.seen.load(Ordering::SeqCst) == self.at {
            Self::die()
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kill;

    #[test]
    fn a_fault_point_is_a_number_and_a_side() {
        let side = |text: &str| Kill::parse(text).map(|k| (k.at, k.before));
        assert_eq!(side("7b"), Some((7, true)));
        assert_eq!(side("7a"), Some((7, false)));
        assert_eq!(side("7"), Some((7, false)));
        assert_eq!(side("seven"), None);
    }
}

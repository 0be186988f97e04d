//! Whether a plugin is to be asked at all: one that gave no answer a moment ago is not, so that it costs one caller his patience and the others
//! nothing. Pure: the time is given.

use std::time::{Duration, Instant};

/// How long a plugin is left alone after it gave no answer the first time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most, after more of the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of a plugin's health.
#[derive(Debug, Default)]
pub struct Breaker {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// It answers, as far as anybody knows.
    #[default]
    Closed,
    /// It gave no answer.
    Open {
        until: Instant,
        pause: Duration,
        why: String,
        /// Somebody is finding out whether it does again.
        trying: bool,
    },
}

/// What a caller is told instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What happened.
    pub why: String,
    /// When it is asked again.
    pub again_in: Duration,
}

impl Breaker {
    /// Asks for leave to call. Whoever gets it says how it went: [`Breaker::answered`] or [`Breaker::silent`].
    pub fn admit(&mut self, now: Instant) -> Result<(), Broken> {
        let State::Open { until, why, trying, .. } = &mut self.state else {
            return Ok(());
        };
        if now >= *until && !*trying {
            *trying = true;
            return Ok(());
        }
        Err(Broken {
            why: why.clone(),
            again_in: until.saturating_duration_since(now),
        })
    }

    /// It answered: with an error too.
    pub fn answered(&mut self) {
        self.state = State::Closed;
    }

    /// It did not.
    pub fn silent(&mut self, now: Instant, why: String) {
        let pause = match &self.state {
            State::Closed => FIRST_PAUSE,
            // Others who were on the way when it fell silent are no further proof.
            State::Open {
                pause, trying: false, ..
            } => *pause,
            State::Open { pause, .. } => (*pause * 2).min(LONGEST_PAUSE),
        };
        self.state = State::Open {
            until: now + pause,
            pause,
            why,
            trying: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_plugin_is_left_alone_for_longer_and_longer_and_one_caller_tries() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        breaker.admit(at(0)).unwrap();
        breaker.silent(at(0), "refused".to_owned());
        breaker.silent(at(0), "refused".to_owned());
        assert_eq!(breaker.admit(at(0)).unwrap_err().again_in, Duration::from_secs(1));
        breaker.admit(at(1)).unwrap();
        assert_eq!(breaker.admit(at(1)).unwrap_err().why, "refused", "one at a time");
        breaker.silent(at(1), "timed out".to_owned());
        assert!(breaker.admit(at(2)).is_err(), "now for two seconds");
        breaker.admit(at(3)).unwrap();
        breaker.answered();
        breaker.admit(at(3)).unwrap();
        breaker.admit(at(3)).unwrap();
    }

    #[test]
    fn the_pause_has_an_end() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..20 {
            breaker.admit(now).unwrap();
            breaker.silent(now, String::new());
            now += LONGEST_PAUSE;
        }
        breaker.admit(now).unwrap();
        breaker.silent(now, String::new());
        assert_eq!(breaker.admit(now).unwrap_err().again_in, LONGEST_PAUSE);
    }
}

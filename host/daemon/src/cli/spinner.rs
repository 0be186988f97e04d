//! A sign of life while the host works: on a terminal only, on standard error.

use std::time::Duration;

use indicatif::ProgressBar;

/// Turns until it is dropped.
pub(super) struct Spinner(ProgressBar);

impl Spinner {
    /// Begins to turn.
    pub fn start(message: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

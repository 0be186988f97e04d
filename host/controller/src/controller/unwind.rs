//! Taking back what *decide* took, on every way out but the good one; a panic in between is such a way too.

/// Runs the closure when it is dropped, unless it was disarmed.
pub struct Unwind<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Unwind<F> {
    /// Armed.
    pub fn new(undo: F) -> Self {
        Self(Some(undo))
    }

    /// All went well.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for Unwind<F> {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

//! How the demo tells its steps.

use std::{
    io::{IsTerminal, Write},
    time::Instant,
};

use jackfield_lab::Result;

/// Prints steps, each with its time.
#[derive(Debug)]
pub struct Teller {
    begun: Instant,
    steps: usize,
    colour: bool,
}

impl Teller {
    /// Begins.
    pub fn begin() -> Self {
        Self {
            begun: Instant::now(),
            steps: 0,
            colour: std::io::stdout().is_terminal(),
        }
    }

    /// What the next steps are about.
    pub fn heading(&self, words: &str) {
        let (on, off) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        println!("\n{on}{words}{off}");
    }

    /// Does that, and prints it with its time.
    pub fn step<T>(&mut self, words: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let outcome = act();
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let mark = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("  {took:>9.2} ms  {mark:<6}  {words}");
        let _ = std::io::stdout().flush();
        self.steps += 1;
        outcome
    }

    /// A fact that is no step.
    pub fn fact(&self, words: &str) {
        println!("  {:>12}  {:<6}  {words}", "", "");
    }

    /// Ends well.
    pub fn end(&self, words: &str) {
        println!(
            "\n{} steps in {:.1} s; {words}",
            self.steps,
            self.begun.elapsed().as_secs_f64()
        );
    }
}

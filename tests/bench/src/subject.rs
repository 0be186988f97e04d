//! What a benchmark is, and how several are run: in turn, so that whatever else the machine does meets all of them alike.

use std::time::Duration;

use crate::{
    failure::Result,
    figure::{Measured, Samples},
};

/// Before each run: the kernel's deferred work of the run before is done by then, and caches are as cold as they are for a caller who
/// comes now and then.
const PAUSE: Duration = Duration::from_millis(20);
/// Runs of each that are not counted.
const WARM_UP: usize = 3;

/// Something to measure.
pub trait Subject {
    /// Does it once, and puts everything back as it was; only what is returned was timed. When this returns nothing of it is under way.
    ///
    /// # Errors
    /// With the step that failed.
    fn run_once(&mut self) -> Result<Vec<(Measured, Duration)>>;

    /// It takes long: it is run in every so many-th round only.
    fn every(&self) -> usize {
        1
    }
}

/// Runs A, B, C, A, B, C and so on.
///
/// # Errors
/// The first failure of any.
pub fn interleave(subjects: &mut [Box<dyn Subject + '_>], rounds: usize) -> Result<Samples> {
    let mut samples = Samples::default();
    for round in 0..rounds + WARM_UP {
        for subject in subjects
            .iter_mut()
            .filter(|s| round.is_multiple_of(s.every()) || round < WARM_UP)
        {
            std::thread::sleep(PAUSE);
            let taken = subject.run_once()?;
            if round >= WARM_UP {
                taken.into_iter().for_each(|(what, took)| samples.add(what, took));
            }
        }
    }
    Ok(samples)
}

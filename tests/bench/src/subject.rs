//! What a benchmark is, and how several are run: in turn, so that whatever else the machine does meets all of them alike.

use std::time::Duration;

use crate::{
    failure::Result,
    figure::{Samples, Taken},
};

/// Runs of most that are not counted.
const WARM_UP: usize = 3;

/// Something to measure.
pub trait Subject {
    /// Does it once, and puts everything back as it was; only what is returned was timed. When this returns nothing of it is under way.
    ///
    /// # Errors
    /// With the step that failed.
    fn run_once(&mut self) -> Result<Taken>;

    /// It takes long: it is run in every so many-th round only.
    fn every(&self) -> usize {
        1
    }

    /// How many runs of it before the first that counts; no more than [`WARM_UP`].
    fn warm_up(&self) -> usize {
        WARM_UP
    }
}

/// Runs A, B, C, A, B, C and so on, with the pause before each.
///
/// # Errors
/// The first failure of any.
pub fn interleave(subjects: &mut [Box<dyn Subject + '_>], rounds: usize, pause: Duration) -> Result<Samples> {
    let mut samples = Samples::default();
    for round in 0..WARM_UP + rounds {
        let counted = round.checked_sub(WARM_UP);
        let due = |subject: &dyn Subject| match counted {
            Some(nth) => nth.is_multiple_of(subject.every()),
            None => round + subject.warm_up() >= WARM_UP,
        };
        for subject in subjects.iter_mut().filter(|subject| due(subject.as_ref())) {
            std::thread::sleep(pause);
            let taken = subject.run_once()?;
            if counted.is_some() {
                taken.into_iter().for_each(|(what, amount)| samples.add(what, amount));
            }
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;
    use crate::figure::Measured;

    struct Noted(Rc<RefCell<Vec<Measured>>>, Measured, usize);

    impl Subject for Noted {
        fn run_once(&mut self) -> Result<Taken> {
            self.0.borrow_mut().push(self.1);
            Ok(vec![(self.1, Duration::from_micros(1).into())])
        }

        fn every(&self) -> usize {
            self.2
        }

        fn warm_up(&self) -> usize {
            if self.2 > 1 { 0 } else { WARM_UP }
        }
    }

    #[test]
    fn subjects_take_turns_and_the_slow_one_is_counted_from_the_first_round() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let (quick, slow) = (Measured::JoinFloor, Measured::DriverLoadCold);
        let noted = |what, every| -> Box<dyn Subject> { Box::new(Noted(order.clone(), what, every)) };
        let figures = interleave(&mut [noted(quick, 1), noted(slow, 2)], 3, Duration::ZERO)
            .unwrap()
            .figures();
        assert_eq!((figures[&quick].n, figures[&slow].n), (3, 2));
        assert_eq!(
            order.borrow()[..WARM_UP],
            [quick; WARM_UP],
            "the slow one wants no warm-up"
        );
        assert_eq!(order.borrow()[WARM_UP..], [quick, slow, quick, quick, slow]);
    }
}

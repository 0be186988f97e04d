//! Waiting until nothing of a run is under way any more.

use std::{
    thread,
    time::{Duration, Instant},
};

use jackfield_kernel::Dump;
use jackfield_lab::Lab;

use crate::failure::{During, Result};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until it is done.
///
/// # Errors
/// That of a look; or that it was not done in time.
pub fn until(step: &str, patience: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !done()? {
        if Instant::now() > deadline {
            return Err(format!("not done after {} s", patience.as_secs())).during(step);
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Until the realm is as it was.
///
/// # Errors
/// When it never is.
pub fn until_as_before(lab: &Lab, before: &Dump, patience: Duration) -> Result<()> {
    until("wait until the realm is as it was", patience, || {
        Ok(&lab.dump().during("look at the realm")? == before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_done_is_an_error_and_what_is_done_late_is_not() {
        let mut looks = 0;
        let late = until("wait", Duration::from_secs(5), || {
            looks += 1;
            Ok(looks == 3)
        });
        assert!(late.is_ok());
        let never = until("wait", Duration::ZERO, || Ok(false)).unwrap_err();
        assert_eq!(never.to_string(), "wait: not done after 0 s");
    }
}

//! The simulated kernel against the real one: the same requests to both, then every answer and everything that both contain is compared.
//!
//! Where they differ, the simulated one is wrong. Namespaces are made for each sequence, so that nothing of the machine is touched.
//! Without the privilege to make namespaces these tests skip, and say so.
//
// Helpers outside of a test function unwrap as the tests do: a fixture that is wrong is to fail.
#![allow(clippy::unwrap_used)]

mod both;
mod sequences;
mod universe;

use both::Both;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use universe::{Step, with_preamble};

/// Random sequences a run; a regression that this many did not find is worth a line in `sequences`.
const CASES: u32 = 64;

#[test]
fn named_sequences_are_answered_alike() {
    let Some(both) = Both::new() else { return };
    for (what, steps) in sequences::all() {
        if let Err(difference) = both.compare(&steps, both::Look::AfterEach) {
            panic!("{what}: {difference}");
        }
    }
}

#[test]
fn a_bridge_takes_as_many_ports() {
    let Some(both) = Both::new() else { return };
    if let Err(difference) = both.compare(&sequences::too_many_ports(), both::Look::Never) {
        panic!("{difference}");
    }
}

#[test]
fn random_sequences_are_answered_alike() {
    let Some(both) = Both::new() else { return };
    let compare = |steps: Vec<Step>| both.compare(&steps, both::Look::AtTheEnd).map_err(TestCaseError::fail);
    let config = Config {
        cases: cases(),
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    match TestRunner::new(config).run(&with_preamble(), compare) {
        Ok(()) => {}
        Err(TestError::Fail(difference, steps)) => panic!("{difference}\nafter these steps:\n{}", both::listed(&steps)),
        Err(aborted) => panic!("{aborted}"),
    }
}

/// More of them for a longer search, by PROPTEST_CASES.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(CASES)
}

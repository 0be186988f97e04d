//! A guest that ended where it should not: what is told of it.

use std::time::Duration;

use jackfield_driver::Identity;
use jackfield_model::{Error, ErrorCode};
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::{guest::Guest, output::one_line};

/// Frames of the guest's stack that are told: the innermost.
const FRAMES: usize = 4;
/// Longest name of a function and longest reason, in bytes: both are the guest's to choose.
const NAME_MAX: usize = 120;
const REASON_MAX: usize = 400;

/// The error for a call that trapped.
pub(crate) fn trapped(driver: &Identity, function: &str, error: wasmtime::Error, guest: &Guest) -> Error {
    let (code, reason) = reason(&error, guest);
    let mut message = format!("the driver {driver} stopped in {function}: {reason}");
    if let Some(frames) = frames(&error) {
        message.push_str(&format!(", in {frames}"));
    }
    if let Some(said) = guest.output.text() {
        message.push_str(&format!("; it printed: {said}"));
    }
    Error::new(code, message)
        .driver(driver.to_string())
        .step(function)
        .caused_by(error.into_boxed_dyn_error())
}

fn reason(error: &wasmtime::Error, guest: &Guest) -> (ErrorCode, String) {
    let reason = match (error.downcast_ref::<Trap>(), error.downcast_ref::<I32Exit>()) {
        (Some(Trap::StackOverflow), _) => "its stack overflowed".to_owned(),
        (Some(Trap::UnreachableCodeReached), _) => "it panicked or aborted".to_owned(),
        (Some(trap), _) => trap.to_string(),
        (_, Some(exit)) => format!("it exited with status {}", exit.0),
        _ => one_line(&error.root_cause().to_string(), REASON_MAX),
    };
    if !guest.memory.refused {
        return (ErrorCode::Internal, reason);
    }
    let limit = guest.memory.max();
    (
        ErrorCode::Exhausted,
        format!("{reason}, after it was refused more memory than {limit} bytes (limits.memory-bytes of its grants)"),
    )
}

fn frames(error: &wasmtime::Error) -> Option<String> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    let names: Vec<String> = trace
        .frames()
        .iter()
        .filter_map(|frame| {
            frame
                .symbols()
                .first()
                .and_then(|symbol| symbol.name())
                .or(frame.func_name())
        })
        .map(|name| one_line(name, NAME_MAX))
        .take(FRAMES)
        .collect();
    (!names.is_empty()).then(|| names.join(" < "))
}

/// The error for a call that did not end in time.
pub(crate) fn late(driver: &Identity, function: &str, deadline: Duration) -> Error {
    let message = format!(
        "the driver {driver} did not end {function} within {} ms (limits.deadline-ms of its grants) and was stopped",
        deadline.as_millis()
    );
    Error::new(ErrorCode::Unavailable, message)
        .retryable()
        .driver(driver.to_string())
        .step(function)
}

/// The error for a call on an instance that ended in an earlier one.
pub(crate) fn dead(driver: &Identity, function: &str) -> Error {
    let message =
        format!("the driver {driver} cannot do {function}: its instance stopped in an earlier call of this operation");
    Error::new(ErrorCode::InvalidState, message)
        .driver(driver.to_string())
        .step(function)
}

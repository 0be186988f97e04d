//! The error of a refused request.

use nix::errno::Errno;

use crate::{KernelError, Request};

pub(super) fn refusal(request: &Request, errno: Errno) -> KernelError {
    KernelError::Refused {
        operation: "simulate",
        object: format!("{request:?}"),
        errno,
    }
}

//! The one place where values cross between the WIT package and the host. What comes from a guest is hostile until it has passed here.

mod from_guest;
mod to_guest;

pub(crate) use from_guest::*;
pub(crate) use to_guest::*;

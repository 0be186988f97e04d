//! What outlives the process, and for how long.
//!
//! Two lives. *Durable* ([`Durable`], redb, every commit synced): networks with their plans and pools, and the keys that drivers wrote in
//! config and network calls. *Boot-long* ([`notes`], the kernel journal on tmpfs): endpoints, sandboxes, the outbox, and the keys that
//! drivers wrote in endpoint calls, so that a join touches no disk. [`Keys`] joins the two for drivers.

mod durable;
mod keys;
pub mod notes;

pub use durable::{Change, Durable, Loaded, RealmKey};
pub use keys::{Keys, Layer, Overlay, Reservation};

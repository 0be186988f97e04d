//! What CNI runtimes and Podman start, and what it says to the host: two small programs, and the library that the host shares with them.
//!
//! It may not know the controller or the kernel: it reads what runtimes write, and writes what they read. It promises that no input makes it
//! panic, that each refusal is in the runtime's own form, and that a DEL is never lost while the host is down.
//!
//! ```text
//!   runtime --environment, stdin--> jackfield-cni, jackfield-netavark --Request, two namespaces--> the host
//!           <------- stdout ------                                    <--------- Reply ----------
//!                                        | the host is down, and the verb takes something down
//!                                        +--> a tombstone in its spool, which it reads when it is back
//! ```
#![forbid(unsafe_code)]

pub mod call;
pub mod cni;
pub mod down;
pub mod driver;
pub mod fields;
pub mod netavark;
pub mod pass;
pub mod protocol;
pub mod spool;

//! Tests on the real kernel, each in network namespaces of its own. They need CAP_NET_ADMIN, as root or in a user namespace.

mod border;
mod mend;
mod net;
mod nodes;
mod roundtrip;
mod traffic;

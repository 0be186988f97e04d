//! containerd uses the host's drivers by CNI: `ctr --cni`, and pods over the real CRI socket as a kubelet runs them, with packets, and nothing
//! left of them.
//!
//! The host runs on containerd's machine, so that a pod's namespace has the same path for both. Without containerd and root it says so and does
//! nothing.

// A scenario whose own values are wrong is to fail.
#![allow(clippy::unwrap_used)]

mod away;
mod cri;
mod ctr;
mod grpc;
mod many;
mod pods;
mod scene;

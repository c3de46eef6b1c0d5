//! A whole node: what the kubelet really does with the images that pullproof speaks of. Run as root
//! by `make test-node`, which builds the servers; plain `cargo test` leaves it out.

#![allow(clippy::unwrap_used, reason = "a test may panic where it broke")]

#[path = "cluster/install.rs"]
mod install;
#[path = "cluster/node_self_test.rs"]
mod node_self_test;
#[path = "cluster/support/mod.rs"]
mod support;

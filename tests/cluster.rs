//! The program against a real kube-apiserver: admission, the controller, policies. Run by
//! `make test-cluster`, which builds the servers; plain `cargo test` leaves it out.

#![allow(clippy::unwrap_used, reason = "a test may panic where it broke")]

#[path = "cluster/chart.rs"]
mod chart;
#[path = "cluster/cluster_room.rs"]
mod cluster_room;
#[path = "cluster/controller.rs"]
mod controller;
#[path = "cluster/outage.rs"]
mod outage;
#[path = "support/mod.rs"]
mod registries;
#[path = "cluster/self_test.rs"]
mod self_test;
#[path = "cluster/support/mod.rs"]
mod support;
#[path = "cluster/webhook.rs"]
mod webhook;

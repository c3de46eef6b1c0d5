//! One integration binary; its modules mirror `src`. No test needs root or the internet.

#![allow(clippy::unwrap_used, reason = "a test may panic where it broke")]

mod admission;
mod cli;
mod cluster_room;
mod conformance;
mod container_image;
mod credential;
mod diagnosis;
mod docs;
mod families;
mod image;
mod lease;
mod manifest;
mod messages;
mod own_logins;
mod policies;
mod project;
mod pull_flow;
mod registry;
mod support;

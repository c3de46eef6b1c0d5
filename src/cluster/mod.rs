//! The cluster as pullproof sees it: the client of the API server, and what is read through it.
//!
//! Every watcher is a future that the caller runs; nothing is spawned here.

mod connect;
pub mod lease;

pub use connect::{Cluster, Error, Options};

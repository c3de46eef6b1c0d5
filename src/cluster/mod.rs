//! The cluster as pullproof sees it: the client of the API server, and what is read through it.
//!
//! Secrets and ServiceAccounts are read one by one and by name only, never listed or watched; what
//! is watched (Nodes, Namespaces, policies) is pruned to what is used before it is kept. Every
//! watcher is a future that the caller runs; nothing is spawned here.

mod connect;
pub mod events;
mod follow;
mod get;
pub mod lease;
pub mod list;
pub mod namespaces;
pub mod nodes;
pub mod policies;
pub mod running;
pub mod secrets;

pub use connect::{Cluster, Error, Options};
pub use events::Events;
pub use get::Trouble;
pub use namespaces::Namespaces;
pub use nodes::Nodes;
pub use policies::Policies;
pub use secrets::Secrets;

//! What is read from an API server, against one that misbehaves as told.

mod definition;
mod diagnose;
mod events;
mod findings;
mod namespaces;
mod nodes;
mod policies;
mod scan;
mod secrets;
pub mod stub;

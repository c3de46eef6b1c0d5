//! What is read from an API server, against one that misbehaves as told.

mod namespaces;
mod nodes;
mod policies;
mod secrets;
pub mod stub;

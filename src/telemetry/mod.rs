//! What the long-running roles tell about themselves: logs, metrics, health. Own port, read-only.

pub mod health;
pub mod log;
pub mod metrics;
pub mod upstream;

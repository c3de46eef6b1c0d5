//! The webhook through its own port: TLS, HTTP/1.1 and 2, real reviews, registries and an API server
//! that do as a test tells them. What every answer must hold is checked on each of them.

pub mod hook;

mod bodies;
mod callers;
mod cluster;
mod entries;
mod exemptions;
mod faults;
mod injection;
mod load;
mod metrics;
mod mutation;
mod own_trouble;
mod process;
mod readers;
mod soak;
mod throttle;
mod time;
mod verdicts;

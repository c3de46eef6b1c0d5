//! One integration binary; its modules mirror `src`. No test needs root or the internet.

mod cli;
mod conformance;
mod credential;
mod image;
mod manifest;
mod pull_flow;
mod registry;
mod support;

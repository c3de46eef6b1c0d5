//! The program itself: arguments in, exit code and texts out, against registries in this process.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic where they broke")]

mod auth_plan;
mod baseline;
mod cache;
mod exit_codes;
mod formats;
mod hostile;
mod ignores;
mod images;
mod logins;
pub mod manifests;
mod output;
mod platforms;
mod policies;
mod project;
mod quota;
mod registries;
pub mod sandbox;
mod secrecy;
mod validate;
mod words;
